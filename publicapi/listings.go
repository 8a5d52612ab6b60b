package publicapi

import (
	"context"
	"slices"

	"github.com/veranda-go/veranda/backend/listings"
	"github.com/veranda-go/veranda/backend/users"
	"github.com/veranda-go/veranda/internal/apierror"
	"github.com/veranda-go/veranda/internal/pagination"
)

const listingService = "listing service"

// Listings returns a page of listings, newest first. userID 0 keeps those of
// all users. Callers who ask the same at the same moment share the rows, which
// are not to be changed.
func (a *API) Listings(ctx context.Context, pg pagination.Page, userID int64) ([]listings.Listing, error) {
	if err := apierror.FromFields(pg.Validate(a.maxPageSize)); err != nil {
		return nil, err
	}
	if _, ok := pg.Offset(); !ok {
		return nil, nil // not every backend takes care of its arithmetic
	}
	found, err := a.lists.Do(ctx, list{pg, userID}, func(ctx context.Context) ([]listings.Listing, error) {
		return a.listings.List(ctx, pg, userID)
	})
	return found, documented(err, listingService)
}

// list is a question for a page, as a key.
type list struct {
	page   pagination.Page
	userID int64
}

// Listing returns a listing by id, nil if there is none. Unsupported where
// the backend has no route for a single listing.
func (a *API) Listing(ctx context.Context, id int64) (*listings.Listing, error) {
	l, err := a.listings.Get(ctx, id)
	if err == nil {
		a.listingByID.markPresent(a.now())
		return &l, nil
	}
	if !missing(err) {
		return nil, err
	}
	if f := apierror.From(err); f.Kind == apierror.NotFound && f.Fields[0].Field == "id" {
		a.listingByID.markPresent(a.now()) // who blames the id has the route
		return nil, nil
	}
	// Is it the listing that is missing, or the route?
	ok, err := a.hasListingByID(ctx)
	if err != nil || ok {
		return nil, err
	}
	return nil, apierror.New(apierror.Unsupported, "listing by id: not supported by this backend")
}

// hasListingByID finds out by asking for a listing that exists. Where there
// is none at all, it does not matter.
func (a *API) hasListingByID(ctx context.Context) (bool, error) {
	if a.listingByID.knownPresent(a.now()) {
		return true, nil
	}
	newest, err := a.listings.List(ctx, pagination.Page{Num: 1, Size: 1}, 0)
	if err != nil {
		return false, documented(err, listingService)
	}
	if len(newest) == 0 {
		return true, nil
	}
	_, err = a.listings.Get(ctx, newest[0].ID)
	switch {
	case err == nil:
		a.listingByID.markPresent(a.now())
		return true, nil
	case missing(err):
		return false, nil
	}
	return false, err
}

// CreateListing creates a listing for a user who exists. key makes it safe to
// repeat; "" is none.
// replayed tells that it was created by an earlier call.
func (a *API) CreateListing(ctx context.Context, d listings.Draft, key string) (_ listings.Listing, replayed bool, err error) {
	if err := apierror.FromFields(d.Validate()); err != nil {
		return listings.Listing{}, false, err
	}
	if err := a.listingKeys.check(ctx, a.now(), key, a.listings.HonoursKeys); err != nil {
		return listings.Listing{}, false, err
	}
	owner, err := a.User(ctx, d.UserID)
	if err != nil {
		return listings.Listing{}, false, err
	}
	if owner == nil {
		return listings.Listing{}, false, apierror.Invalidf("user_id", "no such user")
	}
	l, replayed, err := a.listings.Create(ctx, d, key)
	return l, replayed, documented(err, listingService)
}

// ListingsOf returns the newest first listings of each user, in the order of
// list, from at most one backend call.
func (a *API) ListingsOf(ctx context.Context, list []*users.User, first int64) ([][]listings.Listing, []error) {
	if err := apierror.FromFields(pagination.ValidateSize("first", first, a.maxPageSize)); err != nil {
		return make([][]listings.Listing, len(list)), slices.Repeat([]error{err}, len(list))
	}
	ids := make([]int64, len(list))
	for i, u := range list {
		ids[i] = u.ID
	}
	l := loadersOf(ctx)
	return loaderFor(l, &l.listings, first, func(ctx context.Context, ids []int64) (map[int64][]listings.Listing, error) {
		return a.fetchListingsOf(ctx, ids, first)
	}).load(ctx, ids)
}

// fetchListingsOf is the loader's batch: the newest first listings of distinct
// users.
func (a *API) fetchListingsOf(ctx context.Context, ids []int64, first int64) (map[int64][]listings.Listing, error) {
	found := make(map[int64][]listings.Listing, len(ids))
	for _, id := range ids {
		found[id] = []listings.Listing{} // nil would be shown as null
	}
	for chunk := range slices.Chunk(ids, listings.MaxBatch) {
		list, err := a.batchListings(ctx, chunk, first)
		if err != nil {
			return nil, err
		}
		for _, l := range list {
			found[l.UserID] = append(found[l.UserID], l)
		}
	}
	return found, nil
}

// batchListings asks for the listings of many users at once or, where the
// backend cannot, of one after the other, several at a time.
func (a *API) batchListings(ctx context.Context, userIDs []int64, first int64) ([]listings.Listing, error) {
	if a.listingsBatch.worthAsking(a.now()) {
		found, err := a.listings.NewestOf(ctx, userIDs, first)
		if err == nil && areNewestOf(userIDs, first, found) {
			return found, nil
		}
		if err != nil && !missing(err) {
			if !stumbles(err) {
				return nil, err
			}
			if _, err := a.Listings(ctx, pagination.Page{Num: 1, Size: 1}, userIDs[0]); err != nil {
				return nil, err
			}
		}
		a.listingsBatch.markMissing(a.now())
	}
	lists := make([][]listings.Listing, len(userIDs))
	err := each(ctx, userIDs, func(ctx context.Context, i int, id int64) (err error) {
		lists[i], err = a.Listings(ctx, pagination.Page{Num: 1, Size: first}, id)
		return err
	})
	return slices.Concat(lists...), err
}

// areNewestOf is false when a backend took a batch for some other question.
func areNewestOf(userIDs []int64, first int64, found []listings.Listing) bool {
	left := make(map[int64]int64, len(userIDs))
	for _, id := range userIDs {
		left[id] = first
	}
	for i := range found {
		left[found[i].UserID]--
		if left[found[i].UserID] < 0 {
			return false
		}
	}
	return true
}
