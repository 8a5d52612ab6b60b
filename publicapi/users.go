package publicapi

import (
	"context"
	"slices"
	"strings"

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
	if _, ok := pg.Offset(); !ok {
		return nil, nil // not every backend takes care of its arithmetic
	}
	found, err := a.users.List(ctx, pg)
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

// CreateUser creates a user. key makes it safe to repeat; "" is none.
// replayed tells that it was created by an earlier call.
func (a *API) CreateUser(ctx context.Context, d users.Draft, key string) (_ users.User, replayed bool, err error) {
	if err := apierror.FromFields(d.Validate()); err != nil {
		return users.User{}, false, err
	}
	if err := a.userKeys.check(ctx, a.now(), key, a.users.HonoursKeys); err != nil {
		return users.User{}, false, err
	}
	u, replayed, err := a.users.Create(ctx, d, key)
	return u, replayed, documented(err, userService)
}

// Owners returns the user of each listing, in their order, from at most one
// backend call. A user who does not exist is nil without an error.
func (a *API) Owners(ctx context.Context, list []*listings.Listing) ([]*users.User, []error) {
	ids := make([]int64, len(list))
	for i, l := range list {
		ids[i] = l.UserID
	}
	return loadersOf(ctx).users.load(ctx, ids)
}

// fetchUsers is the loader's batch: the users of distinct ids, kept ones first.
func (a *API) fetchUsers(ctx context.Context, ids []int64) (map[int64]*users.User, error) {
	var known map[int64]*users.User
	asked := ids[:0:0]
	for _, id := range ids {
		if a.kept != nil {
			if u, ok := a.kept.GetIfPresent(id); ok {
				if known == nil {
					known = make(map[int64]*users.User, len(ids))
				}
				known[id] = u
				continue
			}
		}
		// A backend may hold listings with ids that no user can have. Asking
		// for one would get the whole batch refused.
		if id > 0 {
			asked = append(asked, id)
		}
	}
	if len(asked) == 0 {
		return known, nil
	}
	found, err := a.owners.Load(ctx, asked)
	if err != nil {
		return nil, ownerFailure(err)
	}
	if known == nil {
		return found, nil
	}
	for _, id := range asked {
		known[id] = found[id] // found is shared with others, and not ours to change
	}
	return known, nil
}

// findUsers asks the user service, and keeps whom it finds. That somebody does
// not exist is never kept: it may be true no longer.
func (a *API) findUsers(ctx context.Context, ids []int64) (map[int64]*users.User, error) {
	found := make(map[int64]*users.User, len(ids))
	for chunk := range slices.Chunk(ids, users.MaxBatch) {
		list, err := a.batchUsers(ctx, chunk)
		if err != nil {
			return nil, err
		}
		for i := range list {
			u := &list[i]
			found[u.ID] = u
			if a.kept != nil {
				keep := *u
				keep.Name = strings.Clone(u.Name) // else it may keep the whole answer that it came in
				a.kept.Set(u.ID, &keep)
			}
		}
	}
	return found, nil
}

// ownerFailure is what is shown beside listings whose users could not be had:
// late or not at all is the same to who reads the listings.
func ownerFailure(err error) error {
	if k := apierror.KindOf(err); k == apierror.Timeout || k == apierror.Invalid {
		return apierror.Wrap(apierror.Unavailable, userService+" unavailable", err)
	}
	return err
}

// batchUsers asks for many users at once or, where the backend cannot, for
// one after the other, several at a time.
func (a *API) batchUsers(ctx context.Context, ids []int64) ([]users.User, error) {
	if a.usersBatch.worthAsking(a.now()) {
		found, err := a.users.Batch(ctx, ids)
		if err == nil && isAnswerTo(ids, found) {
			return found, nil
		}
		if err != nil && !missing(err) {
			if !stumbles(err) {
				return nil, err
			}
			if _, err := a.User(ctx, ids[0]); err != nil {
				return nil, err
			}
		}
		a.usersBatch.markMissing(a.now())
	}
	found := make([]users.User, len(ids))
	err := each(ctx, ids, func(ctx context.Context, i int, id int64) error {
		u, err := a.User(ctx, id)
		if err == nil && u != nil {
			found[i] = *u
		}
		return err
	})
	return slices.DeleteFunc(found, func(u users.User) bool { return u.ID == 0 }), err
}

// isAnswerTo is false when a backend took a batch for some other question.
func isAnswerTo(ids []int64, found []users.User) bool {
	asked := make(map[int64]struct{}, len(ids))
	for _, id := range ids {
		asked[id] = struct{}{}
	}
	for i := range found {
		if _, ok := asked[found[i].ID]; !ok {
			return false
		}
	}
	return true
}
