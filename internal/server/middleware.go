package server

import (
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/go-chi/chi/v5/middleware"

	"github.com/veranda-go/veranda/internal/apierror"
	"github.com/veranda-go/veranda/internal/httpapi"
	"github.com/veranda-go/veranda/internal/requestid"
)

// begin gives each request its id and its deadline.
func (s *Server) begin(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.handlers.Add(1)
		defer s.handlers.Done()
		id := requestid.Accept(r.Header.Get(requestid.Header))
		w.Header()[requestid.Header] = []string{id}
		ctx, cancel := httpapi.WithTimeout(requestid.With(r.Context(), id), s.stopping)
		defer cancel()
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// logged logs each request at debug level: a line for each would cost a busy
// service more than its responses.
func (s *Server) logged(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		ww := middleware.NewWrapResponseWriter(w, r.ProtoMajor)
		next.ServeHTTP(ww, r)
		if s.log.Enabled(r.Context(), slog.LevelDebug) {
			s.log.DebugContext(r.Context(), "request", "method", r.Method, "path", r.URL.Path,
				"status", ww.Status(), "bytes", ww.BytesWritten(), "us", time.Since(start).Microseconds())
		}
	})
}

// recovered turns a panic into a logged 500. If the response has begun it closes
// the connection, so that half a response does not look whole.
func (s *Server) recovered(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			p := recover()
			if p == nil {
				return
			}
			if p == http.ErrAbortHandler {
				panic(p)
			}
			err := apierror.Wrap(apierror.Internal, "internal error", fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
			if ww, ok := w.(middleware.WrapResponseWriter); ok && ww.Status() != 0 {
				s.log.ErrorContext(r.Context(), "panic after the response began", "err", err)
				panic(http.ErrAbortHandler)
			}
			httpapi.WriteError(w, r, s.log, err)
		}()
		next.ServeHTTP(w, r)
	})
}
