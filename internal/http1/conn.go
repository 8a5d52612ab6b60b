package http1

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"sync"
	"time"
)

const (
	// bufferBytes is the size of a connection's buffer. It is larger during a
	// larger request.
	bufferBytes = 4 << 10
	// maxRequestBytes is the largest request, head and body, that is served
	// without net/http.
	maxRequestBytes = 160 << 10
	// restTimeout is how long the rest of a request may take before net/http takes
	// the connection, with its limits for slow clients.
	restTimeout = 250 * time.Millisecond
	// watchAfterTicks is how many ticks a request takes before its connection is
	// watched for its end.
	watchAfterTicks = 1
)

// conn is a connection. Its goroutine serves one request after the other. mu
// guards the fields that checkAll uses, too.
type conn struct {
	server *Server
	nc     net.Conn
	remote string
	ctx    context.Context // ends with the connection, or when watch finds its end
	cancel context.CancelFunc

	buf   []byte // buf[:n] is read and not served yet
	n     int
	ahead [1]byte // read by watch
	resp  response

	mu       sync.Mutex
	serving  bool
	fresh    bool          // no request was read yet
	since    int64         // the tick at which serving or waiting began
	timed    bool          // the connection has a deadline of its own in place of the server's limits
	watched  chan struct{} // closed when watch has returned; nil if it does not run
	aheadLen int           // how much of ahead watch has read
}

// serve serves the connection until it ends or net/http takes it.
func (c *conn) serve() {
	defer c.server.forget(c)
	defer c.cancel()
	c.buf = make([]byte, bufferBytes)
	for {
		req, size := c.read()
		if req == nil {
			return
		}
		if !c.respond(req) || c.server.stopping.Load() {
			c.nc.Close()
			return
		}
		c.n = copy(c.buf, c.buf[size:c.n])
		if c.aheadLen > 0 {
			c.buf[c.n] = c.ahead[0] // there is room: at least one byte was served
			c.n++
			c.aheadLen = 0
		}
		if len(c.buf) > bufferBytes && c.n < bufferBytes {
			c.buf = append(make([]byte, 0, bufferBytes), c.buf[:c.n]...)[:bufferBytes]
		}
	}
}

// read returns the next request and its length in bytes, nil when the
// connection is closed or net/http has taken it.
func (c *conn) read() (*http.Request, int) {
	waiting := false // for the rest of a request
	for {
		if c.n > 0 {
			req, size, result := c.parse(c.buf[:c.n])
			switch {
			case result == accepted:
				if waiting {
					_ = c.nc.SetReadDeadline(time.Time{})
				}
				return req, size
			case result == unsupported, size > maxRequestBytes, c.n >= maxRequestBytes:
				c.server.fallback.give(c.nc, c.buf[:c.n])
				return nil, 0
			}
			if need := max(size, c.n+1); need > len(c.buf) {
				c.buf = append(make([]byte, 0, max(need, 2*len(c.buf))), c.buf[:c.n]...)
				c.buf = c.buf[:cap(c.buf)]
			}
			if !waiting {
				waiting = true
				c.setTimed()
				_ = c.nc.SetReadDeadline(time.Now().Add(restTimeout))
			}
		}
		n, err := c.nc.Read(c.buf[c.n:])
		c.n += n
		if waiting && errors.Is(err, os.ErrDeadlineExceeded) {
			c.server.fallback.give(c.nc, c.buf[:c.n])
			return nil, 0
		}
		if err != nil {
			c.nc.Close()
			return nil, 0
		}
	}
}

// setTimed notes that the connection gets a deadline of its own.
func (c *conn) setTimed() {
	c.mu.Lock()
	c.timed = true
	c.mu.Unlock()
}

// respond serves a request and reports whether another one may follow on this
// connection.
func (c *conn) respond(req *http.Request) (more bool) {
	c.mu.Lock()
	c.serving, c.fresh, c.timed, c.since = true, false, false, c.server.now.Load()
	c.mu.Unlock()
	w := &c.resp
	w.reset(c, req)
	more = w.finish(c.handle(w, req))
	return !c.unwatch() && more
}

// handle calls the handler and reports false if it panicked. The rest of the
// response is not sent then, since a part of it must not look complete.
func (c *conn) handle(w *response, req *http.Request) (ok bool) {
	defer func() {
		if p := recover(); p != nil && p != http.ErrAbortHandler {
			c.server.logf("panic serving %v: %v\n%s", c.remote, p, debug.Stack())
		}
	}()
	c.server.http.Handler.ServeHTTP(w, req)
	return true
}

// unwatch ends watch and reports whether the client has closed the connection.
func (c *conn) unwatch() bool {
	c.mu.Lock()
	c.serving, c.since = false, c.server.now.Load()
	watched, timed := c.watched, c.timed
	c.watched, c.timed = nil, false
	c.mu.Unlock()
	if watched != nil {
		_ = c.nc.SetReadDeadline(past) // ends watch's read
		<-watched
		_ = c.nc.SetReadDeadline(time.Time{})
	}
	if timed {
		_ = c.nc.SetWriteDeadline(time.Time{})
	}
	return c.ctx.Err() != nil
}

// past is a deadline that ends reads and writes.
var past = time.Unix(1, 0)

// check closes the connection if it is over its limits, and starts watch if its
// request takes long.
func (c *conn) check() {
	c.mu.Lock()
	defer c.mu.Unlock()
	took := c.server.now.Load() - c.since
	limit := c.server.http.IdleTimeout
	switch {
	case c.serving:
		limit = c.server.http.WriteTimeout
	case c.fresh:
		limit = c.server.http.ReadHeaderTimeout
	}
	if limit > 0 && !c.timed && time.Duration(took)*tick > limit {
		c.nc.Close() // ends its reads and writes
	}
	if c.serving && c.watched == nil && took > watchAfterTicks && c.aheadLen == 0 {
		c.watched = make(chan struct{})
		go c.watch(c.watched)
	}
}

// watch reads from the connection while a request is served: it finds the end of
// the connection, or one byte of the next request.
func (c *conn) watch(done chan struct{}) {
	defer close(done)
	n, err := c.nc.Read(c.ahead[:])
	c.mu.Lock()
	c.aheadLen = n
	c.mu.Unlock()
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		c.cancel()
	}
}
