// Package http1 carries HTTP/1.1 (RFC 9112) at a fraction of what net/http
// takes, and leaves to net/http what is not plain. [Server] serves any
// http.Handler; [Transport] is an http.RoundTripper. Package server listens
// with the one, package wire calls backends with the other.
//
// net/http spends on each request what few requests need: a goroutine that
// watches the client, timers for each deadline, buffers between the handler
// and the connection. A plain request, which is nearly every one, comes whole,
// with a length or without a body, and is answered in the goroutine that read
// it. A connection that sends anything else, from a slow body to a WebSocket,
// is given to net/http with all that was read of it, for good: so its parser
// judges whatever ours does not take, and nothing is refused in two ways.
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

// tick is how often connections are looked at: for limits that have passed
// and for clients that may have gone. Times of connections are as coarse.
const tick = 250 * time.Millisecond

// grace is how long an idle connection stays open after Shutdown.
const grace = 50 * time.Millisecond

// Server serves connections. Make it with NewServer.
type Server struct {
	http *http.Server
	// others takes the connections that net/http shall serve.
	others *handover

	date atomic.Pointer[string] // of now, for the Date header
	now  atomic.Int64           // in ticks since the start

	mu       sync.Mutex
	listener net.Listener
	conns    map[*conn]struct{}
	sweeper  *time.Timer // calls sweep while there are connections
	stopping atomic.Bool
	open     sync.WaitGroup // connections that are served here
}

// NewServer serves the Handler of h, under its IdleTimeout,
// ReadHeaderTimeout (of a new connection that sends nothing), WriteTimeout,
// MaxHeaderBytes and ErrorLog. h itself serves what is not plain, under all of its limits. It
// must not be started or stopped by anybody else.
func NewServer(h *http.Server) *Server {
	s := &Server{http: h, conns: map[*conn]struct{}{}}
	s.others = &handover{conns: make(chan net.Conn), closed: make(chan struct{})}
	s.sweeper = time.AfterFunc(time.Hour, s.sweep)
	s.sweeper.Stop()
	return s
}

// Serve accepts connections from l until Shutdown or Close, and gives
// http.ErrServerClosed then, else why it could not go on.
func (s *Server) Serve(l net.Listener) error {
	s.mu.Lock()
	s.listener = l
	s.mu.Unlock()
	s.others.addr = l.Addr()
	go func() { _ = s.http.Serve(s.others) }() // it ends with Shutdown or Close, and not before
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

// begin serves a new connection in its own goroutine.
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
		s.sweeper.Reset(tick)
	}
	go c.serve()
}

// forget ends the part that a connection had in this server.
func (s *Server) forget(c *conn) {
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
	s.open.Done()
}

// sweep looks after all connections, in place of timers for each request.
func (s *Server) sweep() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.conns) == 0 {
		return
	}
	s.setDate()
	s.now.Add(1)
	for c := range s.conns {
		c.look()
	}
	s.sweeper.Reset(tick)
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
// under way until ctx ends, whose error it then gives. Functions that the
// http.Server has registered for its shutdown are called when nobody is
// accepted any more.
func (s *Server) Shutdown(ctx context.Context) error {
	s.stop(func(c *conn) {
		if !c.serving { // what is on its way already shall still be answered
			_ = c.nc.SetReadDeadline(time.Now().Add(grace))
		}
	})
	others := s.http.Shutdown(ctx)
	done := make(chan struct{})
	go func() {
		s.open.Wait()
		close(done)
	}()
	select {
	case <-done:
		return others
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close ends all connections at once, whatever they are doing.
func (s *Server) Close() error {
	s.stop(func(c *conn) { c.nc.Close() })
	return s.http.Close()
}

// stop closes the listener and has end end each connection, whose lock is
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

// handover is the listener from which net/http gets its connections.
type handover struct {
	addr   net.Addr
	conns  chan net.Conn
	once   sync.Once
	closed chan struct{}
}

// give hands a connection over, with what was read of it.
func (h *handover) give(nc net.Conn, read []byte) {
	_ = nc.SetDeadline(time.Time{})
	select {
	case h.conns <- &begunConn{Conn: nc, read: read}:
	case <-h.closed:
		nc.Close()
	}
}

func (h *handover) Accept() (net.Conn, error) {
	select {
	case nc := <-h.conns:
		return nc, nil
	case <-h.closed:
		return nil, net.ErrClosed
	}
}

func (h *handover) Close() error {
	h.once.Do(func() { close(h.closed) })
	return nil
}

func (h *handover) Addr() net.Addr { return h.addr }

// begunConn is a connection of which something was read already.
type begunConn struct {
	net.Conn
	read []byte
}

func (c *begunConn) Read(b []byte) (int, error) {
	if len(c.read) > 0 {
		n := copy(b, c.read)
		if c.read = c.read[n:]; len(c.read) == 0 {
			c.read = nil // it may be long, and the connection may stay
		}
		return n, nil
	}
	return c.Conn.Read(b)
}

// CloseWrite is for net/http, which so ends a connection whose request it did
// not read to the end: a mere Close could destroy the answer on its way.
func (c *begunConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}
