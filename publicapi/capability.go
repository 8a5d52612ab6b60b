package publicapi

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/veranda-go/veranda/internal/apierror"
	"github.com/veranda-go/veranda/internal/backendclient"
)

const (
	// recheck is how long a capability is taken for missing, or for present, until
	// the backend is probed again: an upgrade is noticed after this at the latest.
	recheck = 5 * time.Second
	// maxCallsForBatch is how many documented calls stand in for a batch at once.
	maxCallsForBatch = 16
)

// capability is something beyond the documented routes that a backend may lack:
// a route, or a header that it obeys. It remembers for a while whether the
// backend has it.
type capability struct {
	now   func() time.Time
	found atomic.Pointer[finding]
}

type finding struct {
	present bool
	until   time.Time
}

// What a capability can be.
const (
	missing = false
	present = true
)

// is reports whether the capability was last found to be present, or missing,
// and less than recheck ago.
func (c *capability) is(present bool) bool {
	f := c.found.Load()
	return f != nil && f.present == present && c.now().Before(f.until)
}

func (c *capability) set(present bool) { c.found.Store(&finding{present, c.now().Add(recheck)}) }

// requireKeys refuses an idempotency key that the backend would ignore, since
// the caller relies on it. probe reports whether the backend honors keys.
func (c *capability) requireKeys(ctx context.Context, key string, probe func(context.Context) (bool, error)) error {
	if key == "" || c.is(present) {
		return nil
	}
	honored, err := probe(ctx)
	switch {
	case err != nil:
		return err
	case !honored:
		return unsupported("Idempotency-Key")
	}
	c.set(present)
	return nil
}

// batchOrEach returns the rows of distinct keys, at most limit for each key. It
// calls a batch route or, where the backend lacks that, a documented route for
// each key.
func batchOrEach[T any](ctx context.Context, c *capability, keys []int64, limit int64, keyOf func(*T) int64,
	batch func(ctx context.Context, keys []int64) ([]T, error), one func(ctx context.Context, key int64) ([]T, error),
) ([]T, error) {
	if !c.is(missing) {
		rows, err := batch(ctx, keys)
		switch {
		case err == nil && areOf(rows, keys, limit, keyOf):
			return rows, nil
		case err == nil, backendclient.LacksRoute(err):
		case backendclient.Crashed(err):
			// Is it this route, which the backend took for another one, or every route?
			if _, err := one(ctx, keys[0]); err != nil {
				return nil, err
			}
		default:
			return nil, err
		}
		c.set(missing)
	}
	return each(ctx, keys, one)
}

// areOf reports whether rows have only these keys, each at most limit times. A
// backend that takes a batch route for another one may return any rows.
func areOf[T any](rows []T, keys []int64, limit int64, keyOf func(*T) int64) bool {
	room := make(map[int64]int64, len(keys))
	for _, key := range keys {
		room[key] = limit
	}
	for i := range rows {
		key := keyOf(&rows[i])
		if room[key] == 0 {
			return false
		}
		room[key]--
	}
	return true
}

// each calls f for every key, maxCallsForBatch at once, and returns the rows in
// the order of keys. The first error cancels the other calls.
func each[T any](ctx context.Context, keys []int64, f func(context.Context, int64) ([]T, error)) ([]T, error) {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(maxCallsForBatch)
	rows := make([][]T, len(keys))
	for i, key := range keys {
		g.Go(func() (err error) {
			if err = ctx.Err(); err == nil {
				rows[i], err = f(ctx, key)
			}
			return err
		})
	}
	err := g.Wait()
	return slices.Concat(rows...), err
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
