package graph

import (
	"log/slog"
	"net/http"

	"github.com/99designs/gqlgen/graphql/handler"
	"github.com/99designs/gqlgen/graphql/handler/extension"
	"github.com/99designs/gqlgen/graphql/handler/transport"

	"github.com/veranda-go/veranda/graph/generated"
	"github.com/veranda-go/veranda/internal/wire"
	"github.com/veranda-go/veranda/publicapi"
)

// New opens a GraphQL door to api.
func New(api *publicapi.API, log *slog.Logger) http.Handler {
	h := handler.New(generated.NewExecutableSchema(generated.Config{Resolvers: &Resolver{api}}))
	h.AddTransport(transport.GET{})
	h.AddTransport(transport.POST{})
	h.Use(extension.Introspection{})
	h.SetErrorPresenter(present(log))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, wire.MaxBody)
		h.ServeHTTP(w, r.WithContext(api.WithLoaders(r.Context())))
	})
}
