// Package transport is the HTTP side of the GraphQL API: requests and
// responses over GET and POST, server-sent events and WebSockets. It knows no
// schema: package prepare makes operations of requests, and an [Executor], by
// package graph, runs them.
package transport

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/maypok86/otter/v2"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/veranda-go/veranda/graph/errcode"
	"github.com/veranda-go/veranda/graph/prepare"
	"github.com/veranda-go/veranda/internal/coalesce"
	"github.com/veranda-go/veranda/internal/httpapi"
)

// Executor runs operations.
type Executor interface {
	// Execute starts an operation. The returned function returns one response
	// after the other and nil when there are no more: a query and a mutation
	// have one, a subscription has one for each event. It ends with ctx.
	Execute(ctx context.Context, op *prepare.Operation) (next func() *graphql.Response)
}

// Handler serves GraphQL requests. Make it with New.
type Handler struct {
	// Origins are the web origins that may open WebSockets, besides the server's
	// own. Set it before the first request.
	Origins httpapi.Origins

	preparer *prepare.Preparer
	executor Executor
	inFlight coalesce.Group[responseKey, *graphql.Response]
	known    *otter.Cache[string, *prepare.Operation] // queries by their request bodies
	log      *slog.Logger
	limits   limits
}

// limits bound connections and responses.
type limits struct {
	httpapi.StreamLimits
	// init is how long a WebSocket may take to send connection_init.
	init time.Duration
	// response is the deadline of a query or a mutation.
	response time.Duration
	// operations run at once on one WebSocket.
	operations int
}

var defaultLimits = limits{
	StreamLimits: httpapi.DefaultStreamLimits, init: 10 * time.Second, response: httpapi.RequestTimeout, operations: 100,
}

// New returns a handler of the requests that preparer prepares and executor
// runs.
func New(preparer *prepare.Preparer, executor Executor, log *slog.Logger) *Handler {
	return &Handler{
		preparer: preparer, executor: executor, log: log, limits: defaultLimits,
		known: prepare.NewCache(prepare.KeySize[*prepare.Operation]),
	}
}

// vary are the request headers that a response depends on.
const vary = "Accept, " + prepare.CostHeader

// ServeHTTP is part of http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header()["Vary"] = append(w.Header()["Vary"], vary)
	switch {
	case isUpgrade(r):
		h.serveWebSocket(w, r)
	case r.Method == http.MethodGet, r.Method == http.MethodHead, r.Method == http.MethodPost:
		h.serveHTTP(w, r)
	default:
		w.Header().Set("Allow", "GET, HEAD, POST")
		writeError(w, mediaJSON, prepare.Malformed(http.StatusMethodNotAllowed, errcode.MethodNotAllowed, "%s is not allowed here", r.Method))
	}
}

// serveHTTP serves GET and POST as GraphQL over HTTP specifies them. gqlgen's
// own transports answer some errors with a status or data that the
// specification forbids, and show the body of a request that they cannot read.
func (h *Handler) serveHTTP(w http.ResponseWriter, r *http.Request) {
	media, events := negotiate(r.Header.Values("Accept"))
	if media == "" && !events {
		writeError(w, mediaJSON, prepare.Malformed(http.StatusNotAcceptable, errcode.NotAcceptable,
			"Accept: must allow %s, %s or %s", mediaJSON, mediaGraphQL, mediaEvents))
		return
	}
	text, refused := readText(w, r)
	if refused != nil {
		writeError(w, orJSON(media), refused)
		return
	}
	op, refused := h.operation(r, text)
	if refused == nil {
		switch kind := op.Operation; {
		case r.Method != http.MethodPost && kind == ast.Mutation:
			w.Header().Set("Allow", "POST")
			refused = prepare.Malformed(http.StatusMethodNotAllowed, errcode.MethodNotAllowed, "a mutation must be sent by POST")
		case kind == ast.Subscription && (!events || r.Method == http.MethodHead):
			refused = prepare.Malformed(http.StatusNotAcceptable, errcode.SubscriptionNeedsStream,
				"a subscription needs Accept: %s, or a WebSocket", mediaEvents)
		case kind == ast.Subscription:
			media = ""
		}
	}
	switch {
	case media == "" && r.Method != http.MethodHead && (refused == nil || !refused.Malformed):
		// The protocol has the errors of a document inside the stream: a web page
		// cannot read the body of another status.
		h.serveEvents(w, r, op, refused)
	case refused != nil:
		writeError(w, orJSON(media), refused)
	default:
		h.serveResponse(w, r, orJSON(media), op, text)
	}
}

// responseKey is equal for requests that may share a response. All callers have
// the same rights; if that changes, the caller belongs in here.
type responseKey struct {
	posted     bool // text is a body, else a query string
	text, cost string
}

// serveResponse runs an operation with a single response. Requests for the same
// query at the same moment share it, from the first backend call on.
func (h *Handler) serveResponse(w http.ResponseWriter, r *http.Request, media string, op *prepare.Operation, text string) {
	run := func(ctx context.Context) (*graphql.Response, error) {
		ctx, cancel := context.WithTimeout(ctx, h.limits.response)
		defer cancel()
		return h.executor.Execute(ctx, op)(), nil
	}
	var (
		resp *graphql.Response
		err  error
	)
	if op.Operation == ast.Query {
		key := responseKey{r.Method == http.MethodPost, text, r.Header.Get(prepare.CostHeader)}
		resp, err = h.inFlight.Do(r.Context(), key, run)
	} else {
		resp, err = run(r.Context())
	}
	if err != nil {
		writeError(w, media, prepare.MalformedBy(err))
		return
	}
	body := func(b []byte) []byte { return appendResponse(b, resp) }
	if r.Method != http.MethodPost && len(resp.Errors) == 0 {
		httpapi.WriteTagged(w, r, media+charsetSuffix, body)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	httpapi.WriteAs(w, http.StatusOK, media+charsetSuffix, body)
}

// operation returns the operation of a request's text. The body of a query is
// prepared once, however often it is sent: nothing in its operation depends on
// the client or the time.
func (h *Handler) operation(r *http.Request, text string) (*prepare.Operation, *prepare.RequestError) {
	posted := r.Method == http.MethodPost
	keep := posted && r.Header.Get(prepare.CostHeader) == ""
	if keep {
		if op, ok := h.known.GetIfPresent(text); ok {
			return op, nil
		}
	}
	read := readQuery
	if posted {
		read = readBody
	}
	req, refused := read(text)
	if refused != nil {
		return nil, refused
	}
	req.Header = r.Header
	op, refused := h.preparer.Prepare(req)
	// The text of a persisted document may be forgotten, so it is not kept here.
	if refused == nil && keep && req.DocumentID == "" && len(req.Extensions) == 0 && op.Operation == ast.Query {
		op.Header = nil // the client's, and of use to mutations only
		h.known.Set(text, op)
	}
	return op, refused
}

// hasToken reports whether a header that is a list has a token.
func hasToken(header http.Header, name, token string) bool {
	for t := range strings.SplitSeq(strings.Join(header.Values(name), ","), ",") {
		if strings.EqualFold(strings.TrimSpace(t), token) {
			return true
		}
	}
	return false
}
