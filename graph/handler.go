package graph

import (
	"log/slog"
	"net/http"

	"github.com/99designs/gqlgen/graphql"

	"github.com/veranda-go/veranda/internal/coalesce"
	"github.com/veranda-go/veranda/internal/httpapi"
	"github.com/veranda-go/veranda/publicapi"
)

// Handler answers GraphQL requests: over GET and POST (http.go), as server-sent
// events (stream.go) and over WebSockets (socket.go). Make it with New.
type Handler struct {
	// Origins are the web origins that may open WebSockets beside our own.
	// Set it before the first request.
	Origins httpapi.Origins

	exec      graphql.GraphExecutor
	flights   coalesce.Group[question, *graphql.Response]
	documents *documents
	known     cache[*graphql.OperationContext] // queries by the bodies that asked them; not to be changed
	persisted persisted
	log       *slog.Logger
	limits    streamLimits
}

// New opens a GraphQL door to api.
func New(api *publicapi.API, log *slog.Logger) *Handler {
	e := newExecutor(api, log)
	return &Handler{exec: e, documents: &e.documents, log: log, limits: defaultStreamLimits}
}

// vary are the request headers that an answer depends on.
const vary = "Accept, " + CostHeader

// ServeHTTP is part of http.Handler.
func (d *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header()["Vary"] = append(w.Header()["Vary"], vary)
	switch {
	case isUpgrade(r):
		d.serveSocket(w, r)
	case r.Method == http.MethodGet, r.Method == http.MethodHead, r.Method == http.MethodPost:
		d.serveHTTP(w, r)
	default:
		w.Header().Set("Allow", "GET, HEAD, POST")
		err := refuse(http.StatusMethodNotAllowed, codeMethod, "%s is not allowed here", r.Method)
		writeRefusal(w, mediaJSON, err)
	}
}
