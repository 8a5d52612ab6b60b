package graph

import (
	"context"

	"github.com/veranda-go/veranda/backend/listings"
	"github.com/veranda-go/veranda/backend/users"
	"github.com/veranda-go/veranda/graph/generated"
	"github.com/veranda-go/veranda/internal/apierror"
	"github.com/veranda-go/veranda/publicapi"
)

type mutation struct{ api *publicapi.API }

func (m mutation) CreateUser(ctx context.Context, in generated.CreateUserInput) (*generated.CreateUserPayload, error) {
	u, _, err := m.api.CreateUser(ctx, users.Draft{Name: in.Name}, nextKey(ctx))
	if err != nil {
		return nil, err
	}
	return &generated.CreateUserPayload{User: &u}, nil
}

func (m mutation) CreateListing(ctx context.Context, in generated.CreateListingInput) (*generated.CreateListingPayload, error) {
	key := nextKey(ctx)
	userID, err := readID("user_id", in.UserID)
	d := listings.Draft{UserID: userID, Type: in.ListingType, Price: in.Price}
	if err != nil {
		// The response has every field error, and for the id the first that was
		// found.
		e := apierror.From(err)
		for _, f := range d.Validate() {
			if f.Field != "user_id" {
				e.Fields = append(e.Fields, f)
			}
		}
		return nil, e
	}
	l, _, err := m.api.CreateListing(ctx, d, key)
	if err != nil {
		return nil, err
	}
	return &generated.CreateListingPayload{Listing: &l}, nil
}
