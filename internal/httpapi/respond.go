// Package httpapi is the server half of HTTP, for every service: it reads a
// request's parameters ([Params]), writes responses and errors ([Handle]) and
// streams ([Events]). It knows nothing of listings and users. The client half
// is package backendclient.
package httpapi

import (
	"context"
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
	"github.com/veranda-go/veranda/internal/idempotency"
)

// Handle returns a handler that calls f and writes its error.
func Handle(log *slog.Logger, f func(http.ResponseWriter, *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := f(w, r); err != nil {
			WriteError(w, r, log, err)
		}
	}
}

// WriteError writes the public half of err as a failure envelope, with the
// status of its kind. It logs an error of status 500 and above with its cause;
// nothing else logs errors.
func WriteError(w http.ResponseWriter, r *http.Request, log *slog.Logger, err error) {
	e := apierror.From(err)
	status := e.Kind.HTTPStatus()
	if status >= 500 && r.Context().Err() == nil {
		log.ErrorContext(r.Context(), "request failed", "method", r.Method, "path", r.URL.Path, "status", status, "err", err)
	}
	if e.Kind == apierror.Unavailable || e.Kind == apierror.Conflict {
		after := max(e.RetryAfter, time.Second)
		w.Header().Set("Retry-After", strconv.Itoa(int((after+time.Second-1)/time.Second)))
	}
	writeFailure(w, status, e.Messages())
}

func writeFailure(w http.ResponseWriter, status int, messages []string) {
	w.Header().Set("Cache-Control", "no-store")
	Write(w, status, func(b []byte) []byte {
		b = append(b, `{"result":false,"errors":`...)
		return append(fastjson.AppendStrings(b, messages), '}')
	})
}

// MediaJSON is the content type of every response but those of GraphQL.
const MediaJSON = "application/json"

// Write writes a JSON response, complete and with its length.
func Write(w http.ResponseWriter, status int, body func([]byte) []byte) {
	WriteAs(w, status, MediaJSON, body)
}

// WriteAs is Write for another content type.
func WriteAs(w http.ResponseWriter, status int, contentType string, body func([]byte) []byte) {
	WithBuffer(body, func(b []byte) { send(w, status, contentType, b) })
}

// writeObject writes a success envelope whose member name is one object.
func writeObject(w http.ResponseWriter, name string, appendTo func([]byte) []byte) {
	Write(w, http.StatusOK, func(b []byte) []byte {
		b = append(append(append(b, `{"result":true,"`...), name...), `":`...)
		return append(appendTo(b), '}')
	})
}

// object is a type T whose pointers append themselves as JSON.
type object[T any] interface {
	*T
	AppendJSON([]byte) []byte
}

// GetByID returns a handler of GET on a route with {id}. get returns the object with
// an id of at least 1.
func GetByID[T any, P object[T]](name string, get func(ctx context.Context, id int64) (T, error)) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		p := &Params{}
		id := p.whole(1, "id", value{text: chi.URLParam(r, "id")})
		if err := p.Err(); err != nil {
			return err
		}
		found, err := get(r.Context(), id)
		if err != nil {
			return err
		}
		writeObject(w, name, P(&found).AppendJSON)
		return nil
	}
}

// Create serves a creation: it calls create with the draft that was read from p
// and with the request's idempotency key, and writes the object that it
// returns.
func Create[D, T any, P object[T]](
	w http.ResponseWriter, r *http.Request, p *Params, draft D, name string,
	create func(ctx context.Context, draft D, key string) (created T, replayed bool, err error),
) error {
	if err := p.Err(); err != nil {
		return err
	}
	key, err := idempotency.KeyOf(r.Header)
	if err != nil {
		return err
	}
	created, replayed, err := create(r.Context(), draft, key)
	if err != nil {
		return err
	}
	if replayed {
		w.Header().Set(idempotency.ReplayedHeader, "true")
	}
	writeObject(w, name, P(&created).AppendJSON)
	return nil
}

var buffers = sync.Pool{New: func() any { return new([]byte) }}

// maxPooled is the largest buffer in bytes that is kept for reuse, so that one
// huge response does not hold its memory forever.
const maxPooled = 1 << 20

// WithBuffer calls use with what body appends to a pooled buffer. use must not
// keep it.
func WithBuffer(body func([]byte) []byte, use func([]byte)) {
	p := buffers.Get().(*[]byte)
	*p = body((*p)[:0])
	use(*p)
	if cap(*p) <= maxPooled {
		buffers.Put(p)
	}
}

func send(w http.ResponseWriter, status int, contentType string, body []byte) {
	h := w.Header()
	h["Content-Type"] = []string{contentType}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // fails only if the client is gone
}

// NewRouter returns a chi router whose 404 and 405 responses carry the failure
// envelope. Every GET route also serves HEAD.
func NewRouter() *chi.Mux {
	r := chi.NewRouter()
	r.Use(middleware.GetHead)
	r.NotFound(func(w http.ResponseWriter, _ *http.Request) {
		writeFailure(w, http.StatusNotFound, []string{"no such route"})
	})
	r.MethodNotAllowed(func(w http.ResponseWriter, req *http.Request) {
		var allowed []string
		if r.Match(chi.NewRouteContext(), http.MethodGet, req.URL.Path) {
			allowed = append(allowed, http.MethodGet, http.MethodHead)
		}
		if r.Match(chi.NewRouteContext(), http.MethodPost, req.URL.Path) {
			allowed = append(allowed, http.MethodPost)
		}
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		writeFailure(w, http.StatusMethodNotAllowed, []string{req.Method + " is not allowed here"})
	})
	return r
}

// Pong responds to a ping as documented, with a header that lists the features
// that both services have beyond the documented system.
func Pong(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set(idempotency.FeaturesHeader, idempotency.Feature)
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte("pong!"))
}
