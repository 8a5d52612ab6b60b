package graph

import (
	"context"
	"net/http"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/veranda-go/veranda/internal/httpapi"
)

// Operations with more than one answer travel as server-sent events (the
// distinct connections mode of graphql-sse) or over a WebSocket
// (graphql-transport-ws, socket.go). gqlgen's transports for both have no
// limit for a client that reads slowly or asks for everything at once.

// streamLimits bound connections that stay open.
type streamLimits struct {
	httpapi.StreamLimits
	// init is how long a WebSocket may take to introduce itself.
	init time.Duration
	// answer is the deadline of a query or mutation, as requests have it.
	answer time.Duration
	// operations run at once on one WebSocket.
	operations int
}

var defaultStreamLimits = streamLimits{
	StreamLimits: httpapi.DefaultStreamLimits, init: 10 * time.Second, answer: 20 * time.Second, operations: 100,
}

// stream runs an operation and hands on its answers until there are no more
// or send gives false. It tells whether the operation came to its own end.
func (d *Handler) stream(ctx context.Context, op *graphql.OperationContext, send func(*graphql.Response) bool) bool {
	// When the reader leaves, so must what feeds it.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	opCtx := ctx
	if op.Operation.Operation != ast.Subscription {
		var cancel context.CancelFunc
		opCtx, cancel = context.WithTimeout(ctx, d.limits.answer)
		defer cancel()
	}
	next, opCtx := d.exec.DispatchOperation(opCtx, op)
	for {
		resp := next(opCtx)
		if resp == nil {
			return ctx.Err() == nil
		}
		if !send(resp) {
			return false
		}
	}
}

// serveEvents answers with server-sent events. op is nil if refused is not.
func (d *Handler) serveEvents(w http.ResponseWriter, r *http.Request, op *graphql.OperationContext, refused *refusal) {
	events := httpapi.NewEvents(w, r, d.limits.StreamLimits)
	defer events.Close()
	next := func(resp *graphql.Response) bool {
		return events.Send("next", "", func(b []byte) []byte { return appendResponse(b, resp) })
	}
	ended := false
	if refused != nil {
		ended = next(&graphql.Response{Errors: refused.errs})
	} else {
		ended = d.stream(events.Done, op, next)
	}
	if ended {
		events.Send("complete", "", nil)
	}
}
