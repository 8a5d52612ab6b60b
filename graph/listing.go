package graph

import (
	"context"

	"github.com/veranda-go/veranda/backend/listings"
	"github.com/veranda-go/veranda/backend/users"
	"github.com/veranda-go/veranda/publicapi"
)

type listing struct{ api *publicapi.API }

func (l listing) NodeID(_ context.Context, obj *listings.Listing) (string, error) {
	return publicapi.ListingNodeID(obj), nil
}

// User resolves the users of all listings of a level.
func (l listing) User(ctx context.Context, list []*listings.Listing) ([]*users.User, error) {
	owners, errs := l.api.Owners(ctx, list)
	return owners, batchErrors(errs)
}
