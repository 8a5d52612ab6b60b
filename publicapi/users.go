package publicapi

import (
	"context"
	"slices"

	"github.com/veranda-go/veranda/backend/listings"
	"github.com/veranda-go/veranda/backend/users"
	"github.com/veranda-go/veranda/internal/apierror"
	"github.com/veranda-go/veranda/internal/pagination"
)

const userService = "user service"

// Users returns a page of users, newest first.
func (a *API) Users(ctx context.Context, pg pagination.Page) ([]users.User, error) {
	if err := apierror.FromFields(pg.Validate(a.maxPageSize)); err != nil {
		return nil, err
	}
	found, err := pagination.Rows(pg, func(int64) ([]users.User, error) { return a.users.List(ctx, pg) })
	return found, documented(err, userService)
}

// User returns a user by id, nil if there is none.
func (a *API) User(ctx context.Context, id int64) (*users.User, error) {
	u, err := a.users.Get(ctx, id)
	switch {
	case err == nil:
		return &u, nil
	case apierror.KindOf(err) == apierror.NotFound:
		return nil, nil
	}
	return nil, documented(err, userService)
}

// CreateUser creates a user. key, unless "", is an idempotency key; replayed
// reports whether an earlier call with it created the user. Errors: Invalid,
// Unsupported for a key that the backend would ignore, and those of the client.
func (a *API) CreateUser(ctx context.Context, d users.Draft, key string) (_ users.User, replayed bool, err error) {
	if err := apierror.FromFields(d.Validate()); err != nil {
		return users.User{}, false, err
	}
	if err := a.userKeys.requireKeys(ctx, key, a.users.HonorsKeys); err != nil {
		return users.User{}, false, err
	}
	u, replayed, err := a.users.Create(ctx, d, key)
	return u, replayed, documented(err, userService)
}

func userID(u *users.User) int64 { return u.ID }

// usersKind is the kind of the loader of users.
type usersKind struct{}

// Owners returns the user of each listing, in the order of list, with at most
// one backend call. A user who does not exist is nil without an error.
func (a *API) Owners(ctx context.Context, list []*listings.Listing) ([]*users.User, []error) {
	return load(ctx, usersKind{}, idsOf(list, ownerOf), a.fetchUsers)
}

// fetchUsers returns the users of distinct ids, from the cache or a batch.
func (a *API) fetchUsers(ctx context.Context, ids []int64) (map[int64]*users.User, error) {
	cached := map[int64]*users.User{}
	others := make([]int64, 0, len(ids))
	for _, id := range ids {
		// A backend may have listings with ids that no user can have, for which it
		// would refuse the whole batch.
		if u, ok := a.cachedUser(id); ok {
			cached[id] = u
		} else if id > 0 {
			others = append(others, id)
		}
	}
	if len(others) == 0 {
		return cached, nil
	}
	found, err := a.userBatches.Load(ctx, others)
	if kind := apierror.KindOf(err); err != nil && (kind == apierror.Timeout || kind == apierror.Invalid) {
		// To the reader of listings a late response is as good as none.
		err = apierror.Wrap(apierror.Unavailable, userService+" unavailable", err)
	}
	if err != nil || len(cached) == 0 {
		return found, err
	}
	for _, id := range others {
		cached[id] = found[id] // found is shared with other requests and must not be changed
	}
	return cached, nil
}

func (a *API) cachedUser(id int64) (*users.User, bool) {
	if a.userCache == nil {
		return nil, false
	}
	return a.userCache.GetIfPresent(id)
}

// findUsers calls the user service, and caches the users that it finds. That a
// user does not exist is not cached, since it may be created.
func (a *API) findUsers(ctx context.Context, ids []int64) (map[int64]*users.User, error) {
	found := make(map[int64]*users.User, len(ids))
	for chunk := range slices.Chunk(ids, users.MaxBatch) {
		list, err := batchOrEach(ctx, &a.usersBatch, chunk, 1, userID, a.users.Batch, a.userByID)
		if err != nil {
			return nil, err
		}
		for i := range list {
			u := &list[i]
			found[u.ID] = u
			if a.userCache != nil {
				cached := *u // else the whole list stays in memory
				a.userCache.Set(u.ID, &cached)
			}
		}
	}
	return found, nil
}

// userByID returns a list of one user, or of none.
func (a *API) userByID(ctx context.Context, id int64) ([]users.User, error) {
	u, err := a.User(ctx, id)
	if u == nil {
		return nil, err
	}
	return []users.User{*u}, nil
}
