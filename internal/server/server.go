// Package server listens, serves and drains, the same for every service of
// cmd/veranda. Its handlers are those of backend/listings, backend/users, rest,
// graph and playground; they write responses with package httpapi.
package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/veranda-go/veranda/internal/apierror"
	"github.com/veranda-go/veranda/internal/http1"
	"github.com/veranda-go/veranda/internal/httpapi"
)

// Limits of a connection and of a request. A client that is slower is
// disconnected. The deadline of a request is httpapi.RequestTimeout.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 15 * time.Second // header and body
	writeTimeout      = 30 * time.Second // from the end of the header to the end of the response
	idleTimeout       = 120 * time.Second
	maxHeaderBytes    = 64 << 10 // a batch of 1,000 ids of 19 digits is a request line of 23 KB
	// DrainTimeout is how long requests in progress may take when the server stops.
	DrainTimeout = 25 * time.Second
	readyTimeout = 2 * time.Second
)

// Server is one service on one listener. Make it with New.
type Server struct {
	// Name is the service's name in logs, such as listing-service.
	Name string
	// Standard serves with net/http alone instead of package http1. Set it before
	// Start.
	Standard bool

	log      *slog.Logger
	listener net.Listener
	http     httpServer
	ready    func(context.Context) error
	draining atomic.Bool
	failed   chan error

	stopping context.Context // ends when the server accepts no more requests
	stop     context.CancelFunc
	handlers sync.WaitGroup
}

// httpServer is an *http.Server or an *http1.Server.
type httpServer interface {
	Serve(net.Listener) error
	Shutdown(context.Context) error
	Close() error
}

// New listens on addr, host:port, where port 0 picks a free one. It serves
// nothing before Start.
func New(name, addr string, log *slog.Logger) (*Server, error) {
	ln, err := net.Listen("tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("%s: %s is in use by another program", name, addr)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: cannot listen on %s: %w", name, addr, err)
	}
	s := &Server{Name: name, log: log.With("service", name), listener: ln, failed: make(chan error, 1)}
	s.stopping, s.stop = context.WithCancel(context.Background())
	return s, nil
}

// URL returns the service's URL, such as http://127.0.0.1:8000.
func (s *Server) URL() string {
	addr := s.listener.Addr().(*net.TCPAddr)
	if addr.IP.IsUnspecified() {
		return fmt.Sprintf("http://localhost:%d", addr.Port)
	}
	return "http://" + addr.String()
}

// Log returns the service's logger.
func (s *Server) Log() *slog.Logger { return s.log }

// Start serves handler in the background. /readyz calls ready.
func (s *Server) Start(handler http.Handler, ready func(context.Context) error) {
	s.ready = ready
	s.http = s.newHTTP(handler)
	if !s.Standard {
		s.http = http1.NewServer(s.newHTTP(handler))
	}
	go func() {
		if err := s.http.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
			s.failed <- fmt.Errorf("%s: %w", s.Name, err)
		}
	}()
}

func (s *Server) newHTTP(handler http.Handler) *http.Server {
	h := &http.Server{
		Handler:           s.begin(s.logged(s.recovered(handler))),
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	// Streams end after the listener has closed, so that their clients reconnect
	// to another process.
	h.RegisterOnShutdown(s.stop)
	return h
}

// Failed returns a channel of the error that ends serving before Stop does.
func (s *Server) Failed() <-chan error { return s.failed }

// Drain makes /readyz fail, so that load balancers choose another process, while
// requests are still served.
func (s *Server) Drain() { s.draining.Store(true) }

// Stop closes the listener, ends streams and waits for the requests in progress
// for at most DrainTimeout; then it closes their connections.
func (s *Server) Stop() error {
	s.Drain()
	if s.http == nil {
		s.stop()
		return s.listener.Close()
	}
	ctx, cancel := context.WithTimeout(context.Background(), DrainTimeout)
	defer cancel()
	if err := s.http.Shutdown(ctx); err != nil {
		return errors.Join(fmt.Errorf("%s: requests were cut off: %w", s.Name, err), s.http.Close())
	}
	// Shutdown does not wait for WebSockets, whose connections are hijacked.
	done := make(chan struct{})
	go func() {
		s.handlers.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%s: WebSockets were cut off: %w", s.Name, ctx.Err())
	}
}

// Health adds /livez and /readyz to a service's routes.
func (s *Server) Health(r chi.Router) {
	r.Get("/livez", func(w http.ResponseWriter, _ *http.Request) { writeOK(w) })
	r.Get("/readyz", httpapi.Handle(s.log, func(w http.ResponseWriter, req *http.Request) error {
		if s.draining.Load() {
			return apierror.New(apierror.Unavailable, "draining")
		}
		ctx, cancel := context.WithTimeout(req.Context(), readyTimeout)
		defer cancel()
		if err := s.ready(ctx); err != nil {
			down := apierror.Wrap(apierror.Unavailable, "", err)
			down.Fields = apierror.From(err).Fields
			return down
		}
		writeOK(w)
		return nil
	}))
}

func writeOK(w http.ResponseWriter) {
	httpapi.Write(w, http.StatusOK, func(b []byte) []byte { return append(b, `{"result":true}`...) })
}
