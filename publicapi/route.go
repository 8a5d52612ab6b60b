package publicapi

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// route remembers whether a backend has a route that the documented system
// lacks. The zero value knows nothing yet.
type route struct {
	missingUntil atomic.Int64 // nanoseconds since the Unix epoch
	present      atomic.Int64 // until when it is known to be there, likewise
}

func (r *route) worthAsking() bool { return time.Now().UnixNano() >= r.missingUntil.Load() }

func (r *route) markMissing() {
	r.present.Store(0)
	r.missingUntil.Store(time.Now().Add(recheck).UnixNano())
}

func (r *route) markPresent() { r.present.Store(time.Now().Add(recheck).UnixNano()) }

func (r *route) knownPresent() bool { return time.Now().UnixNano() < r.present.Load() }

// each calls f for every key, fanOut at once, and returns the first error.
// The others are called off then.
func each[K any](ctx context.Context, keys []K, f func(context.Context, int, K) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	slots := make(chan struct{}, fanOut)
	var wg sync.WaitGroup
	for i, k := range keys {
		slots <- struct{}{}
		if ctx.Err() != nil {
			break
		}
		wg.Go(func() {
			defer func() { <-slots }()
			if err := f(ctx, i, k); err != nil {
				cancel(err)
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}
