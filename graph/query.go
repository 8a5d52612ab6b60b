package graph

import (
	"context"

	"github.com/veranda-go/veranda/backend/listings"
	"github.com/veranda-go/veranda/backend/users"
	"github.com/veranda-go/veranda/graph/generated"
	"github.com/veranda-go/veranda/internal/pagination"
	"github.com/veranda-go/veranda/publicapi"
)

type query struct{ api *publicapi.API }

func (q query) Listings(ctx context.Context, pageNum, pageSize int, userID *string) ([]listings.Listing, error) {
	id, err := optionalID("user_id", userID)
	if err != nil {
		return nil, err
	}
	return q.api.Listings(ctx, pagination.Page{Num: int64(pageNum), Size: int64(pageSize)}, id)
}

func (q query) Listing(ctx context.Context, id string) (*listings.Listing, error) {
	n, err := readID("id", id)
	if err != nil {
		return nil, err
	}
	return q.api.Listing(ctx, n)
}

func (q query) Users(ctx context.Context, pageNum, pageSize int) ([]users.User, error) {
	return q.api.Users(ctx, pagination.Page{Num: int64(pageNum), Size: int64(pageSize)})
}

func (q query) User(ctx context.Context, id string) (*users.User, error) {
	n, err := readID("id", id)
	if err != nil {
		return nil, err
	}
	return q.api.User(ctx, n)
}

func (q query) ListingsConnection(ctx context.Context, first *int, after *string, last *int, before *string, filter *generated.ListingFilter, orderBy listings.Order) (*publicapi.Connection, error) {
	f, err := readFilter(filter)
	if err != nil {
		return nil, err
	}
	return q.api.ListingsConnection(ctx, f, orderBy, window(first, after, last, before))
}

func (q query) Node(ctx context.Context, id string) (publicapi.Node, error) {
	return q.api.Node(ctx, id)
}
