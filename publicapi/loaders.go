package publicapi

import (
	"context"
	"sync"
	"time"

	"github.com/graph-gophers/dataloader/v7"
)

// loadersKey is the context key of a request's loaders, a *sync.Map by kind.
type loadersKey struct{}

// WithLoaders returns a context with loaders of its own, which remember what
// they loaded. Both APIs call it at the start of a request. Requests never share
// loaders, since a batch runs under the context of its first caller; package
// coalesce joins the batches of several requests.
func (a *API) WithLoaders(ctx context.Context) context.Context {
	return context.WithValue(ctx, loadersKey{}, new(sync.Map))
}

// load returns a value and an error for each id of a level, from the request's
// loader of a kind. Equal kinds have equal fetch functions.
func load[V any](ctx context.Context, kind any, ids []int64, fetch fetchFunc[V]) ([]V, []error) {
	all := ctx.Value(loadersKey{}).(*sync.Map)
	l, ok := all.Load(kind)
	if !ok {
		l, _ = all.LoadOrStore(kind, newLoader(fetch))
	}
	return l.(*loader[V]).load(ctx, ids)
}

// fetchFunc returns the values of distinct ids. The others have the error; if it
// is nil, the zero value.
type fetchFunc[V any] func(ctx context.Context, ids []int64) (map[int64]V, error)

// loader joins the ids of one level into one batch.
type loader[V any] struct {
	mu     sync.Mutex // held while a level puts its ids into a batch
	cache  *dataloader.InMemoryCache[int64, V]
	loader *dataloader.Loader[int64, V]
}

// noTimer is a wait that no batch reaches.
const noTimer = time.Hour

func newLoader[V any](fetch fetchFunc[V]) *loader[V] {
	batch := func(ctx context.Context, ids []int64) []*dataloader.Result[V] {
		values, err := fetch(ctx, ids)
		all, results := make([]dataloader.Result[V], len(ids)), make([]*dataloader.Result[V], len(ids))
		for i, id := range ids {
			value, ok := values[id]
			if all[i].Data = value; !ok {
				all[i].Error = err
			}
			results[i] = &all[i]
		}
		return results
	}
	cache := dataloader.NewCache[int64, V]()
	return &loader[V]{cache: cache, loader: dataloader.NewBatchedLoader(batch,
		dataloader.WithCache[int64, V](cache), dataloader.WithWait[int64, V](noTimer))}
}

// load returns a value and an error for each id, in their order; nil in place of
// the errors if there are none.
//
// The batch ends when it has the ids that are not in the cache yet, so that no
// timer has to end it. LoadMany would start a goroutine for each id.
func (l *loader[V]) load(ctx context.Context, ids []int64) (values []V, errs []error) {
	l.mu.Lock()
	missing := make(map[int64]struct{}, len(ids))
	for _, id := range ids {
		if _, ok := l.cache.Get(ctx, id); !ok {
			missing[id] = struct{}{}
		}
	}
	dataloader.WithBatchCapacity[int64, V](len(missing))(l.loader)
	dataloader.WithInputCapacity[int64, V](len(missing))(l.loader)
	thunks := make([]dataloader.Thunk[V], len(ids))
	for i, id := range ids {
		thunks[i] = l.loader.Load(ctx, id)
	}
	l.mu.Unlock()

	values = make([]V, len(ids))
	for i, thunk := range thunks {
		var err error
		if values[i], err = thunk(); err != nil {
			if errs == nil {
				errs = make([]error, len(ids))
			}
			errs[i] = err
		}
	}
	return values, errs
}

// idsOf returns the id of each object.
func idsOf[T any](list []*T, id func(*T) int64) []int64 {
	ids := make([]int64, len(list))
	for i, object := range list {
		ids[i] = id(object)
	}
	return ids
}
