// Package groupcommit lets many writers share one transaction. A commit that
// waits for the disk costs the same for one row as for hundreds, so the writers
// that arrive during a commit gather, and share the next one. There is no
// timer: a lone writer commits at once.
//
// Package creation uses it.
package groupcommit

import (
	"context"
	"sync"

	"github.com/veranda-go/veranda/internal/apierror"
)

// ErrClosed is returned by Do after Close. Its kind is Unavailable.
var ErrClosed = apierror.New(apierror.Unavailable, "database is closed")

// maxGroup bounds the requests in one transaction, and so the longest wait.
const maxGroup = 1024

// Group passes requests, in the order of their arrival, to a commit function.
// Make it with New.
type Group[Request, Result any] struct {
	commit func([]Request) ([]Result, error)

	mu      sync.Mutex
	queue   []*call[Request, Result]
	closed  bool
	running sync.WaitGroup // the goroutine that commits, while there is a queue
	busy    bool           // whether it runs
}

type call[Request, Result any] struct {
	ctx     context.Context
	request Request
	result  Result
	err     error
	done    chan struct{} // closed when result and err are set
}

// New returns a group. commit gets 1 to 1,024 requests and returns, when they
// are on disk, one result for each in the same order; or an error, which every
// caller in the group gets. It is never called concurrently.
func New[Request, Result any](commit func([]Request) ([]Result, error)) *Group[Request, Result] {
	return &Group[Request, Result]{commit: commit}
}

// Do returns the result of a request after its commit. When ctx ends first, Do
// returns the context's error: a request that is still in the queue is dropped,
// one that is being committed may yet take effect.
func (g *Group[Request, Result]) Do(ctx context.Context, request Request) (result Result, err error) {
	if err := ctx.Err(); err != nil {
		return result, err
	}
	c := &call[Request, Result]{ctx: ctx, request: request, done: make(chan struct{})}
	if err := g.enqueue(c); err != nil {
		return result, err
	}
	select {
	case <-c.done:
		return c.result, c.err
	case <-ctx.Done():
		return result, ctx.Err()
	}
}

func (g *Group[Request, Result]) enqueue(c *call[Request, Result]) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return ErrClosed
	}
	g.queue = append(g.queue, c)
	if !g.busy {
		g.busy = true
		g.running.Go(g.run)
	}
	return nil
}

// Close refuses new requests and waits until those in the queue are committed.
func (g *Group[Request, Result]) Close() {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	g.running.Wait()
}

// run commits until the queue is empty.
func (g *Group[Request, Result]) run() {
	for calls := g.next(); calls != nil; calls = g.next() {
		var (
			live     []*call[Request, Result]
			requests []Request
		)
		for _, c := range calls {
			if c.ctx.Err() == nil {
				live, requests = append(live, c), append(requests, c.request)
			}
		}
		if len(live) == 0 {
			continue
		}
		results, err := g.commit(requests)
		for i, c := range live {
			if c.err = err; err == nil {
				c.result = results[i]
			}
			close(c.done)
		}
	}
}

// next takes the oldest calls from the queue; nil ends the goroutine.
func (g *Group[Request, Result]) next() []*call[Request, Result] {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.queue) == 0 {
		g.busy, g.queue = false, nil
		return nil
	}
	n := min(len(g.queue), maxGroup)
	calls := g.queue[:n:n]
	g.queue = g.queue[n:]
	return calls
}
