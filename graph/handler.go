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

// backendCalls are the calls of the resolvers that make more than one.
var backendCalls = map[string]int{
	"Mutation.createListing": 2, // does the user exist?
}
