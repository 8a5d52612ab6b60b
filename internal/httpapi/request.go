package httpapi

import (
	"context"
	"crypto/rand"
	"net/http"
	"sync"
	"time"
)

// RequestIDHeader carries a request's id from the public layer to the
// backends and back to the client.
const RequestIDHeader = "X-Request-Id"

// maxRequestID is the longest id in bytes that is taken from a caller.
const maxRequestID = 64

// RequestContext is the context of one request: its id, its deadline, and for
// streams what they live by. Make it with NewContext. The timer of a deadline
// costs more than all else in here, and most requests are answered before
// anybody waits, so it is made when somebody does.
type RequestContext struct {
	client   context.Context // ends when the client goes
	drain    context.Context // ends when the server is about to stop
	id       string
	deadline time.Time

	mu     sync.Mutex
	timed  context.Context // nil until somebody waits
	cancel context.CancelFunc
	ended  bool
}

type requestKey struct{}

// NewContext is the context of a request that is to be answered within limit,
// by a server that has drain end when it is about to stop. The request's id is
// the caller's, if that is short and plain enough to stand in a log line, else
// a random one; the answer shows it. End has to be called in the end.
func NewContext(w http.ResponseWriter, r *http.Request, limit time.Duration, drain context.Context) *RequestContext {
	id := r.Header.Get(RequestIDHeader)
	if !plainID(id) {
		id = rand.Text()
	}
	w.Header()[RequestIDHeader] = []string{id}
	return &RequestContext{client: r.Context(), drain: drain, id: id, deadline: time.Now().Add(limit)}
}

// End ends the context, as a context.CancelFunc does.
func (c *RequestContext) End() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	if c.cancel != nil {
		c.cancel()
	}
}

// limited is the context with its timer.
func (c *RequestContext) limited() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.timed == nil {
		c.timed, c.cancel = context.WithDeadline(c.client, c.deadline)
		if c.ended {
			c.cancel()
		}
	}
	return c.timed
}

// Deadline is part of context.Context.
func (c *RequestContext) Deadline() (time.Time, bool) { return c.deadline, true }

// Done is part of context.Context.
func (c *RequestContext) Done() <-chan struct{} { return c.limited().Done() }

// Err is part of context.Context.
func (c *RequestContext) Err() error { return c.limited().Err() }

// Value is part of context.Context.
func (c *RequestContext) Value(key any) any {
	if key == (requestKey{}) {
		return c
	}
	c.mu.Lock()
	timed := c.timed
	c.mu.Unlock()
	if timed == nil {
		return c.client.Value(key)
	}
	// Package context asks for its own kind, after Done, to make contexts below
	// without a goroutine for each.
	return timed.Value(key)
}

func requestOf(ctx context.Context) *RequestContext {
	c, _ := ctx.Value(requestKey{}).(*RequestContext)
	return c
}

// RequestID is the id of the request that ctx belongs to, "" outside of one.
func RequestID(ctx context.Context) string {
	if c := requestOf(ctx); c != nil {
		return c.id
	}
	return ""
}

// Untimed is the context of ctx's request without its deadline, for work that
// has an end of its own. It still ends when the client goes.
func Untimed(ctx context.Context) context.Context {
	if c := requestOf(ctx); c != nil {
		return untimed{c.client, c}
	}
	return ctx
}

type untimed struct {
	context.Context
	request *RequestContext
}

func (c untimed) Value(key any) any {
	if key == (requestKey{}) {
		return c.request
	}
	return c.Context.Value(key)
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
