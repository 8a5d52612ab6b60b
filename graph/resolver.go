package graph

import (
	"context"

	"github.com/99designs/gqlgen/graphql"

	"github.com/veranda-go/veranda/backend/listings"
	"github.com/veranda-go/veranda/backend/users"
	"github.com/veranda-go/veranda/graph/generated"
	"github.com/veranda-go/veranda/internal/page"
	"github.com/veranda-go/veranda/publicapi"
)

// Resolver answers the schema's fields from the core.
type Resolver struct {
	api *publicapi.API
}

var _ generated.ResolverRoot = (*Resolver)(nil)

// Query resolves the fields of Query.
func (r *Resolver) Query() generated.QueryResolver { return query{r.api} }

// Mutation resolves the fields of Mutation.
func (r *Resolver) Mutation() generated.MutationResolver { return mutation{r.api} }

// Listing resolves the fields of Listing that need a call.
func (r *Resolver) Listing() generated.ListingResolver { return listing{r.api} }

// User resolves the fields of User that need a call.
func (r *Resolver) User() generated.UserResolver { return user{r.api} }

type query struct{ api *publicapi.API }

func (q query) Listings(ctx context.Context, pageNum, pageSize int, userID *int64) ([]listings.Listing, error) {
	var id int64
	if userID != nil {
		id = *userID
	}
	return q.api.Listings(ctx, page.Page{Num: int64(pageNum), Size: int64(pageSize)}, id)
}

func (q query) Listing(ctx context.Context, id int64) (*listings.Listing, error) {
	return q.api.Listing(ctx, id)
}

func (q query) Users(ctx context.Context, pageNum, pageSize int) ([]users.User, error) {
	return q.api.Users(ctx, page.Page{Num: int64(pageNum), Size: int64(pageSize)})
}

func (q query) User(ctx context.Context, id int64) (*users.User, error) {
	return q.api.User(ctx, id)
}

type mutation struct{ api *publicapi.API }

func (m mutation) CreateUser(ctx context.Context, in generated.CreateUserInput) (*generated.CreateUserPayload, error) {
	u, err := m.api.CreateUser(ctx, users.Draft{Name: in.Name})
	if err != nil {
		return nil, err
	}
	return &generated.CreateUserPayload{User: &u}, nil
}

func (m mutation) CreateListing(ctx context.Context, in generated.CreateListingInput) (*generated.CreateListingPayload, error) {
	l, err := m.api.CreateListing(ctx, listings.Draft{UserID: in.UserID, Type: in.ListingType, Price: in.Price})
	if err != nil {
		return nil, err
	}
	return &generated.CreateListingPayload{Listing: &l}, nil
}

type listing struct{ api *publicapi.API }

// User resolves the users of all listings of one list at once.
func (l listing) User(ctx context.Context, list []*listings.Listing) ([]*users.User, error) {
	owners, errs := l.api.Owners(ctx, list)
	return owners, batchErrors(errs)
}

type user struct{ api *publicapi.API }

// Listings resolves the listings of all users of one list at once.
func (u user) Listings(ctx context.Context, list []*users.User, first int) ([][]listings.Listing, error) {
	found, errs := u.api.ListingsOf(ctx, list, int64(first))
	return found, batchErrors(errs)
}

// batchErrors gives gqlgen one error for each element, or none at all.
func batchErrors(errs []error) error {
	for _, err := range errs {
		if err != nil {
			return graphql.BatchErrorList(errs)
		}
	}
	return nil
}
