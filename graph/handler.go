package graph

import (
	"log/slog"

	"github.com/veranda-go/veranda/graph/generated"
	"github.com/veranda-go/veranda/graph/prepare"
	"github.com/veranda-go/veranda/graph/transport"
	"github.com/veranda-go/veranda/publicapi"
)

// Handler serves GraphQL requests. Make it with New.
type Handler struct {
	*transport.Handler
	// Preparer has the trusted documents.
	*prepare.Preparer
}

// New returns a handler over api.
func New(api *publicapi.API, log *slog.Logger) *Handler {
	config := generated.Config{Resolvers: &Resolver{api}}
	table := generated.NewTable(config)
	preparer := prepare.New(table, backendCalls, api.MaxPageSize())
	return &Handler{transport.New(preparer, newExecutor(api, config, log), log), preparer}
}

// backendCalls are the calls behind each field, for all its parents at once.
var backendCalls = map[string]int{
	"Query.listings":              1,
	"Query.listing":               1,
	"Query.users":                 1,
	"Query.user":                  1,
	"Query.node":                  1,
	"Query.listingsConnection":    1,
	"Listing.user":                1,
	"User.listings":               1,
	"User.listingsConnection":     1,
	"Mutation.createUser":         1,
	"Mutation.createListing":      2,
	"Subscription.listingCreated": 1,
}
