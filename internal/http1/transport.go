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
	"slices"
	"strings"
	"sync"
	"time"
)

// Limits of a Transport.
const (
	dialTimeout = time.Second
	keepAlive   = 15 * time.Second
	// maxAnswerHead bounds the head of an answer in bytes, interim answers
	// before it included.
	maxAnswerHead = 64 << 10
	// maxIdlePerHost is how many connections to one host may wait for a request.
	maxIdlePerHost = 512
	// maxIdleTime may be longer than a server keeps a connection: a GET on one
	// that the server has closed is repeated.
	maxIdleTime = 90 * time.Second
	// maxIdleTimeOther is for requests that cannot be repeated. Some servers close
	// idle connections after 5 seconds, and a creation sent on a connection that is
	// just being closed fails, so these are closed before.
	maxIdleTimeOther = 4 * time.Second
	// answerBuffer is the size of what an answer is read through. A head that
	// does not fit is read all the same, but more slowly.
	answerBuffer = 8 << 10
)

// Transport is an http.RoundTripper for a few hosts that are asked often. A
// GET or HEAD by plain http runs in its caller's goroutine alone, where
// net/http's Transport passes each call through two fallback. Everything else,
// above all what has a body, goes to such a Transport. Make it with
// NewTransport; it may be used by many goroutines.
//
// It dials what the URL names, for a second at most: no proxy, whatever the
// environment says. It follows no redirect, asks for no compression and sends
// no User-Agent. The head of a response may have 64 KB. Up to 512 connections
// for each host wait 90 seconds for their next request, those of other
// requests 4 seconds.
//
// The request's context covers the call until the response's body has been read
// to its end or closed; a call that it ends returns its error. A connection
// that cannot be made gives a *net.OpError whose Op is "dial". A body that is
// shorter than it should be (RFC 9112, section 8) ends in io.ErrUnexpectedEOF. Closing a body that
// was not read to its end closes its connection; Close waits for a Read under
// way, which ends with the context.
//
// A GET or HEAD is repeated once, on a new connection, when the connection of
// an earlier call ends before the first byte of the answer (RFC 9112, section
// 9.3.1), or when its answer is 408, which a server says to idle connections
// before it closes them (RFC 9110, section 15.5.9).
type Transport struct {
	other    http.Transport
	dialer   net.Dialer
	idleTime time.Duration
	idleMax  int

	mu    sync.Mutex
	idle  map[string][]*clientConn // by address, the one that waits longest first
	timer *time.Timer              // for expire
	armed bool
}

// NewTransport returns a Transport.
func NewTransport() *Transport {
	dialer := net.Dialer{Timeout: dialTimeout, KeepAlive: keepAlive}
	return &Transport{
		dialer: dialer, idleTime: maxIdleTime, idleMax: maxIdlePerHost,
		idle: map[string][]*clientConn{},
		other: http.Transport{
			DialContext:            dialer.DialContext,
			TLSHandshakeTimeout:    2 * time.Second,
			MaxIdleConns:           maxIdlePerHost,
			MaxIdleConnsPerHost:    maxIdlePerHost,
			IdleConnTimeout:        maxIdleTimeOther,
			MaxResponseHeaderBytes: maxAnswerHead,
			DisableCompression:     true,
			WriteBufferSize:        8 << 10,
			ReadBufferSize:         16 << 10,
			// No Proxy: backends are reached directly, whatever the environment says.
		},
	}
}

// RoundTrip implements http.RoundTripper.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	buf := clientBuffers.Get().(*clientBuffer)
	head, ok := appendRequest(buf.head[:0], req)
	if !ok || !canCheckIdle {
		buf.release()
		return t.other.RoundTrip(req)
	}
	buf.head = head
	ctx, addr := req.Context(), dialAddress(req.URL.Host)
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
			err = ctx.Err() // final: this is not repeated
		}
		if !used || !errors.Is(err, errUnanswered) {
			buf.release()
			return nil, err
		}
	}
}

