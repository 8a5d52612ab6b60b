package publicapi

import (
	"context"
	"slices"

	"github.com/veranda-go/veranda/backend/listings"
	"github.com/veranda-go/veranda/backend/users"
	"github.com/veranda-go/veranda/internal/apierror"
	"github.com/veranda-go/veranda/internal/backendclient"
	"github.com/veranda-go/veranda/internal/pagination"
)

const listingService = "listing service"

// Listings returns a page of listings, newest first. userID 0 keeps those of
// all users.
func (a *API) Listings(ctx context.Context, pg pagination.Page, userID int64) ([]listings.Listing, error) {
	if err := apierror.FromFields(pg.Validate(a.maxPageSize)); err != nil {
		return nil, err
	}
	found, err := pagination.Rows(pg, func(int64) ([]listings.Listing, error) { return a.listings.List(ctx, pg, userID) })
	return found, documented(err, listingService)
}

// FindListings returns a page of listings that are filtered, sorted or begin at
// a cursor, and whether more follow. q must be valid and its limit at most
// MaxPageSize. Unsupported where the backend knows only documented parameters.
func (a *API) FindListings(ctx context.Context, q listings.Query) (found []listings.Listing, more bool, err error) {
	found, more, err = a.listings.Find(ctx, q)
	if err != nil && apierror.KindOf(err) != apierror.Unsupported {
		err = documented(err, listingService)
	}
	return found, more, err
}

// Listing returns a listing by id, nil if there is none. Unsupported where the
// backend has no route for a single listing.
func (a *API) Listing(ctx context.Context, id int64) (*listings.Listing, error) {
	l, err := a.listings.Get(ctx, id)
	if err == nil {
		a.listingByID.set(present)
		return &l, nil
	}
	if !backendclient.LacksRoute(err) {
		return nil, err
	}
	if e := apierror.From(err); e.Kind == apierror.NotFound && e.Fields[0].Field == "id" {
		a.listingByID.set(present) // the error names the route's parameter
	}
	if a.listingByID.is(present) {
		return nil, nil
	}
	// Either the listing is missing or the route. A listing that exists tells; where
	// there is none at all, it does not matter.
	newest, err := a.Listings(ctx, pagination.Page{Num: 1, Size: 1}, 0)
	if err != nil || len(newest) == 0 {
		return nil, err
	}
	if _, err := a.listings.Get(ctx, newest[0].ID); err != nil {
		return nil, extension(err, "listing by id")
	}
	a.listingByID.set(present)
	return nil, nil
}

// CreateListing creates a listing for a user who exists. key, unless "", is an
// idempotency key; replayed reports whether an earlier call with it created the
// listing. Errors as those of CreateUser.
func (a *API) CreateListing(ctx context.Context, d listings.Draft, key string) (_ listings.Listing, replayed bool, err error) {
	if err := apierror.FromFields(d.Validate()); err != nil {
		return listings.Listing{}, false, err
	}
	if err := a.listingKeys.requireKeys(ctx, key, a.listings.HonorsKeys); err != nil {
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

func ownerOf(l *listings.Listing) int64 { return l.UserID }

// newestKind is the kind of a loader of so many listings of each user.
type newestKind int64

// ListingsOf returns the newest first listings of each user, in the order of
// list, with at most one backend call.
func (a *API) ListingsOf(ctx context.Context, list []*users.User, first int64) ([][]listings.Listing, []error) {
	if err := apierror.FromFields(pagination.ValidateSize("first", first, a.maxPageSize)); err != nil {
		return make([][]listings.Listing, len(list)), slices.Repeat([]error{err}, len(list))
	}
	return load(ctx, newestKind(first), idsOf(list, userID), func(ctx context.Context, ids []int64) (map[int64][]listings.Listing, error) {
		return a.fetchNewest(ctx, ids, first)
	})
}

// fetchNewest returns the newest first listings of distinct users.
func (a *API) fetchNewest(ctx context.Context, userIDs []int64, first int64) (map[int64][]listings.Listing, error) {
	found := make(map[int64][]listings.Listing, len(userIDs))
	for _, id := range userIDs {
		found[id] = []listings.Listing{} // nil would be null in GraphQL
	}
	for chunk := range slices.Chunk(userIDs, listings.MaxBatch) {
		list, err := batchOrEach(ctx, &a.listingsBatch, chunk, first, ownerOf,
			func(ctx context.Context, ids []int64) ([]listings.Listing, error) {
				return a.listings.NewestOf(ctx, ids, first)
			},
			func(ctx context.Context, id int64) ([]listings.Listing, error) {
				return a.Listings(ctx, pagination.Page{Num: 1, Size: first}, id)
			})
		if err != nil {
			return nil, err
		}
		for _, l := range list {
			found[l.UserID] = append(found[l.UserID], l)
		}
	}
	return found, nil
}
