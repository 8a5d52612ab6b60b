package wire

import (
	"context"
	"crypto/rand"
	"net/http"
)

// RequestIDHeader carries a request's id from the public layer to the
// backends and back to the client.
const RequestIDHeader = "X-Request-Id"

// maxRequestID is the longest id in bytes that is taken from a caller.
const maxRequestID = 64

type requestIDKey struct{}

// RequestID is the id of the request that ctx belongs to, "" outside of one.
func RequestID(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey{}).(string)
	return id
}

// WithRequestID gives a request its id: the caller's, if it is short and plain
// enough to stand in a log line, else a random one. The answer shows it.
func WithRequestID(ctx context.Context, w http.ResponseWriter, r *http.Request) context.Context {
	id := r.Header.Get(RequestIDHeader)
	if !plainID(id) {
		id = rand.Text()
	}
	w.Header()[RequestIDHeader] = []string{id}
	return context.WithValue(ctx, requestIDKey{}, id)
}

func plainID(id string) bool {
	if id == "" || len(id) > maxRequestID {
		return false
	}
	for _, c := range []byte(id) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_', c == '.':
		default:
			return false
		}
	}
	return true
}
