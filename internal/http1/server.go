// Package http1 is an HTTP/1.1 server and transport (RFC 9112) for simple
// requests, at a fraction of the cost of net/http, which serves all others.
// [Server] serves any http.Handler; [Transport] is an http.RoundTripper. Package
// server uses the one and package backendclient the other, unless an operator
// chooses net/http alone.
//
// net/http spends on each request what few requests need: a goroutine that
// watches the client, timers for each deadline, buffers between the handler and
// the connection. A simple request, which is nearly every one, arrives at once,
// with a length or without a body, and is served in the goroutine that read it.
// A connection that sends anything else, from a slow body to a WebSocket, goes
// to net/http with all that was read of it, for good: net/http parses whatever
// this package does not accept, and there are no two ways to refuse a request.
package http1

import (
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

// tick is how often connections are checked for their limits and for clients
// that may have closed them. The limits are as coarse.
const tick = 250 * time.Millisecond

// idleGrace is how long an idle connection stays open after Shutdown.
const idleGrace = 50 * time.Millisecond

// Server serves connections. Make it with NewServer.
type Server struct {
	http *http.Server
	// fallback has the connections that net/http is to serve.
	fallback *fallbackListener

	date atomic.Pointer[string] // of now, for the Date header
	now  atomic.Int64           // in ticks since the start

	mu         sync.Mutex
	listener   net.Listener
	conns      map[*conn]struct{}
	sweepTimer *time.Timer // calls sweep while there are connections
	stopping   atomic.Bool
	open       sync.WaitGroup // connections that are served here
}

// NewServer returns a server of the Handler of h, under its IdleTimeout,
// ReadHeaderTimeout (of a new connection that sends nothing), WriteTimeout,
// MaxHeaderBytes and ErrorLog. h itself serves the other requests, under all of
// its limits. It must not be started or stopped otherwise.
func NewServer(h *http.Server) *Server {
	s := &Server{http: h, conns: map[*conn]struct{}{}}
	s.fallback = &fallbackListener{conns: make(chan net.Conn), closed: make(chan struct{})}
	s.sweepTimer = time.AfterFunc(time.Hour, s.sweep)
	s.sweepTimer.Stop()
	return s
}

// Serve accepts connections from l until Shutdown or Close. It returns
// http.ErrServerClosed then, else the error of l.
func (s *Server) Serve(l net.Listener) error {
	s.mu.Lock()
	s.listener = l
	s.mu.Unlock()
	s.fallback.addr = l.Addr()
	go func() { _ = s.http.Serve(s.fallback) }() // it ends with Shutdown or Close, and not before
	var pause time.Duration
	for {
		nc, err := l.Accept()
		switch {
		case s.stopping.Load():
			if nc != nil {
				nc.Close()
			}
			return http.ErrServerClosed
		case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE), errors.Is(err, syscall.ECONNABORTED):
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			s.logf("accept: %v; again in %v", err, pause)
			time.Sleep(pause)
			continue
		case err != nil:
			return err
		}
		pause = 0
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
		s.sweepTimer.Reset(tick)
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

// sweep checks all connections, in place of timers for each request.
func (s *Server) sweep() {
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
	s.sweepTimer.Reset(tick)
}

// maxHead is the longest head of a request that is served here, in bytes.
func (s *Server) maxHead() int {
	if s.http.MaxHeaderBytes > 0 {
		return s.http.MaxHeaderBytes
	}
	return http.DefaultMaxHeaderBytes
}

func (s *Server) setDate() {
	date := time.Now().UTC().Format(http.TimeFormat)
	if old := s.date.Load(); old == nil || *old != date {
		s.date.Store(&date)
	}
}

// Shutdown stops accepting, ends idle connections and waits for the requests
// in flight until ctx ends, whose error it then returns. Functions that the
// http.Server has registered for its shutdown are called when no connections
// are accepted any more.
func (s *Server) Shutdown(ctx context.Context) error {
	s.stop(func(c *conn) {
		if !c.serving { // a request that is on its way is still served
			_ = c.nc.SetReadDeadline(time.Now().Add(idleGrace))
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
	if s.http.ErrorLog != nil {
		s.http.ErrorLog.Printf(format, args...)
		return
	}
	log.Printf(format, args...)
}

// fallbackListener is the listener of net/http.
type fallbackListener struct {
	addr   net.Addr
	conns  chan net.Conn
	once   sync.Once
	closed chan struct{}
}

// give gives net/http a connection with what was read of it.
func (h *fallbackListener) give(nc net.Conn, read []byte) {
	_ = nc.SetDeadline(time.Time{})
	select {
	case h.conns <- &prefixConn{Conn: nc, read: read}:
	case <-h.closed:
		nc.Close()
	}
}

func (h *fallbackListener) Accept() (net.Conn, error) {
	select {
	case nc := <-h.conns:
		return nc, nil
	case <-h.closed:
		return nil, net.ErrClosed
	}
}

func (h *fallbackListener) Close() error {
	h.once.Do(func() { close(h.closed) })
	return nil
}

func (h *fallbackListener) Addr() net.Addr { return h.addr }

// prefixConn is a connection with bytes that were read before.
type prefixConn struct {
	net.Conn
	read []byte
}

func (c *prefixConn) Read(b []byte) (int, error) {
	if len(c.read) > 0 {
		n := copy(b, c.read)
		if c.read = c.read[n:]; len(c.read) == 0 {
			c.read = nil // it may be long, and the connection may stay open
		}
		return n, nil
	}
	return c.Conn.Read(b)
}

// CloseWrite is for net/http, which so ends a connection whose request it did
// not read to the end: Close could destroy the response on its way.
func (c *prefixConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}
