// Package coalesce lets callers with equal requests share one response that is
// never older than their requests.
//
// The usual way, to join a call that is in flight, is not fresh: the call may
// have read its data before the last write of a caller that joins it. Here a
// caller that finds a call in flight waits for the next one, which starts when
// the first ends and serves every caller that waits by then. So every call
// starts after its callers came, and under load there are at most a call in
// flight and a pending one. Waiting pays only where many callers ask: a caller
// that finds the call of a single caller in flight starts its own at once. And a
// caller that starts one lets the other goroutines that are ready to run come
// first, so that calls that only compute are shared as well.
//
// [Group] is for equal requests, [Batch] for requests by key. Package publicapi
// batches backend calls, graph/transport shares GraphQL operations, and
// backend/listings shares pages.
package coalesce

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"time"
)

// maxPending is how long a pending call waits for the one before it, which may
// hang.
const maxPending = 50 * time.Millisecond

// maxLone is how many calls of one key, each of a single caller, may be in
// flight before the next one waits. Where requests are seldom equal, the few
// that are would else take up to twice as long for nothing.
const maxLone = 2

// Group coalesces calls of equal keys of type K. Its zero value is ready.
type Group[K comparable, V any] struct {
	mu   sync.Mutex
	keys map[K]*keyState[V]
}

// keyState has the calls of one key while there are any.
type keyState[V any] struct {
	inFlight int
	started  int      // calls started so far
	last     int      // the number of the last call started, 0 when it has ended
	shared   bool     // whether the last call has several callers
	pending  *call[V] // the next call, nil while it has no callers
}

// call is one call, with the callers that it serves: a leader, which may start
// it, and waiters.
type call[V any] struct {
	ctx     context.Context // the leader's
	f       func(context.Context) (V, error)
	callers int
	done    chan struct{}
	value   V
	err     error
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
	s := g.keys[key]
	if s == nil {
		if g.keys == nil {
			g.keys = map[K]*keyState[V]{}
		}
		s = &keyState[V]{}
		g.keys[key] = s
	}
	c := s.pending
	leader := c == nil
	if leader {
		c = &call[V]{ctx: ctx, f: f, done: make(chan struct{})}
		s.pending = c
	}
	c.callers++
	wait := s.last != 0 && (s.shared || s.inFlight >= maxLone)
	g.mu.Unlock()
	switch {
	case !leader:
	case wait:
		time.AfterFunc(maxPending, func() { g.startPending(key, s, c) })
	default:
		yield()
		if number, ok := g.start(s, c); ok {
			if c.callers == 1 {
				defer g.end(key, s, number)
				return f(ctx)
			}
			go g.run(key, s, c, number)
		}
	}
	return c.wait(ctx)
}

// start marks a pending call as started and returns its number; ok is false if
// it has been started already.
func (g *Group[K, V]) start(s *keyState[V], c *call[V]) (number int, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if s.pending != c {
		return 0, false
	}
	s.pending = nil
	s.inFlight++
	s.started++
	s.last, s.shared = s.started, c.callers > 1
	return s.last, true
}

func (g *Group[K, V]) startPending(key K, s *keyState[V], c *call[V]) {
	if number, ok := g.start(s, c); ok {
		g.run(key, s, c, number)
	}
}

func (g *Group[K, V]) run(key K, s *keyState[V], c *call[V], number int) {
	defer g.end(key, s, number)
	c.run()
}

// end ends a call and starts the pending one, unless a later call was started.
func (g *Group[K, V]) end(key K, s *keyState[V], number int) {
	g.mu.Lock()
	s.inFlight--
	c := s.pending
	if number == s.last {
		s.last = 0
	} else {
		c = nil
	}
	if s.inFlight == 0 && s.pending == nil {
		delete(g.keys, key)
	}
	g.mu.Unlock()
	if c != nil {
		go func() {
			yield()
			g.startPending(key, s, c)
		}()
	}
}

func (c *call[V]) wait(ctx context.Context) (V, error) {
	select {
	case <-c.done:
		return c.value, c.err
	case <-ctx.Done():
		var none V
		return none, ctx.Err()
	}
}