// CloseIdleConnections closes the connections that no call is using.
func (t *Transport) CloseIdleConnections() {
	t.other.CloseIdleConnections()
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, waiting := range t.idle {
		closeAll(waiting)
	}
	clear(t.idle)
	if t.armed {
		t.timer.Stop()
		t.armed = false
	}
}

// take returns the idle connection to addr that was used last, or nil.
//
// A server may have written to a connection while it was idle: a 408 before
// it closes it, or more than the length of its last answer. That must not
// become the response to the next request, so the connection is checked. It costs a
// system call of 0.7 microseconds, where a call takes 20, and saves requests
// from connections that are already closed. What arrives between the check
// and the request cannot be told from a response, unless it is a 408.
func (t *Transport) take(addr string) *clientConn {
	for {
		t.mu.Lock()
		waiting := t.idle[addr]
		last := len(waiting) - 1
		if last < 0 {
			t.mu.Unlock()
			return nil
		}
		c := waiting[last]
		waiting[last] = nil
		t.idle[addr] = waiting[:last]
		t.mu.Unlock()
		if time.Since(c.since) < t.idleTime && c.silent() {
			return c
		}
		c.Close()
	}
}

// put keeps c for the next call.
func (t *Transport) put(c *clientConn) {
	c.since = time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	waiting := t.idle[c.addr]
	if len(waiting) >= t.idleMax {
		c.Close()
		return
	}
	t.idle[c.addr] = append(waiting, c)
	if !t.armed {
		t.arm(t.idleTime)
	}
}

// arm has expire called after d. There is one timer for all connections.
func (t *Transport) arm(d time.Duration) {
	t.armed = true
	if t.timer == nil {
		t.timer = time.AfterFunc(d, t.expire)
	} else {
		t.timer.Reset(d)
	}
}

// expire closes the connections that have been idle for too long, and arms the
// timer for the next one.
func (t *Transport) expire() {
	t.mu.Lock()
	defer t.mu.Unlock()
	now, next := time.Now(), time.Duration(math.MaxInt64)
	for addr, waiting := range t.idle {
		n := slices.IndexFunc(waiting, func(c *clientConn) bool { return now.Sub(c.since) < t.idleTime })
		if n < 0 {
			n = len(waiting)
		}
		closeAll(waiting[:n])
		if waiting = slices.Delete(waiting, 0, n); len(waiting) == 0 {
			delete(t.idle, addr)
			continue
		}
		t.idle[addr] = waiting
		next = min(next, t.idleTime-now.Sub(waiting[0].since))
	}
	t.armed = false
	if len(t.idle) > 0 {
		t.arm(next)
	}
}

func closeAll(conns []*clientConn) {
	for _, c := range conns {
		c.Close()
	}
}

// clientConn is a connection to a server. It belongs to one call or to the
// idle ones, and has no buffer of its own.
type clientConn struct {
	net.Conn
	addr   string
	since  time.Time   // idle since
	silent func() bool // reports whether there is nothing to read, not even an end
	cut    func()      // ends reads and writes for good
	left   int64       // bytes that may still be read
}

