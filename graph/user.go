package graph

import (
	"context"

	"github.com/veranda-go/veranda/backend/listings"
	"github.com/veranda-go/veranda/backend/users"
	"github.com/veranda-go/veranda/graph/generated"
	"github.com/veranda-go/veranda/publicapi"
)

type user struct{ api *publicapi.API }

func (u user) NodeID(_ context.Context, obj *users.User) (string, error) {
	return publicapi.UserNodeID(obj), nil
}

// Listings resolves the newest listings of all users of a level.
func (u user) Listings(ctx context.Context, list []*users.User, first int) ([][]listings.Listing, error) {
	found, errs := u.api.ListingsOf(ctx, list, int64(first))
	return found, batchErrors(errs)
}

// ListingsConnection resolves the connections of all users of a level.
func (u user) ListingsConnection(ctx context.Context, list []*users.User, first *int, after *string, last *int, before *string, filter *generated.ListingFilter, orderBy listings.Order) ([]*publicapi.Connection, error) {
	f, err := readFilter(filter)
	if err != nil {
		return nil, err
	}
	found, errs := u.api.ConnectionsOf(ctx, list, f, orderBy, window(first, after, last, before))
	return found, batchErrors(errs)
}
