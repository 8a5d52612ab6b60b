// Package wire is the HTTP dress that all services share: how parameters are
// read ([Params]), how answers and faults are written ([Handle]), and how one
// service calls another ([Client]). The rules of what is asked live in
// backend/listings and backend/users, above it; faults come from below.
package httpapi

import (
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"

	"github.com/veranda-go/veranda/internal/apierror"
	"github.com/veranda-go/veranda/internal/fastjson"
)

// Handle makes an http.HandlerFunc of a function that returns an error: a
// fault becomes the failure envelope. Faults of ours are logged with their
// cause, here and nowhere else.
func Handle(log *slog.Logger, f func(http.ResponseWriter, *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := f(w, r); err != nil {
			WriteError(w, r, log, err)
		}
	}
}

// WriteError answers with err's public half and logs the private half of what
// is not the caller's doing.
func WriteError(w http.ResponseWriter, r *http.Request, log *slog.Logger, err error) {
	f := apierror.From(err)
	status := f.Kind.HTTPStatus()
	if status >= 500 && r.Context().Err() == nil {
		log.ErrorContext(r.Context(), "request failed", "method", r.Method, "path", r.URL.Path, "status", status, "err", err)
	}
	if f.Kind == apierror.Unavailable || f.Kind == apierror.Conflict {
		after := max(f.RetryAfter, time.Second)
		w.Header().Set("Retry-After", strconv.Itoa(int((after+time.Second-1)/time.Second)))
	}
	writeFailure(w, status, f.Messages())
}

func writeFailure(w http.ResponseWriter, status int, sentences []string) {
	w.Header().Set("Cache-Control", "no-store")
	Write(w, status, func(b []byte) []byte {
		b = append(b, `{"result":false,"errors":`...)
		b = fastjson.AppendStrings(b, sentences)
		return append(b, '}')
	})
}

// GetBuffer returns a pooled buffer, for PutBuffer to take back.
func GetBuffer() *[]byte { return buffers.Get().(*[]byte) }

var buffers = sync.Pool{New: func() any { return new([]byte) }}

// maxPooled is the largest buffer, in bytes, that is kept for reuse, so one
// huge answer does not stay in memory for ever.
const maxPooled = 1 << 20

// Write sends a JSON body. The body is complete before the status is sent,
// and leaves with its length.
func Write(w http.ResponseWriter, status int, body func([]byte) []byte) {
	WriteAs(w, status, MediaJSON, body)
}

// MediaJSON is the media type of all answers but GraphQL's.
const MediaJSON = "application/json"

// WriteAs is Write for a body of another media type.
func WriteAs(w http.ResponseWriter, status int, contentType string, body func([]byte) []byte) {
	WithBuffer(body, func(b []byte) { send(w, status, contentType, b) })
}

// WithBuffer lets use have what body appends to a pooled buffer, which is not
// use's to keep.
func WithBuffer(body func([]byte) []byte, use func([]byte)) {
	p := buffers.Get().(*[]byte)
	b := body((*p)[:0])
	use(b)
	*p = b
	PutBuffer(p)
}

func PutBuffer(p *[]byte) {
	if cap(*p) <= maxPooled {
		buffers.Put(p)
	}
}

func send(w http.ResponseWriter, status int, contentType string, body []byte) {
	h := w.Header()
	h["Content-Type"] = []string{contentType}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client may be gone; there is nobody left to tell
}

// methods are those that a router of ours may know, for the Allow header. HEAD
// goes with GET.
var methods = []string{"GET", "POST"}

// NewRouter is a chi router whose 404 and 405 carry the failure envelope.
// Every GET route also answers HEAD.
func NewRouter() *chi.Mux {
	r := chi.NewRouter()
	r.Use(middleware.GetHead)
	r.NotFound(func(w http.ResponseWriter, _ *http.Request) {
		writeFailure(w, http.StatusNotFound, []string{"no such route"})
	})
	r.MethodNotAllowed(func(w http.ResponseWriter, req *http.Request) {
		var allowed []string
		for _, m := range methods {
			if r.Match(chi.NewRouteContext(), m, req.URL.Path) {
				allowed = append(allowed, m)
			}
			if m == "GET" && len(allowed) > 0 {
				allowed = append(allowed, "HEAD")
			}
		}
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		writeFailure(w, http.StatusMethodNotAllowed, []string{req.Method + " is not allowed here"})
	})
	return r
}

// Pong answers a ping with the documented plain text. A header lists what both
// services do beyond the documented.
func Pong(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set(FeaturesHeader, FeatureIdempotencyKey)
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte("pong!"))
}
