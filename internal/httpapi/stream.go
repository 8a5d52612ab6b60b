package httpapi

import (
	"context"
	"net/http"
	"sync"
	"time"
)

// RequestTimeout is how long a request may take, from the end of its header. A
// stream may take longer (see [Stream]); work that is shared by requests has a
// deadline of its own of this length.
const RequestTimeout = 20 * time.Second

// lifetime is what a stream lives by in place of the request's deadline.
type lifetime struct {
	client context.Context // ends when the client goes
	drain  context.Context // ends when the server is about to stop
}

type lifetimeKey struct{}

// WithTimeout returns ctx, the context of a request, with the deadline of
// RequestTimeout. drain ends when the server is about to stop.
func WithTimeout(ctx, drain context.Context) (context.Context, context.CancelFunc) {
	l := &lifetime{drain: drain}
	l.client = context.WithValue(ctx, lifetimeKey{}, l)
	return context.WithTimeout(l.client, RequestTimeout)
}

// Draining returns a context that ends when the server is about to stop. A
// request that waits should then respond with what it has.
func Draining(ctx context.Context) context.Context {
	if l, ok := ctx.Value(lifetimeKey{}).(*lifetime); ok {
		return l.drain
	}
	return context.Background()
}

// Stream frees a request that responds for as long as its client listens from
// the request's deadline and from the connection's write timeout. ctx ends with
// the client; drain ends when the server is about to stop and streams should
// close. The caller sets a deadline for each write through rc, and calls cancel
// in the end.
func Stream(w http.ResponseWriter, r *http.Request) (ctx, drain context.Context, cancel context.CancelFunc, rc *http.ResponseController) {
	rc = http.NewResponseController(w)
	_ = rc.SetWriteDeadline(time.Time{})
	ctx = r.Context()
	if l, ok := ctx.Value(lifetimeKey{}).(*lifetime); ok {
		ctx = l.client
	}
	ctx, cancel = context.WithCancel(ctx)
	return ctx, Draining(ctx), cancel, rc
}

// StreamLimits bound a stream.
type StreamLimits struct {
	// KeepAlive is the time between comments while there are no events.
	KeepAlive time.Duration
	// Write is how long the client may take to accept one message. A slower
	// client is disconnected.
	Write time.Duration
}

// DefaultStreamLimits keep a stream open through proxies, most of which close a
// connection that is silent for a minute.
var DefaultStreamLimits = StreamLimits{KeepAlive: 15 * time.Second, Write: 10 * time.Second}

// Events is a response of server-sent events (HTML standard, 9.2). Make it with
// NewEvents.
type Events struct {
	// Done ends when the client goes or is too slow, and when the server stops.
	Done context.Context

	w      http.ResponseWriter
	rc     *http.ResponseController
	cancel context.CancelFunc
	mu     sync.Mutex
	alive  *time.Timer
	limits StreamLimits
	buf    []byte
	closed bool
}

// NewEvents begins a stream of events. While there are none it sends a comment
// every limits.KeepAlive, so that proxies leave the connection open and a client
// that is gone is noticed. When the server stops, the stream ends without a
// last event, so that clients reconnect. The handler calls Close before it
// returns.
func NewEvents(w http.ResponseWriter, r *http.Request, limits StreamLimits) *Events {
	ctx, drain, cancel, rc := Stream(w, r)
	stop := context.AfterFunc(drain, cancel)
	e := &Events{Done: ctx, w: w, rc: rc, cancel: func() { stop(); cancel() }, limits: limits}
	h := w.Header()
	h["Content-Type"] = []string{MediaEvents}
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // nginx buffers responses by default
	w.WriteHeader(http.StatusOK)
	e.mu.Lock()
	e.alive = time.AfterFunc(limits.KeepAlive, e.comment)
	e.mu.Unlock()
	e.comment()
	return e
}

// MediaEvents is the content type of server-sent events.
const MediaEvents = "text/event-stream; charset=utf-8"

// comment sends a comment, which clients ignore.
func (e *Events) comment() {
	e.write(func(b []byte) []byte { return append(b, ":\n\n"...) })
}

// Send sends one event, whose data is one line; id may be empty. It reports
// whether the event was written.
func (e *Events) Send(event, id string, data func([]byte) []byte) bool {
	return e.write(func(b []byte) []byte {
		b = append(append(append(b, "event: "...), event...), '\n')
		if id != "" {
			b = append(append(append(b, "id: "...), id...), '\n')
		}
		b = append(b, "data: "...) // even when empty: browsers drop an event without data
		if data != nil {
			b = data(b)
		}
		return append(b, "\n\n"...)
	})
}

func (e *Events) write(appendTo func([]byte) []byte) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed || e.Done.Err() != nil {
		return false
	}
	e.buf = appendTo(e.buf[:0])
	_ = e.rc.SetWriteDeadline(time.Now().Add(e.limits.Write))
	if _, err := e.w.Write(e.buf); err != nil || e.rc.Flush() != nil {
		e.cancel()
		return false
	}
	e.alive.Reset(e.limits.KeepAlive)
	return true
}

// Close ends the stream. Nothing is written after it: net/http does not allow a
// write after the handler has returned.
func (e *Events) Close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	e.alive.Stop()
	e.cancel()
}
