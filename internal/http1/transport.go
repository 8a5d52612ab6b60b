package http1

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// Limits of a Transport.
const (
	dialTimeout = time.Second
	keepAlive   = 15 * time.Second
	// maxResponseHead is the largest head of a response in bytes, with the interim
	// responses before it.
	maxResponseHead = 64 << 10
	// maxIdlePerHost is the largest number of idle connections to one host.
	maxIdlePerHost = 512
	// maxIdleTime may be longer than a server keeps a connection: a GET on a
	// connection that the server has closed is repeated.
	maxIdleTime = 90 * time.Second
	// maxIdleTimeStandard is for requests that cannot be repeated. Some servers
	// close idle connections after 5 seconds, and a creation that is sent at that
	// moment fails, so these connections are closed earlier.
	maxIdleTimeStandard = 4 * time.Second
	// responseBuffer is the size in bytes of the buffer of a response. A head that
	// does not fit is read more slowly.
	responseBuffer = 8 << 10
)

// Transport is an http.RoundTripper for frequent calls of a few hosts. It runs
// a GET or HEAD with the scheme http in the goroutine of its caller, where
// http.Transport uses two more goroutines for each connection. All other
// requests, such as those with a body, go to the transport of
// NewStandardTransport. Make it with NewTransport. It may be used by many
// goroutines.
//
// It connects to the host of the URL, for a second at most, and never to a proxy.
// It follows no redirects, asks for no compression and sends no User-Agent. The
// head of a response may have 64 KB. Up to 512 idle connections for each host are
// kept for 90 seconds, or for 4 seconds by the standard transport.
//
// The context of a request covers the call until the body of the response has
// been read to its end or closed. If the context ends before, the call returns
// the context's error. A failure to connect is a *net.OpError whose Op is "dial".
// A body that is shorter than its length (RFC 9112, section 8) ends in
// io.ErrUnexpectedEOF. Closing a body that was not read to its end closes the
// connection; Close waits for a Read in progress, which ends with the context.
//
// A GET or HEAD is repeated once, on a new connection, if a reused connection
// ends before the first byte of the response (RFC 9112, section 9.3.1), or if the
// response is 408, which servers send to idle connections that they close (RFC
// 9110, section 15.5.9).
type Transport struct {
	standard *http.Transport
	dialer   *net.Dialer
	idleTime time.Duration
	idleMax  int

	mu   sync.Mutex
	idle map[string][]*clientConn // by address, the least recently used first
}

// NewStandardTransport returns a transport of net/http with the limits of a
// Transport.
func NewStandardTransport() *http.Transport {
	return &http.Transport{
		// No Proxy: backends are called directly, whatever the environment says.
		DialContext:            newDialer().DialContext,
		TLSHandshakeTimeout:    2 * time.Second,
		MaxIdleConnsPerHost:    maxIdlePerHost,
		IdleConnTimeout:        maxIdleTimeStandard,
		MaxResponseHeaderBytes: maxResponseHead,
		DisableCompression:     true,
		WriteBufferSize:        8 << 10,
		ReadBufferSize:         16 << 10,
	}
}

func newDialer() *net.Dialer { return &net.Dialer{Timeout: dialTimeout, KeepAlive: keepAlive} }

// NewTransport returns a Transport.
func NewTransport() *Transport {
	return &Transport{
		standard: NewStandardTransport(), dialer: newDialer(),
		idleTime: maxIdleTime, idleMax: maxIdlePerHost, idle: map[string][]*clientConn{},
	}
}

// RoundTrip implements http.RoundTripper.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	buf := clientBuffers.Get().(*clientBuffer)
	head, ok := appendRequest(buf.head[:0], req)
	if !ok || !canCheckIdle {
		buf.release()
		return t.standard.RoundTrip(req)
	}
	buf.head = head
	ctx, addr := req.Context(), dialAddress(req.URL)
	if err := ctx.Err(); err != nil {
		buf.release()
		return nil, err
	}
	for c := t.take(addr); ; c = nil {
		used := c != nil
		if !used {
			var err error
			if c, err = t.dial(ctx, addr); err != nil {
				buf.release()
				return nil, err
			}
		}
		x := &exchange{transport: t, conn: c, buf: buf, ctx: ctx}
		resp, err := x.start(req, used)
		if err == nil {
			return resp, nil
		}
		c.Close()
		if !x.stop() {
			err = ctx.Err() // not repeated
		}
		if !used || !errors.Is(err, errNoResponse) {
			buf.release()
			return nil, err
		}
	}
}

// CloseIdleConnections closes the connections that no call is using.
func (t *Transport) CloseIdleConnections() {
	t.standard.CloseIdleConnections()
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, conns := range t.idle {
		for _, c := range conns {
			c.Close()
		}
	}
	clear(t.idle)
}

