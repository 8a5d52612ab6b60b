// Package groupcommit lets many writers share one transaction. A commit that
// waits for the disk costs the same for one row as for hundreds, so while one
// is under way the next writers gather, and then go together. Nobody waits
// for a timer: a lone writer commits at once.
//
// The stores of backend/listings and backend/users use it.
package groupcommit

import (
	"context"
	"sync"

	"github.com/veranda-go/veranda/internal/apierror"
)

// ErrClosed is what Do returns after Close.
var ErrClosed = apierror.New(apierror.Unavailable, "database is closed")

// maxGroup bounds the requests in one transaction, and so the longest wait.
const maxGroup = 1024

// Group runs requests of type Q, in the order of their arrival, through one
// commit function. Make it with New.
type Group[Q, A any] struct {
	commit func([]Q) ([]A, error)
	queue  chan call[Q, A]
	closed chan struct{}
	once   sync.Once
	done   chan struct{}

	mu      sync.Mutex
	changed chan struct{} // closed at the next commit; nil if nobody waits
}

type call[Q, A any] struct {
	ctx    context.Context
	ask    Q
	answer chan result[A]
}

type result[A any] struct {
	answer A
	err    error
}

// New starts a group. commit gets at least one request and returns one answer
// for each, in their order, after they are safe on disk; or an error, which
// every caller in the group is given. It is never called twice at once.
func New[Q, A any](commit func([]Q) ([]A, error)) *Group[Q, A] {
	g := &Group[Q, A]{
		commit: commit,
		queue:  make(chan call[Q, A], maxGroup),
		closed: make(chan struct{}),
		done:   make(chan struct{}),
	}
	go g.run()
	return g
}

// Do hands in a request and waits for its commit. When ctx ends first, the
// request is dropped if it was still in the queue; one that is already being
// committed may yet take effect.
func (g *Group[Q, A]) Do(ctx context.Context, ask Q) (A, error) {
	var zero A
	if err := ctx.Err(); err != nil {
		return zero, err
	}
	select { // of two ready cases the next select may take either; closed wins
	case <-g.closed:
		return zero, ErrClosed
	default:
	}
	c := call[Q, A]{ctx, ask, make(chan result[A], 1)}
	select {
	case g.queue <- c:
	case <-ctx.Done():
		return zero, ctx.Err()
	case <-g.closed:
		return zero, ErrClosed
	}
	select {
	case r := <-c.answer:
		return r.answer, r.err
	case <-ctx.Done():
		return zero, ctx.Err()
	case <-g.done:
		select { // the last commit may have answered just before done
		case r := <-c.answer:
			return r.answer, r.err
		default:
			return zero, ErrClosed
		}
	}
}

// Close waits for the commit under way, if any, and refuses all later ones.
func (g *Group[Q, A]) Close() {
	g.once.Do(func() { close(g.closed) })
	<-g.done
}

// Changed is closed at the next commit that succeeds, before its callers have
// their answers.
func (g *Group[Q, A]) Changed() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.changed == nil {
		g.changed = make(chan struct{})
	}
	return g.changed
}

func (g *Group[Q, A]) tellChanged() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.changed != nil {
		close(g.changed)
		g.changed = nil
	}
}

func (g *Group[Q, A]) run() {
	defer close(g.done)
	for {
		select {
		case <-g.closed:
			return
		case first := <-g.queue:
			g.serve(g.gather(first))
		}
	}
}

// gather takes all that wait in the queue, except those whose callers left.
func (g *Group[Q, A]) gather(first call[Q, A]) []call[Q, A] {
	calls := make([]call[Q, A], 0, 1+len(g.queue))
	for c := first; ; {
		if c.ctx.Err() == nil {
			calls = append(calls, c)
		}
		if len(calls) == maxGroup {
			return calls
		}
		select {
		case c = <-g.queue:
		default:
			return calls
		}
	}
}

func (g *Group[Q, A]) serve(calls []call[Q, A]) {
	if len(calls) == 0 {
		return
	}
	asks := make([]Q, len(calls))
	for i, c := range calls {
		asks[i] = c.ask
	}
	answers, err := g.commit(asks)
	if err == nil {
		g.tellChanged()
	}
	for i, c := range calls {
		if err != nil {
			c.answer <- result[A]{err: err}
		} else {
			c.answer <- result[A]{answer: answers[i]}
		}
	}
}
