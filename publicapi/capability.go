package publicapi

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/veranda-go/veranda/internal/apierror"
	"github.com/veranda-go/veranda/internal/backendclient"
)

const (
	// recheck is how long a capability is taken for missing, or for present, until
	// the backend is asked again: an upgrade is noticed after this at the latest.
	recheck = 5 * time.Second
	// maxCallsForBatch is how many documented calls stand in for a batch at once.
	maxCallsForBatch = 16
)

// capability is something beyond the documented routes that a backend may lack:
// a route, or a header that it obeys. It remembers for a while whether the
// backend has it.
type capability struct {
	now          func() time.Time
	missingUntil atomic.Int64 // nanoseconds since the Unix epoch
	presentUntil atomic.Int64 // likewise
}

func (c *capability) isMissing() bool { return c.now().UnixNano() < c.missingUntil.Load() }

func (c *capability) isPresent() bool { return c.now().UnixNano() < c.presentUntil.Load() }

func (c *capability) setMissing() {
	c.presentUntil.Store(0)
	c.missingUntil.Store(c.now().Add(recheck).UnixNano())
}

func (c *capability) setPresent() { c.presentUntil.Store(c.now().Add(recheck).UnixNano()) }

// requireKeys refuses an idempotency key that the backend would ignore, since
// the caller relies on it. supports asks the backend.
func (c *capability) requireKeys(ctx context.Context, key string, supports func(context.Context) (bool, error)) error {
	if key == "" || c.isPresent() {
		return nil
	}
	ok, err := supports(ctx)
	switch {
	case err != nil:
		return err
	case !ok:
		return unsupported("Idempotency-Key")
	}
	c.setPresent()
	return nil
}

// batchOrEach calls a batch route for distinct keys or, where the backend lacks
// the route, a documented one for each key. isResponse reports whether rows can
// be the batch's: a backend may take the route for another one.
func batchOrEach[T any](ctx context.Context, c *capability, keys []int64, isResponse func([]T) bool,
	batch func(ctx context.Context, keys []int64) ([]T, error), one func(ctx context.Context, key int64) ([]T, error),
) ([]T, error) {
	if !c.isMissing() {
		rows, err := batch(ctx, keys)
		switch {
		case err == nil && isResponse(rows):
			return rows, nil
		case err == nil, backendclient.LacksRoute(err):
		case backendclient.Crashed(err):
			// By the route, which it took for another one, or by anything?
			if _, err := one(ctx, keys[0]); err != nil {
				return nil, err
			}
		default:
			return nil, err
		}
		c.setMissing()
	}
	return each(ctx, keys, one)
}

// each calls f for every key, maxCallsForBatch at once, and returns the rows in
// the order of keys. The first error cancels the other calls.
func each[T any](ctx context.Context, keys []int64, f func(context.Context, int64) ([]T, error)) ([]T, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	rows := make([][]T, len(keys))
	slots := make(chan struct{}, maxCallsForBatch)
	var wg sync.WaitGroup
	for i, key := range keys {
		slots <- struct{}{}
		if ctx.Err() != nil {
			break
		}
		wg.Go(func() {
			defer func() { <-slots }()
			var err error
			if rows[i], err = f(ctx, key); err != nil {
				cancel(err)
			}
		})
	}
	wg.Wait()
	return slices.Concat(rows...), context.Cause(ctx)
}

// documented returns the error of a documented route. Every backend has those,
// so "no such route" comes from something else at the service's address.
func documented(err error, service string) error {
	if kind := apierror.KindOf(err); err != nil && (kind == apierror.NotFound || kind == apierror.Unsupported) {
		return apierror.Wrap(apierror.Unavailable, service+" unavailable", err)
	}
	return err
}

// extension returns the error of a route beyond the documented ones, which has
// no replacement.
func extension(err error, what string) error {
	if err != nil && backendclient.LacksRoute(err) {
		return unsupported(what)
	}
	return err
}

func unsupported(what string) error {
	return apierror.New(apierror.Unsupported, what+": not supported by this backend")
}
