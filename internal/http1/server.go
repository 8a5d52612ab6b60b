// Package http1 is an HTTP/1.1 server and transport (RFC 9112) for simple
// requests, at a fraction of the cost of net/http, which serves all other
// requests. [Server] serves any http.Handler; [Transport] is an
// http.RoundTripper. Package server uses the former and package backendclient the
// latter, unless an operator chooses net/http alone.
//
// For each request net/http starts a goroutine that watches the client, sets
// timers for deadlines, and copies through buffers. Few requests need that. A
// simple request, as nearly all are, arrives at once, with a Content-Length or
// without a body, and is served in the goroutine that read it. A connection that
// sends anything else, from a slow body to a WebSocket, passes to net/http for
// good, with the bytes that were read. So net/http parses whatever this package
// does not accept, and rejects requests in its own way.
package http1

import (
	"cmp"
	"context"
	"errors"
	"log"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// tick is how often connections are checked for their limits, which are as
	// coarse, and for clients that may have closed them.
	tick = 250 * time.Millisecond
	// shutdownIdle is how long an idle connection stays open after Shutdown: a
	// request may be on its way.
	shutdownIdle = 50 * time.Millisecond
	acceptPause  = 50 * time.Millisecond // when there are too many open files
)

// Server serves connections. Make it with NewServer.
type Server struct {
	http *http.Server
	// fallback passes connections to net/http.
	fallback *fallbackListener

	date atomic.Pointer[string] // for the Date header
	now  atomic.Int64           // in ticks since the start

	mu       sync.Mutex
	listener net.Listener
	conns    map[*conn]struct{} // without those of net/http
	timer    *time.Timer        // for checkAll, while there are connections
	stopping atomic.Bool
	open     sync.WaitGroup // conns
}

// NewServer returns a server of the Handler of h, with its IdleTimeout,
// ReadHeaderTimeout (of a new connection that sends nothing), WriteTimeout,
// MaxHeaderBytes and ErrorLog. h itself serves the requests that are not simple,
// with all of its limits. It must not be started or stopped by the caller.
func NewServer(h *http.Server) *Server {
	s := &Server{http: h, conns: map[*conn]struct{}{}}
	s.fallback = &fallbackListener{conns: make(chan net.Conn), closed: make(chan struct{})}
	s.timer = time.AfterFunc(time.Hour, s.checkAll)
	s.timer.Stop()
	return s
}

// Serve accepts connections from l until Shutdown or Close, and then returns
// http.ErrServerClosed, or until l fails, and then returns its error. It may be
// called once.
func (s *Server) Serve(l net.Listener) error {
	s.mu.Lock()
	s.listener = l
	s.mu.Unlock()
	s.fallback.addr = l.Addr()
	go func() { _ = s.http.Serve(s.fallback) }() // until Shutdown or Close
	for {
		nc, err := l.Accept()
		switch {
		case s.stopping.Load():
			if nc != nil {
				nc.Close()
			}
			return http.ErrServerClosed
		case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE), errors.Is(err, syscall.ECONNABORTED):
			s.logf("accept: %v; retrying in %v", err, acceptPause)
			time.Sleep(acceptPause)
			continue
		case err != nil:
			return err
		}
		s.begin(nc)
	}
}

// begin serves a new connection in a goroutine of its own.
func (s *Server) begin(nc net.Conn) {
	c := &conn{server: s, nc: nc, remote: nc.RemoteAddr().String(), since: s.now.Load(), fresh: true}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping.Load() {
		nc.Close()
		return
	}
	s.conns[c] = struct{}{}
	s.open.Add(1)
	if len(s.conns) == 1 {
		s.setDate()
		s.timer.Reset(tick)
	}
	go c.serve()
}

// forget removes a connection.
func (s *Server) forget(c *conn) {
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
	s.open.Done()
}

// checkAll checks all connections, in place of timers for each request.
func (s *Server) checkAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.conns) == 0 {
		return
	}
	s.setDate()
	s.now.Add(1)
	for c := range s.conns {
		c.check()
	}
	s.timer.Reset(tick)
}

// maxHead returns the largest head of a request in bytes.
func (s *Server) maxHead() int { return cmp.Or(s.http.MaxHeaderBytes, http.DefaultMaxHeaderBytes) }

func (s *Server) setDate() {
	date := time.Now().UTC().Format(http.TimeFormat)
	if old := s.date.Load(); old == nil || *old != date {
		s.date.Store(&date)
	}
}

// Shutdown closes the listener and idle connections, and waits for the requests
// in flight. If ctx ends first, it returns the error of ctx. Functions that were
// registered with http.Server.RegisterOnShutdown are called when the listener
// has closed.
func (s *Server) Shutdown(ctx context.Context) error {
	s.stop(func(c *conn) {
		if !c.serving {
			_ = c.nc.SetReadDeadline(time.Now().Add(shutdownIdle))
		}
	})
	fallback := s.http.Shutdown(ctx)
	done := make(chan struct{})
	go func() {
		s.open.Wait()
		close(done)
	}()
	select {
	case <-done:
		return fallback
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close closes all connections at once.
func (s *Server) Close() error {
	s.stop(func(c *conn) { c.nc.Close() })
	return s.http.Close()
}

// stop closes the listener and calls end for each connection, with its lock
// held.
func (s *Server) stop(end func(*conn)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.stopping.Swap(true) && s.listener != nil {
		s.listener.Close()
	}
	for c := range s.conns {
		c.mu.Lock()
		end(c)
		c.mu.Unlock()
	}
}

func (s *Server) logf(format string, args ...any) {
	cmp.Or(s.http.ErrorLog, log.Default()).Printf(format, args...)
}

// fallbackListener is the listener of the http.Server. Its connections come from
// give.
type fallbackListener struct {
	addr   net.Addr
	conns  chan net.Conn
	once   sync.Once
	closed chan struct{}
}

// give passes a connection to net/http, with the bytes that were read from it.
func (l *fallbackListener) give(nc net.Conn, read []byte) {
	_ = nc.SetDeadline(time.Time{})
	select {
	case l.conns <- &prefixConn{Conn: nc, read: read}:
	case <-l.closed:
		nc.Close()
	}
}

func (l *fallbackListener) Accept() (net.Conn, error) {
	select {
	case nc := <-l.conns:
		return nc, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *fallbackListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *fallbackListener) Addr() net.Addr { return l.addr }

// prefixConn is a connection from which bytes were read before.
type prefixConn struct {
	net.Conn
	read []byte
}

func (c *prefixConn) Read(b []byte) (int, error) {
	if len(c.read) > 0 {
		n := copy(b, c.read)
		if c.read = c.read[n:]; len(c.read) == 0 {
			c.read = nil // lets the buffer go
		}
		return n, nil
	}
	return c.Conn.Read(b)
}

// CloseWrite closes the write half. net/http calls it after a response to a
// request that it did not read to the end: Close could destroy that response.
func (c *prefixConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}
