package graph

import (
	"context"
	"testing"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/veranda-go/veranda/graph/errcode"
	"github.com/veranda-go/veranda/graph/execute/executetest"
	"github.com/veranda-go/veranda/graph/prepare"
	"github.com/veranda-go/veranda/internal/backendclient"
)

// FuzzQuery checks that any text is refused with a code or has a cost within
// the limits, and that running it makes no more calls than estimated.
func FuzzQuery(f *testing.F) {
	for _, a := range attacks {
		if len(a.query) < 2000 {
			f.Add(a.query)
		}
	}
	f.Add(`query Q($n: Int = 3, $f: ListingFilter) { listings(pageSize: $n) { id user { name } } listingsConnection(first: 2, filter: $f) { edges { cursor node { ...L } } } } fragment L on Listing { price @include(if: true) }`)
	f.Add(`{ node(id: "VXNlcjox") { nodeId ... on User { listings { id } } } __schema { types { name } } }`)
	f.Add(`mutation { createUser(input: {name: "a"}) { user { id } } }`)
	f.Add(`subscription { listingCreated(userId: 1) { cursor } }`)
	sys := newSystem(f)
	f.Fuzz(func(t *testing.T, text string) {
		op, refused := sys.Prepare(&prepare.Request{Query: text})
		if refused != nil {
			for _, err := range refused.Errors {
				if err.Extensions["code"] == nil {
					t.Errorf("no code: %v", err)
				}
			}
			return
		}
		if op.Cost.Depth > prepare.Limits.Depth || op.Cost.Nodes > prepare.Limits.Nodes || op.Cost.BackendCalls > prepare.Limits.BackendCalls {
			t.Errorf("within the limits at a cost of %+v", op.Cost)
		}
		if op.Operation != ast.Query {
			return
		}
		ctx, meter := backendclient.WithMeter(context.Background())
		resp := sys.Execute(ctx, op)()
		executetest.Tokens(t, resp.Data)
		if int(meter.Calls()) > op.Cost.BackendCalls {
			t.Errorf("%d calls, estimated %d", meter.Calls(), op.Cost.BackendCalls)
		}
		for _, err := range resp.Errors {
			if err.Extensions["code"] == errcode.Internal {
				t.Errorf("internal error: %v", err)
			}
		}
	})
}
