package server

import (
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/veranda-go/veranda/internal/apierror"
	"github.com/veranda-go/veranda/internal/httpapi"
)

// begin gives each request its context.
func (s *Server) begin(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.handlers.Add(1)
		defer s.handlers.Done()
		ctx := httpapi.NewContext(w, r, requestTimeout, s.stopping)
		defer ctx.End()
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// recovered turns a panic into a logged 500, or into a cut connection when
// the answer had begun: half an answer must not look like a whole one.
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
			if rec, ok := w.(*recorder); ok && rec.status != 0 {
				s.log.ErrorContext(r.Context(), "panic after the answer had begun", "err", err)
				panic(http.ErrAbortHandler)
			}
			httpapi.WriteError(w, r, s.log, err)
		}()
		next.ServeHTTP(w, r)
	})
}

// logged writes a line for each request, at debug level: a busy service would
// else spend more on its log than on its answers.
func (s *Server) logged(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		rec := &recorder{ResponseWriter: w}
		next.ServeHTTP(rec, r)
		if !s.log.Enabled(r.Context(), slog.LevelDebug) {
			return
		}
		s.log.DebugContext(r.Context(), "request", "method", r.Method, "path", r.URL.Path,
			"status", rec.status, "bytes", rec.bytes, "us", time.Since(start).Microseconds())
	})
}

// recorder remembers what was answered.
type recorder struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	n, err := r.ResponseWriter.Write(b)
	r.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach flushing and deadlines.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