// take returns the idle connection to addr that was used last, or nil.
//
// A server may have written to an idle connection: a 408 before it closes the
// connection, or more than the length of its last response. That must not become
// the response to the next request, so the connection is checked, with a system
// call of 0.7 microseconds, where a call takes 20. The check also avoids
// connections that the server has closed. Bytes that arrive between the check and
// the request look like a response, unless that is a 408.
func (t *Transport) take(addr string) *clientConn {
	for {
		t.mu.Lock()
		conns := t.idle[addr]
		last := len(conns) - 1
		if last < 0 {
			t.mu.Unlock()
			return nil
		}
		c := conns[last]
		conns[last] = nil
		t.idle[addr] = conns[:last]
		t.mu.Unlock()
		if c.expiry.Stop() && c.silent() {
			return c
		}
		c.Close()
	}
}

// put keeps c for the next call.
func (t *Transport) put(c *clientConn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.idle[c.addr]) >= t.idleMax {
		c.Close()
		return
	}
	t.idle[c.addr] = append(t.idle[c.addr], c)
	c.expiry.Reset(t.idleTime)
}

// expire closes c, which has been idle for too long.
func (t *Transport) expire(c *clientConn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if i := slices.Index(t.idle[c.addr], c); i >= 0 {
		t.idle[c.addr] = slices.Delete(t.idle[c.addr], i, i+1)
		c.Close()
	}
}

// clientConn is a connection to a server. It is idle or belongs to one call. It
// has no buffer of its own.
type clientConn struct {
	net.Conn
	addr   string
	expiry *time.Timer // of an idle connection
	silent func() bool // of newIdleCheck
	cut    func()      // ends reads and writes for good
	left   int64       // bytes that may still be read
}

func (t *Transport) dial(ctx context.Context, addr string) (*clientConn, error) {
	// The dialer does not get the deadline of ctx: its own timer may fire first, and
	// then the error would be that of a server that does not listen.
	dialing, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stop := context.AfterFunc(ctx, cancel)
	nc, err := t.dialer.DialContext(dialing, "tcp", addr)
	if !stop() {
		if err == nil {
			nc.Close()
		}
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, err
	}
	c := &clientConn{Conn: nc, addr: addr, silent: newIdleCheck(nc)}
	c.cut = func() { _ = nc.SetDeadline(past) }
	c.expiry = time.AfterFunc(time.Hour, func() { t.expire(c) })
	c.expiry.Stop()
	return c, nil
}

// Read implements io.Reader within the limit.
func (c *clientConn) Read(p []byte) (int, error) {
	if c.left <= 0 {
		return 0, errHeadTooLarge
	}
	n, err := c.Conn.Read(p[:min(int64(len(p)), c.left)])
	c.left -= int64(n)
	return n, err
}

var errHeadTooLarge = fmt.Errorf("head of more than %d bytes", maxResponseHead)

// clientBuffer has the buffers of a call.
type clientBuffer struct {
	*bufio.Reader
	head []byte // of the request
}

var clientBuffers = sync.Pool{New: func() any {
	return &clientBuffer{Reader: bufio.NewReaderSize(nil, responseBuffer)}
}}

func (b *clientBuffer) release() {
	b.Reset(nil) // lets the connection go
	clientBuffers.Put(b)
}

// exchange is a request and its response, of which it is the body.
type exchange struct {
	transport *Transport
	conn      *clientConn
	buf       *clientBuffer
	ctx       context.Context
	stop      func() bool // detaches conn from ctx, and reports whether it was in time
	close     bool        // the server will close conn

	mu   sync.Mutex // Close must not release what Read is using
	body io.Reader
	err  error // how the body ended
}

// errNoResponse is the error of a connection that ended before the response.
var errNoResponse = errors.New("no response")

// start sends the request and reads the head of its response.
func (x *exchange) start(req *http.Request, used bool) (*http.Response, error) {
	x.conn.left = maxResponseHead
	x.buf.Reset(x.conn)
	// cut sets the only deadline, also for a context that has one. It is never
	// reset: a connection on which cut may have been called is not used again.
	x.stop = context.AfterFunc(x.ctx, x.conn.cut)
	_, err := x.conn.Write(x.buf.head)
	if err == nil {
		_, err = x.buf.Peek(1)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNoResponse, err)
	}
	resp, err := x.readHead(req)
	if err != nil {
		return nil, err
	}
	if used && resp.StatusCode == http.StatusRequestTimeout {
		return nil, errNoResponse
	}
	x.conn.left = math.MaxInt64
	x.close = resp.Close
	if resp.Body == http.NoBody {
		x.end(true)
	} else {
		x.body, resp.Body = resp.Body, x
	}
	return resp, nil
}

