// Package coalesce lets callers with equal requests share one response that is
// never older than their requests.
//
// The usual way, to join a call that is in flight, is not fresh: the call may
// have read its data before the last write of a caller that joins it. Here
// callers join only a pending call. It starts when a call in flight ends, or at
// once while there are few, so that under load there are at most a call in flight
// and a pending one. A caller that starts a call lets the other goroutines that
// are ready to run come first, so that calls that only compute are shared as
// well.
//
// [Group] is for equal requests, [Batch] for requests by key. Package publicapi
// batches backend calls, graph/transport shares GraphQL operations, and
// backend/listings shares pages.
package coalesce

import (
	"context"
	"fmt"
	"maps"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"time"
)

const (
	// maxPending is how long a pending call waits for those in flight, which may
	// hang.
	maxPending = 50 * time.Millisecond
	// maxUnshared is how many calls of one key, each of a single caller, may be in
	// flight before the next one waits. Where requests are seldom equal, the few
	// that are would else take up to twice as long as the others.
	maxUnshared = 2
	// maxBatches is how many calls of a Batch may be in flight before the next one
	// waits for one of them to end. It bounds the load on a slow service.
	maxBatches = 8
)

// queue has calls that serve requests of type R: some in flight and at most one
// pending.
type queue[R, V any] struct {
	serve   func(ctx context.Context, requests []R) (V, error)
	wait    func(inFlight []*call[R, V]) bool // whether a pending call waits for one of these to end
	maxSize int                               // of the requests of a call, unless it has only one
	onIdle  func()                            // called with mu locked when there are no more calls

	mu       *sync.Mutex
	inFlight []*call[R, V] // the oldest first, without those that were overtaken
	pending  *call[R, V]
}

// call is one call for a leader, which may start it, and waiters.
type call[R, V any] struct {
	ctx      context.Context // the leader's
	requests []R             // the leader's and those of the waiters
	size     int             // of all requests
	done     chan struct{}
	value    V
	err      error
}

// do returns the value of a call that starts after do was called. mu is locked;
// do unlocks it.
func (q *queue[R, V]) do(ctx context.Context, request R, size int) (V, error) {
	if c := q.pending; c != nil && c.size+size > q.maxSize { // full
		q.pending, q.inFlight = nil, append(q.inFlight, c)
		go q.run(c)
	}
	leader := q.pending == nil
	if leader {
		q.pending = &call[R, V]{ctx: ctx, done: make(chan struct{})}
	}
	c := q.pending
	c.requests = append(c.requests, request)
	c.size += size
	wait := q.wait(q.inFlight)
	q.mu.Unlock()

	switch {
	case !leader:
	case wait:
		time.AfterFunc(maxPending, func() { q.runPending(c) })
	default:
		runtime.Gosched()
		switch {
		case !q.start(c):
		case len(c.requests) > 1:
			go q.run(c)
		default:
			defer q.end(c)
			return q.serve(ctx, c.requests)
		}
	}
	select {
	case <-c.done:
		return c.value, c.err
	case <-ctx.Done():
		var none V
		return none, ctx.Err()
	}
}

// start makes c a call in flight, and reports false if it is no longer pending.
func (q *queue[R, V]) start(c *call[R, V]) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.pending != c {
		return false
	}
	if q.wait(q.inFlight) {
		// c waited for maxPending: the oldest call may hang, and no longer counts.
		q.inFlight = slices.Delete(q.inFlight, 0, 1)
	}
	q.pending, q.inFlight = nil, append(q.inFlight, c)
	return true
}

func (q *queue[R, V]) runPending(c *call[R, V]) {
	if q.start(c) {
		q.run(c)
	}
}

func (q *queue[R, V]) run(c *call[R, V]) {
	defer q.end(c)
	defer close(c.done)
	defer func() {
		// A panic in this goroutine would end the program.
		if p := recover(); p != nil {
			c.err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	c.value, c.err = q.serve(context.WithoutCancel(c.ctx), c.requests)
}

// end ends a call and starts the pending one.
func (q *queue[R, V]) end(c *call[R, V]) {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := slices.Index(q.inFlight, c)
	if i < 0 { // it was overtaken
		return
	}
	q.inFlight = slices.Delete(q.inFlight, i, i+1)
	switch next := q.pending; {
	case next != nil && !q.wait(q.inFlight):
		go func() {
			runtime.Gosched()
			q.runPending(next)
		}()
	case next == nil && len(q.inFlight) == 0:
		q.onIdle()
	}
}

type function[V any] func(context.Context) (V, error)

// Group coalesces calls of equal keys of type K. Its zero value is ready.
type Group[K comparable, V any] struct {
	mu     sync.Mutex
	queues map[K]*queue[function[V], V] // of the keys that have calls
}

// Do returns the value of f, called by this caller or by another one with an
// equal key after this call of Do began. An error goes to the callers of the
// failed call and to no others.
//
// A single caller's f gets its ctx. A shared f gets the values of the leader's
// context but not its end, so that a leader that leaves does not fail the
// waiters: f must end by itself.
func (g *Group[K, V]) Do(ctx context.Context, key K, f func(context.Context) (V, error)) (V, error) {
	g.mu.Lock()
	q := g.queues[key]
	if q == nil {
		q = &queue[function[V], V]{
			serve: func(ctx context.Context, equal []function[V]) (V, error) { return equal[0](ctx) },
			wait: func(inFlight []*call[function[V], V]) bool {
				n := len(inFlight)
				return n >= maxUnshared || n > 0 && len(inFlight[n-1].requests) > 1
			},
			onIdle: func() { delete(g.queues, key) },
			mu:     &g.mu,
		}
		if g.queues == nil {
			g.queues = map[K]*queue[function[V], V]{}
		}
		g.queues[key] = q
	}
	return q.do(ctx, f, 0)
}

// Batch coalesces requests by key into calls for many keys. Make it with
// NewBatch.
type Batch[K comparable, V any] struct {
	queue queue[[]K, map[K]V]
}

// NewBatch returns a Batch over fetch, which returns the values that there are
// for distinct keys: at most maxKeys, unless one caller has more.
func NewBatch[K comparable, V any](maxKeys int, fetch func(context.Context, []K) (map[K]V, error)) *Batch[K, V] {
	return &Batch[K, V]{queue[[]K, map[K]V]{
		serve:   func(ctx context.Context, requests [][]K) (map[K]V, error) { return fetch(ctx, distinct(requests)) },
		wait:    func(inFlight []*call[[]K, map[K]V]) bool { return len(inFlight) >= maxBatches },
		maxSize: maxKeys,
		onIdle:  func() {},
		mu:      &sync.Mutex{},
	}}
}

// Load returns the values of distinct keys, and maybe of other callers' keys
// too. The map is shared and must not be changed, nor may keys be until Load
// returns. As with Group.Do, the values are fetched after Load began, a single
// caller's fetch gets its ctx, and an error goes to the callers of one call.
func (b *Batch[K, V]) Load(ctx context.Context, keys []K) (map[K]V, error) {
	b.queue.mu.Lock()
	return b.queue.do(ctx, keys, len(keys))
}

// distinct returns the keys of all requests, each once.
func distinct[K comparable](requests [][]K) []K {
	if len(requests) == 1 {
		return requests[0]
	}
	all := map[K]struct{}{}
	for _, keys := range requests {
		for _, k := range keys {
			all[k] = struct{}{}
		}
	}
	return slices.Collect(maps.Keys(all))
}