func (c *call[V]) run() {
	defer close(c.done)
	defer func() {
		// A panic in this goroutine would end the program.
		if p := recover(); p != nil {
			c.err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	c.value, c.err = c.f(context.WithoutCancel(c.ctx))
}

// yield lets the goroutines that are ready to run come first: on an idle
// machine there are none, and it takes no time.
func yield() { runtime.Gosched() }

// Batch coalesces requests by key into calls for many keys. Make it with
// NewBatch.
type Batch[K comparable, V any] struct {
	fetch   func(context.Context, []K) (map[K]V, error)
	maxKeys int

	mu       sync.Mutex
	inFlight int
	pending  *batchCall[K, V]
}

// maxBatches is how many calls of a Batch may be in flight before the next one
// waits for one of them to end. It bounds the load on a slow service; on a busy
// machine it is yield that makes batches large.
const maxBatches = 8

type batchCall[K comparable, V any] struct {
	call[map[K]V]
	requests [][]K // the keys of each caller
	keys     int   // in all requests
}

// NewBatch returns a Batch over fetch, which returns the values that there are
// for distinct keys: at most maxKeys, unless one caller has more.
func NewBatch[K comparable, V any](maxKeys int, fetch func(context.Context, []K) (map[K]V, error)) *Batch[K, V] {
	return &Batch[K, V]{fetch: fetch, maxKeys: maxKeys}
}

// Load returns the values of distinct keys, and maybe of other callers' keys
// too. The map is shared and must not be changed, nor may keys be until Load
// returns. As with Group.Do, the values are fetched after Load began, a single
// caller's fetch gets its ctx, and an error goes to the callers of one call.
func (b *Batch[K, V]) Load(ctx context.Context, keys []K) (map[K]V, error) {
	b.mu.Lock()
	c := b.pending
	if c != nil && c.keys+len(keys) > b.maxKeys { // full
		b.pending = nil
		b.inFlight++
		go b.run(c)
		c = nil
	}
	leader := c == nil
	if leader {
		c = &batchCall[K, V]{}
		c.ctx, c.done = ctx, make(chan struct{})
		b.pending = c
	}
	c.requests = append(c.requests, keys)
	c.keys += len(keys)
	wait := b.inFlight >= maxBatches
	b.mu.Unlock()
	switch {
	case !leader:
	case wait:
		time.AfterFunc(maxPending, func() { b.startPending(c) })
	default:
		yield()
		if b.start(c) {
			if len(c.requests) == 1 {
				defer b.end()
				return b.fetch(ctx, keys)
			}
			go b.run(c)
		}
	}
	return c.wait(ctx)
}

// start marks a pending call as started, and reports false if it has been
// started already.
func (b *Batch[K, V]) start(c *batchCall[K, V]) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.pending != c {
		return false
	}
	b.pending = nil
	b.inFlight++
	return true
}

func (b *Batch[K, V]) startPending(c *batchCall[K, V]) {
	if b.start(c) {
		b.run(c)
	}
}

func (b *Batch[K, V]) run(c *batchCall[K, V]) {
	defer b.end()
	c.f = func(ctx context.Context) (map[K]V, error) { return b.fetch(ctx, c.distinctKeys()) }
	c.run()
}

// end ends a call and starts the pending one.
func (b *Batch[K, V]) end() {
	b.mu.Lock()
	b.inFlight--
	c := b.pending
	b.mu.Unlock()
	if c != nil {
		go func() {
			yield()
			b.startPending(c)
		}()
	}
}

// distinctKeys returns the keys of all callers, each once.
func (c *batchCall[K, V]) distinctKeys() []K {
	if len(c.requests) == 1 {
		return c.requests[0]
	}
	seen := make(map[K]struct{}, c.keys)
	all := make([]K, 0, c.keys)
	for _, keys := range c.requests {
		for _, k := range keys {
			if _, ok := seen[k]; !ok {
				seen[k] = struct{}{}
				all = append(all, k)
			}
		}
	}
	return all
}
