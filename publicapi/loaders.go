package publicapi

import (
	"context"
	"sync"
	"time"

	"github.com/graph-gophers/dataloader/v7"
)

// loaders are the dataloaders of one request, by what they load. They join the
// ids of one level into one batch and remember the values until the request
// ends. Requests never share them, since a batch runs under the context of its
// first caller; package coalesce joins the batches of several requests.
type loaders struct {
	mu     sync.Mutex
	byKind map[any]any // of *loader
}

type loadersKey struct{}

// WithLoaders returns a context with loaders of its own. Both APIs call it
// before they ask for anything else.
func (a *API) WithLoaders(ctx context.Context) context.Context {
	return context.WithValue(ctx, loadersKey{}, &loaders{})
}

// loaderOf returns the request's loader of a kind, made with fetch if it is the
// first. fetch returns the values of distinct ids; absent ids have the zero
// value.
func loaderOf[V any](ctx context.Context, kind any, fetch func(context.Context, []int64) (map[int64]V, error)) *loader[V] {
	all := ctx.Value(loadersKey{}).(*loaders)
	all.mu.Lock()
	defer all.mu.Unlock()
	if l, ok := all.byKind[kind]; ok {
		return l.(*loader[V])
	}
	if all.byKind == nil {
		all.byKind = map[any]any{}
	}
	l := newLoader(fetch)
	all.byKind[kind] = l
	return l
}

// loader loads values by id.
type loader[V any] struct {
	mu     sync.Mutex // one level at a time puts its ids into a batch
	cache  *dataloader.InMemoryCache[int64, V]
	loader *dataloader.Loader[int64, V]
}

// noTimer is a wait that no batch reaches.
const noTimer = time.Hour

func newLoader[V any](fetch func(context.Context, []int64) (map[int64]V, error)) *loader[V] {
	cache := dataloader.NewCache[int64, V]()
	batch := func(ctx context.Context, ids []int64) []*dataloader.Result[V] {
		values, err := fetch(ctx, ids)
		results := make([]*dataloader.Result[V], len(ids))
		for i, id := range ids {
			results[i] = &dataloader.Result[V]{Data: values[id], Error: err}
		}
		return results
	}
	return &loader[V]{cache: cache, loader: dataloader.NewBatchedLoader(batch,
		dataloader.WithCache[int64, V](cache), dataloader.WithWait[int64, V](noTimer))}
}

// load returns a value and an error for each id of a level, in their order; nil
// in place of the errors if there are none.
func (l *loader[V]) load(ctx context.Context, ids []int64) ([]V, []error) {
	values := make([]V, len(ids))
	var errs []error
	for i, thunk := range l.thunks(ctx, ids) {
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

// thunks asks for ids. The batch ends when it has all of them that are not in
// the cache yet, so that no timer has to end it. Not LoadMany, which starts a
// goroutine for each id.
func (l *loader[V]) thunks(ctx context.Context, ids []int64) []dataloader.Thunk[V] {
	l.mu.Lock()
	defer l.mu.Unlock()
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
	return thunks
}
