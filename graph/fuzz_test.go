package graph

import (
	"context"
	"log/slog"
	"net/http"
	"testing"

	"github.com/99designs/gqlgen/graphql"

	"github.com/veranda-go/veranda/internal/backendclient"
)

// Whatever text comes in, it is refused with a code or has a price that the
// limits allow, and running it costs no more calls than that.
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
	e := newExecutor(newAPI(f, newServices(f)), slog.New(slog.DiscardHandler))
	f.Fuzz(func(t *testing.T, text string) {
		op, errs := e.CreateOperationContext(context.Background(), &graphql.RawParams{Query: text, Headers: http.Header{}})
		if len(errs) > 0 {
			for _, err := range errs {
				if err.Extensions["code"] == nil {
					t.Errorf("no code: %v", err)
				}
			}
			return
		}
		price := op.Stats.GetExtension(preparedKey).(prepared).estimated
		if err := price.check(); err != nil {
			t.Errorf("passed the limits: %v", err)
		}
		if op.Operation.Operation != "query" {
			return
		}
		ctx, meter := backendclient.WithMeter(e.api.WithLoaders(context.Background()))
		resp := e.query(graphql.WithOperationContext(ctx, op), op)
		tokens(t, resp.Data)
		if int(meter.Calls()) > price.BackendCalls {
			t.Errorf("%d calls, estimated %d", meter.Calls(), price.BackendCalls)
		}
		for _, err := range resp.Errors {
			if err.Extensions["code"] == codes[0] {
				t.Errorf("internal error: %v", err)
			}
		}
	})
}
