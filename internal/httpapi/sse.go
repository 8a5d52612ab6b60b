package httpapi

import (
	"context"
	"net/http"
	"sync"
	"time"
)

// Draining is for a request that waits: it ends when the server is about to
// stop, and the request should answer with what it has.
func Draining(ctx context.Context) context.Context {
	if c := requestOf(ctx); c != nil {
		return c.drain
	}
	return context.Background()
}

// Stream frees a request that answers for as long as its client listens: from
// the request's deadline and from the connection's limit for an answer. ctx ends with
// the client; drain ends when the server is about to stop and streams should
// say goodbye. The caller sets a deadline for each write, by rc, and calls
// cancel in the end.
func Stream(w http.ResponseWriter, r *http.Request) (ctx, drain context.Context, cancel context.CancelFunc, rc *http.ResponseController) {
	rc = http.NewResponseController(w)
	_ = rc.SetWriteDeadline(time.Time{})
	ctx, cancel = context.WithCancel(Untimed(r.Context()))
	return ctx, Draining(r.Context()), cancel, rc
}

// StreamLimits bound a stream.
type StreamLimits struct {
	// KeepAlive is the time between signs of life.
	KeepAlive time.Duration
	// Write is how long a client may take to make room for one message. Who is
	// slower is cut off.
	Write time.Duration
}

// DefaultStreamLimits suit proxies, most of which cut off what is silent for a
// minute.
var DefaultStreamLimits = StreamLimits{KeepAlive: 15 * time.Second, Write: 10 * time.Second}

// Events is an answer of server-sent events. Make it with NewEvents.
type Events struct {
	// Done ends with the client, also when it was too slow or the server stops.
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

// NewEvents begins a stream of events, with a comment every so often while
// there are none: proxies end what is silent, and a client that is gone is
// noticed only by writing to it. Close it before the handler returns. When the
// server stops, the stream ends without a last event, so that clients come
// again.
func NewEvents(w http.ResponseWriter, r *http.Request, limits StreamLimits) *Events {
	ctx, drain, cancel, rc := Stream(w, r)
	stop := context.AfterFunc(drain, cancel)
	e := &Events{Done: ctx, w: w, rc: rc, cancel: func() { stop(); cancel() }, limits: limits}
	h := w.Header()
	h["Content-Type"] = []string{"text/event-stream; charset=utf-8"}
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // nginx collects answers otherwise
	w.WriteHeader(http.StatusOK)
	e.mu.Lock()
	e.alive = time.AfterFunc(limits.KeepAlive, e.comment)
	e.mu.Unlock()
	e.comment()
	return e
}

// comment is what clients ignore.
func (e *Events) comment() {
	e.write(func(b []byte) []byte { return append(b, ":\n\n"...) })
}

// Send sends one event, whose data is one line. id may be empty. It gives
// false when the client is gone.
func (e *Events) Send(event, id string, data func([]byte) []byte) bool {
	return e.write(func(b []byte) []byte {
		b = append(append(append(b, "event: "...), event...), '\n')
		if id != "" {
			b = append(append(append(b, "id: "...), id...), '\n')
		}
		// Also without data: browsers drop an event that has none.
		b = append(b, "data: "...)
		if data != nil {
			b = data(b)
		}
		return append(b, "\n\n"...)
	})
}

func (e *Events) write(frame func([]byte) []byte) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed || e.Done.Err() != nil {
		return false
	}
	e.buf = frame(e.buf[:0])
	_ = e.rc.SetWriteDeadline(time.Now().Add(e.limits.Write))
	if _, err := e.w.Write(e.buf); err != nil || e.rc.Flush() != nil {
		e.cancel()
		return false
	}
	e.alive.Reset(e.limits.KeepAlive)
	return true
}

// Close ends the stream. Nothing is written after it, which net/http would
// not survive.
func (e *Events) Close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	e.alive.Stop()
	e.cancel()
}
