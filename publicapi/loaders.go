package publicapi

import (
	"context"
	"encoding/binary"
	"sync"
	"time"

	"github.com/graph-gophers/dataloader/v7"

	"github.com/veranda-go/veranda/backend/listings"
	"github.com/veranda-go/veranda/backend/users"
)

// loaders turn what one level of a question asks into one batch and remember
// the answers until the request ends. They are never shared between requests:
// a batch runs under the context of its first ask.
type loaders struct {
	users loader[*users.User]

	mu          sync.Mutex
	listings    map[int64]*loader[[]listings.Listing] // by how many of each user
	connections map[string]*loader[*Connection]       // by window
}

type loadersKey struct{}

// WithLoaders gives ctx, the context of one request, its loaders. Both doors
// call it before they ask anything else.
func (a *API) WithLoaders(ctx context.Context) context.Context {
	l := &loaders{}
	l.users.fetch = a.fetchUsers
	return context.WithValue(ctx, loadersKey{}, l)
}

func loadersOf(ctx context.Context) *loaders { return ctx.Value(loadersKey{}).(*loaders) }

// loaderFor gives the loader of one kind of question, made by fetch if it is
// the first.
func loaderFor[K comparable, V any](l *loaders, all *map[K]*loader[V], kind K, fetch fetcher[V]) *loader[V] {
	l.mu.Lock()
	defer l.mu.Unlock()
	if *all == nil {
		*all = map[K]*loader[V]{}
	}
	if (*all)[kind] == nil {
		(*all)[kind] = &loader[V]{fetch: fetch}
	}
	return (*all)[kind]
}

// fetcher gets the values of distinct ids, of which those that are absent have
// the zero value.
type fetcher[V any] func(context.Context, []int64) (map[int64]V, error)

// loader gets values by user ids. Who asks knows all ids of a level, so a
// batch needs no clock to know that it is whole; and what the dataloader has
// as its key is the whole set, since its cost is by the key: ten allocations.
type loader[V any] struct {
	fetch fetcher[V]

	mu    sync.Mutex // one batch at a time: the next one may ask for less
	known map[int64]V
	sets  *dataloader.Loader[idSet, map[int64]V]
}

// idSet is a list of ids in a form that can be compared.
type idSet string

func setOf(ids []int64) idSet {
	b := make([]byte, 0, 8*len(ids))
	for _, id := range ids {
		b = binary.NativeEndian.AppendUint64(b, uint64(id))
	}
	return idSet(b)
}

func (s idSet) ids() []int64 {
	ids := make([]int64, len(s)/8)
	for i := range ids {
		ids[i] = int64(binary.NativeEndian.Uint64([]byte(s[8*i : 8*i+8])))
	}
	return ids
}

// never is a wait that a batch of one set does not reach.
const never = time.Hour

// load returns one value and one error for each id, in their order; nil in
// place of the errors if there are none.
func (l *loader[V]) load(ctx context.Context, ids []int64) ([]V, []error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.known == nil {
		l.known = make(map[int64]V, len(ids))
		l.sets = dataloader.NewBatchedLoader(l.batch,
			dataloader.WithBatchCapacity[idSet, map[int64]V](1),
			dataloader.WithInputCapacity[idSet, map[int64]V](1),
			dataloader.WithWait[idSet, map[int64]V](never))
	}
	asked := make([]int64, 0, len(ids))
	seen := make(map[int64]struct{}, len(ids))
	for _, id := range ids {
		if _, ok := l.known[id]; ok {
			continue
		}
		if _, ok := seen[id]; !ok {
			seen[id] = struct{}{}
			asked = append(asked, id)
		}
	}

	var err error
	if len(asked) > 0 {
		var found map[int64]V
		if found, err = l.sets.Load(ctx, setOf(asked))(); err == nil {
			for _, id := range asked {
				l.known[id] = found[id]
			}
		}
	}

	values := make([]V, len(ids))
	for i, id := range ids {
		values[i] = l.known[id]
	}
	if err == nil {
		return values, nil
	}
	errs := make([]error, len(ids))
	for i, id := range ids {
		if _, failed := seen[id]; failed {
			errs[i] = err
		}
	}
	return values, errs
}

// batch answers the one set of a batch.
func (l *loader[V]) batch(ctx context.Context, sets []idSet) []*dataloader.Result[map[int64]V] {
	out := make([]*dataloader.Result[map[int64]V], len(sets))
	for i, s := range sets {
		found, err := l.fetch(ctx, s.ids())
		out[i] = &dataloader.Result[map[int64]V]{Data: found, Error: err}
	}
	return out
}
