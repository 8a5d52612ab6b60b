package transport

import (
	"context"
	"net/http"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/veranda-go/veranda/graph/prepare"
	"github.com/veranda-go/veranda/internal/httpapi"
)

// serveEvents responds with server-sent events, in the distinct connections
// mode of graphql-sse. op is nil if refused is not.
func (h *Handler) serveEvents(w http.ResponseWriter, r *http.Request, op *prepare.Operation, refused *prepare.RequestError) {
	events := httpapi.NewEvents(w, r, h.limits.StreamLimits)
	defer events.Close()
	send := func(resp *graphql.Response) bool {
		return events.Send("next", "", func(b []byte) []byte { return appendResponse(b, resp) })
	}
	ended := false
	if refused != nil {
		ended = send(&graphql.Response{Errors: refused.Errors})
	} else {
		ended = h.stream(events.Done, op, send)
	}
	if ended {
		events.Send("complete", "", nil)
	}
}

// stream runs an operation and sends its responses until there are no more or
// send returns false. It reports whether the operation came to its end.
func (h *Handler) stream(ctx context.Context, op *prepare.Operation, send func(*graphql.Response) bool) bool {
	ctx, cancel := context.WithCancel(ctx) // also ends the source of a subscription
	defer cancel()
	opCtx := ctx
	if op.Operation != ast.Subscription {
		var cancel context.CancelFunc
		opCtx, cancel = context.WithTimeout(ctx, h.limits.response)
		defer cancel()
	}
	next := h.executor.Execute(opCtx, op)
	for {
		resp := next()
		if resp == nil {
			return ctx.Err() == nil
		}
		if !send(resp) {
			return false
		}
	}
}
