package graph

import (
	"log/slog"
	"net/http"

	"github.com/99designs/gqlgen/graphql/handler/transport"

	"github.com/veranda-go/veranda/internal/wire"
	"github.com/veranda-go/veranda/publicapi"
)

// New opens a GraphQL door to api.
func New(api *publicapi.API, log *slog.Logger) http.Handler {
	e := newExecutor(api, log)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, wire.MaxBody)
		if r.Method == http.MethodGet {
			transport.GET{}.Do(w, r, e)
		} else {
			transport.POST{}.Do(w, r, e)
		}
	})
}
