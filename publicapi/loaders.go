package publicapi

import (
	"context"
	"sync"
	"time"

	"github.com/graph-gophers/dataloader/v7"

	"github.com/veranda-go/veranda/backend/listings"
	"github.com/veranda-go/veranda/backend/users"
)

// loaders turn the single asks of one request into batches and remember the
// answers until it ends. They are never shared between requests: a batch runs
// under the context of its first ask.
type loaders struct {
	users    loader[int64, *users.User]
	listings loader[userPage, []listings.Listing]

	mu   sync.Mutex
	runs map[string]*loader[int64, *Connection] // by window
}

// connections gives the loader of one window: what its batch asks for cannot
// be told from a user's id.
func (l *loaders) connections(window string, fetch dataloader.BatchFunc[int64, *Connection]) *loader[int64, *Connection] {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.runs[window] == nil {
		if l.runs == nil {
			l.runs = map[string]*loader[int64, *Connection]{}
		}
		l.runs[window] = &loader[int64, *Connection]{fetch: fetch}
	}
	return l.runs[window]
}

// userPage asks for the newest listings of one user.
type userPage struct {
	userID, first int64
}

type loadersKey struct{}

// WithLoaders gives ctx, the context of one request, its loaders. Both doors
// call it before they ask anything else.
func (a *API) WithLoaders(ctx context.Context) context.Context {
	l := &loaders{}
	l.users.fetch = a.fetchUsers
	l.listings.fetch = a.fetchListingsOf
	return context.WithValue(ctx, loadersKey{}, l)
}

func loadersOf(ctx context.Context) *loaders { return ctx.Value(loadersKey{}).(*loaders) }

// loader batches without a clock: who asks knows all keys of a level at once,
// so the batch is closed by its exact size.
type loader[K comparable, V any] struct {
	fetch dataloader.BatchFunc[K, V]

	mu    sync.Mutex // from counting what is missing until all of it is asked for
	cache *dataloader.InMemoryCache[K, V]
}

// never is a wait that a batch closed by its size does not reach.
const never = time.Hour

// load returns one value and one error for each key, in their order.
func (l *loader[K, V]) load(ctx context.Context, keys []K) ([]V, []error) {
	l.mu.Lock()
	if l.cache == nil {
		l.cache = dataloader.NewCache[K, V]()
	}
	missing := make(map[K]struct{}, len(keys))
	for _, k := range keys {
		if _, ok := l.cache.Get(ctx, k); !ok {
			missing[k] = struct{}{}
		}
	}
	batch := dataloader.NewBatchedLoader(l.fetch,
		dataloader.WithCache(l.cache),
		dataloader.WithBatchCapacity[K, V](len(missing)),
		dataloader.WithInputCapacity[K, V](len(missing)),
		dataloader.WithWait[K, V](never))
	thunks := make([]dataloader.Thunk[V], len(keys))
	for i, k := range keys {
		thunks[i] = batch.Load(ctx, k)
	}
	l.mu.Unlock()

	values, errs := make([]V, len(keys)), make([]error, len(keys))
	for i, thunk := range thunks {
		values[i], errs[i] = thunk()
	}
	return values, errs
}

// results gives every key the same error.
func failAll[K, V any](keys []K, err error) []*dataloader.Result[V] {
	out := make([]*dataloader.Result[V], len(keys))
	for i := range out {
		out[i] = &dataloader.Result[V]{Error: err}
	}
	return out
}
