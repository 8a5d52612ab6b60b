package publicapi

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/veranda-go/veranda/internal/apierror"
)

// route remembers whether a backend has a route that the documented system
// lacks. The zero value knows nothing yet.
type route struct {
	missingUntil atomic.Int64 // nanoseconds since the Unix epoch
	present      atomic.Int64 // until when it is known to be there, likewise
}

func (r *route) worthAsking(now time.Time) bool { return now.UnixNano() >= r.missingUntil.Load() }

func (r *route) markMissing(now time.Time) {
	r.present.Store(0)
	r.missingUntil.Store(now.Add(recheck).UnixNano())
}

func (r *route) markPresent(now time.Time) { r.present.Store(now.Add(recheck).UnixNano()) }

func (r *route) knownPresent(now time.Time) bool { return now.UnixNano() < r.present.Load() }

// check refuses an idempotency key that the backend would ignore: the caller
// relies on it for not creating twice.
func (r *route) check(ctx context.Context, now time.Time, key string, honours func(context.Context) (bool, error)) error {
	if key == "" || r.knownPresent(now) {
		return nil
	}
	yes, err := honours(ctx)
	switch {
	case err != nil:
		return err
	case !yes:
		return apierror.New(apierror.Unsupported, "Idempotency-Key: not supported by this backend")
	}
	r.markPresent(now)
	return nil
}

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