// readHead reads up to the body of the final response. A parser of the usual
// heads alone would take half of ReadResponse's 1.4 microseconds, which does not
// justify a second parser.
func (x *exchange) readHead(req *http.Request) (*http.Response, error) {
	for {
		resp, err := http.ReadResponse(x.buf.Reader, req)
		switch {
		case err != nil && x.conn.left == 0:
			return nil, errHeadTooLarge
		case err != nil:
			return nil, fmt.Errorf("malformed response: %w", err)
		case resp.ProtoMajor != 1:
			return nil, fmt.Errorf("response in %s", resp.Proto)
		case resp.StatusCode == http.StatusSwitchingProtocols:
			return nil, errors.New("response with status 101, which was not requested")
		case resp.StatusCode >= 200: // not interim
			return resp, nil
		}
	}
}

// end keeps the connection for another call, if the response is complete and
// nothing can follow it, or else closes the connection. It reports whether ctx has
// cut the connection.
func (x *exchange) end(complete bool) (cut bool) {
	cut = !x.stop()
	if complete && !x.close && !cut && x.buf.Buffered() == 0 {
		x.transport.put(x.conn)
	} else {
		x.conn.Close()
	}
	x.buf.release()
	x.conn, x.buf = nil, nil
	return cut
}

// Read reads from the body of the response.
func (x *exchange) Read(p []byte) (n int, err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.err != nil {
		return 0, x.err
	}
	n, err = x.body.Read(p)
	if err != nil {
		if cut := x.end(err == io.EOF); cut && err != io.EOF {
			err = x.ctx.Err()
		}
		x.err = err
	}
	return n, err
}

// Close ends the use of the body.
func (x *exchange) Close() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.err == nil {
		x.end(false)
	}
	x.err = http.ErrBodyReadAfterClose
	return nil
}

// appendRequest appends the head of req (RFC 9112, section 3). It reports false
// for all requests that are not simple, and for those in which a byte could end a
// line or have another meaning for the server. They are for net/http.
func appendRequest(b []byte, req *http.Request) (_ []byte, ok bool) {
	u := req.URL
	switch {
	case req.Method != http.MethodGet && req.Method != http.MethodHead,
		req.Body != nil && req.Body != http.NoBody, req.ContentLength != 0, req.Close, len(req.TransferEncoding) > 0, len(req.Trailer) > 0,
		u == nil, u.Scheme != "http", u.Opaque != "", !isSimpleHost(u.Host):
		return b, false
	}
	host := u.Host
	if req.Host != "" && req.Host != host {
		if host = req.Host; !isSimpleHost(host) {
			return b, false
		}
	}
	target := u.RequestURI()
	if !isVisibleASCII(target, '!') || target[0] != '/' {
		return b, false
	}
	b = append(b, req.Method...)
	b = append(b, ' ')
	b = append(b, target...)
	b = append(b, " HTTP/1.1\r\nHost: "...)
	b = append(b, host...)
	for key, values := range req.Header {
		switch textproto.CanonicalMIMEHeaderKey(key) {
		case "Host", "Content-Length", "Transfer-Encoding", "Trailer", "Te", "Connection", "Keep-Alive", "Proxy-Connection", "Upgrade", "Expect":
			return b, false // they change where the message ends
		}
		if !isToken(key) {
			return b, false
		}
		for _, value := range values {
			if !isVisibleASCII(value, ' ') {
				return b, false
			}
			b = append(b, "\r\n"...)
			b = append(b, key...)
			b = append(b, ": "...)
			b = append(b, value...)
		}
	}
	return append(b, "\r\n\r\n"...), true
}

// isVisibleASCII reports whether all bytes of s are visible ASCII, from least on.
func isVisibleASCII(s string, least byte) bool {
	for i := range len(s) {
		if s[i] < least || s[i] > '~' {
			return false
		}
	}
	return true
}

// isToken reports whether s is a token of letters, digits, - and _ (RFC 9110,
// section 5.6.2, allows more).
func isToken(s string) bool {
	for i := range len(s) {
		if c := s[i]; !alphanumeric(c) && c != '-' && c != '_' {
			return false
		}
	}
	return s != ""
}

// isSimpleHost reports whether s is an ASCII host with or without a port, and
// without a zone.
func isSimpleHost(s string) bool {
	for i := range len(s) {
		if c := s[i]; !alphanumeric(c) && strings.IndexByte("-._:[]", c) < 0 {
			return false
		}
	}
	return s != "" && s[len(s)-1] != ':'
}

func alphanumeric(c byte) bool {
	return 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9'
}

// dialAddress returns the host of u with its port.
func dialAddress(u *url.URL) string {
	if u.Port() == "" {
		return u.Host + ":80"
	}
	return u.Host
}
