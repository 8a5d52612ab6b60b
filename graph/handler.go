package graph

import (
	"log/slog"
	"maps"

	"github.com/veranda-go/veranda/graph/generated"
	"github.com/veranda-go/veranda/graph/prepare"
	"github.com/veranda-go/veranda/graph/scalar"
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
	config := newConfig(api)
	preparer := newPreparer(api, config)
	return &Handler{transport.New(preparer, newExecutor(api, config, log), log), preparer}
}

func newConfig(api *publicapi.API) generated.Config {
	config := generated.Config{Resolvers: &Resolver{api}}
	schema := *generated.NewExecutableSchema(config).Schema()
	// It comes with the parser; incremental delivery is not supported.
	schema.Directives = maps.Clone(schema.Directives)
	delete(schema.Directives, "defer")
	config.Schema = &schema
	return config
}

func newPreparer(api *publicapi.API, config generated.Config) *prepare.Preparer {
	return prepare.New(prepare.Config{
		Table:       generated.NewTable(config),
		Calls:       map[string]int{"Mutation.createListing": 2}, // does the user exist?
		Scalars:     map[string]func(any) error{"Int64": scalar.CheckInt64, "Timestamp": scalar.CheckInt64},
		MaxPageSize: api.MaxPageSize(),
	})
}