func (t *Transport) dial(ctx context.Context, addr string) (*clientConn, error) {
	// The dialer does not get the context's deadline: its own timer may fire first,
	// and a deadline that passed would look like a server that does not listen.
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
	c := &clientConn{Conn: nc, addr: addr, silent: look(nc)}
	c.cut = func() { _ = nc.SetDeadline(time.Unix(1, 0)) }
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

var errHeadTooLarge = fmt.Errorf("head of more than %d bytes", maxAnswerHead)

// clientBuffer is what a call needs besides its connection.
type clientBuffer struct {
	*bufio.Reader
	head []byte // of the request
}

var clientBuffers = sync.Pool{New: func() any {
	return &clientBuffer{Reader: bufio.NewReaderSize(nil, answerBuffer)}
}}

func (b *clientBuffer) release() {
	b.Reset(nil) // or the pool would hold a connection
	clientBuffers.Put(b)
}

// exchange is a request and its answer, whose body it is.
type exchange struct {
	transport *Transport
	conn      *clientConn
	buf       *clientBuffer
	ctx       context.Context
	stop      func() bool // takes conn from the context; false: too late
	close     bool        // the server will close conn

	mu   sync.Mutex // or a Close would give away what a Read is using
	body io.Reader
	err  error // how the body ended
}

// errUnanswered tells that nothing was said about the request.
var errUnanswered = errors.New("no answer")

// start sends the request and reads the head of its answer.
func (x *exchange) start(req *http.Request, used bool) (*http.Response, error) {
	x.conn.left = maxAnswerHead
	x.buf.Reset(x.conn)
	// No deadline beside this, for a context that runs out of time calls cut
	// as well. Nor is one to be taken back: a connection on which cut may have
	// been called is not used again.
	x.stop = context.AfterFunc(x.ctx, x.conn.cut)
	_, err := x.conn.Write(x.buf.head)
	if err == nil {
		_, err = x.buf.Peek(1)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errUnanswered, err)
	}
	resp, err := x.readHead(req)
	if err != nil {
		return nil, err
	}
	if used && resp.StatusCode == http.StatusRequestTimeout {
		return nil, errUnanswered
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

// readHead reads up to the body of the final answer. A parser that knows
// nothing but the usual head takes half of ReadResponse's 1.4 microseconds,
// which is too little to have a second one.
func (x *exchange) readHead(req *http.Request) (*http.Response, error) {
	for {
		resp, err := http.ReadResponse(x.buf.Reader, req)
		switch {
		case err != nil && x.conn.left == 0:
			return nil, errHeadTooLarge // whatever half a line looked like
		case err != nil:
			return nil, fmt.Errorf("answer not understood: %w", err)
		case resp.ProtoMajor != 1:
			return nil, fmt.Errorf("answer in %s", resp.Proto)
		case resp.StatusCode == http.StatusSwitchingProtocols:
			return nil, errors.New("answer switches protocols unasked")
		case resp.StatusCode >= 200: // those below come before the final one
			return resp, nil
		}
	}
}

// end gives up the connection, to the idle ones if there can be no doubt
// about what comes next on it.
func (x *exchange) end(whole bool) (cut bool) {
	cut = !x.stop()
	if whole && !x.close && !cut && x.buf.Buffered() == 0 {
		x.transport.put(x.conn)
	} else {
		x.conn.Close()
	}
	x.buf.release()
	x.conn, x.buf = nil, nil
	return cut
}

// Read reads from the body of the answer.
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

// Close ends the reading of the body.
func (x *exchange) Close() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.err == nil {
		x.end(false)
	}
	x.err = http.ErrBodyReadAfterClose
	return nil
}

// appendRequest appends the head of req (RFC 9112, section 3). It refuses all
// but plain requests, and those in which a byte could end a line or be read as
// something else by the server; net/http knows what to do with them.
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
			return b, false // they would change how the message is framed
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

// isVisibleASCII tells that all bytes of s are visible ASCII, the lowest being
// least.
func isVisibleASCII(s string, least byte) bool {
	for i := range len(s) {
		if s[i] < least || s[i] > '~' {
			return false
		}
	}
	return true
}

// isToken tells a token that is made of letters, digits, - and _ (RFC 9110,
// section 5.6.2, has more).
func isToken(s string) bool {
	for i := range len(s) {
		if c := s[i]; !alphanumeric(c) && c != '-' && c != '_' {
			return false
		}
	}
	return s != ""
}

// isSimpleHost tells an ASCII host with or without a port, and without a zone.
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

// dialAddress is host with a port.
func dialAddress(host string) string {
	if strings.LastIndexByte(host, ':') > strings.LastIndexByte(host, ']') {
		return host
	}
	return host + ":80"
}
