package graph

import (
	"strconv"

	"context"

	"github.com/99designs/gqlgen/graphql"

	"github.com/veranda-go/veranda/graph/generated"
	"github.com/veranda-go/veranda/publicapi"
)

// Resolver resolves the schema's fields from the core.
type Resolver struct {
	api *publicapi.API
}

var _ generated.ResolverRoot = (*Resolver)(nil)

// Query returns the resolvers of Query.
func (r *Resolver) Query() generated.QueryResolver { return query{r.api} }

// Mutation returns the resolvers of Mutation.
func (r *Resolver) Mutation() generated.MutationResolver { return mutation{r.api} }

// Listing returns the resolvers of Listing.
func (r *Resolver) Listing() generated.ListingResolver { return listing{r.api} }

// User returns the resolvers of User.
func (r *Resolver) User() generated.UserResolver { return user{r.api} }

// Subscription returns the resolvers of Subscription.
func (r *Resolver) Subscription() generated.SubscriptionResolver { return subscription{r.api} }

// batchErrors returns the errors of a batch resolver, one for each parent, nil
// if there are none.
func batchErrors(errs []error) error {
	for _, err := range errs {
		if err != nil {
			return graphql.BatchErrorList(errs)
		}
	}
	return nil
}

// operationKeys has the idempotency keys of an operation's mutations, which run
// one after the other: the header's own for the first, so that REST and GraphQL
// share it, and a numbered one for each that follows.
type operationKeys struct {
	header string
	used   int
}

type operationKeysKey struct{}

func withKeys(ctx context.Context, header string) context.Context {
	return context.WithValue(ctx, operationKeysKey{}, &operationKeys{header: header})
}

func nextKey(ctx context.Context) string {
	k, _ := ctx.Value(operationKeysKey{}).(*operationKeys)
	if k == nil || k.header == "" {
		return ""
	}
	k.used++
	if k.used == 1 {
		return k.header
	}
	return k.header + "/" + strconv.Itoa(k.used)
}
