package graph

import (
	"strings"
	"testing"

	"github.com/veranda-go/veranda/graph/prepare"
	"github.com/veranda-go/veranda/internal/httpapi"
)

// TestSpecification has documents on which GraphQL servers are known to differ
// from the specification (September 2025). want is part of the errors of the
// request or of the response.
func TestSpecification(t *testing.T) {
	const shared = ` fragment F on Query { listingsConnection(first: 1, orderBy: OLDEST, filter: {minPrice: $m}) { nodes { price } } }`
	number := func(text string) map[string]any {
		v, err := httpapi.Object([]byte(`{"n":`+text+`}`), "variables")
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	sys := newSystem(t)
	for _, test := range []struct {
		name, query string
		variables   map[string]any
		operation   string
		want        string
	}{
		{"null condition", `query($x: Boolean = true) { __schema @include(if: $x) { queryType { name } } }`, map[string]any{"x": nil}, "", `$x: must not be null`},
		{"null condition of a mutation", `mutation($x: Boolean = true) { createUser(input: {name: "a"}) { user { id @skip(if: $x) } } }`, map[string]any{"x": nil}, "", `$x: must not be null`},
		{"null condition in a fragment", `query($x: Boolean = true) { ...F } fragment F on Query { users { ... @include(if: $x) { id } } }`, map[string]any{"x": nil}, "", `$x: must not be null`},
		{"condition with a default", `query($x: Boolean = false) { users @include(if: $x) { id } __typename }`, nil, "", `{"__typename":"Query"}`},

		{"default of the first operation", `query A($m: Int64 = 1) { ...F } query B($m: Int64 = 100000) { ...F }` + shared, nil, "A", `"price":1}`},
		{"default of the second operation", `query A($m: Int64 = 1) { ...F } query B($m: Int64 = 100000) { ...F }` + shared, nil, "B", `"price":103824}`},
		{"no default beside one", `query A($m: Int64) { ...F } query B($m: Int64 = 100000) { ...F }` + shared, nil, "A", `"price":1}`},

		{"two root fields of a subscription", `subscription { a: listingCreated { cursor } b: listingCreated { cursor } }`, nil, "", "exactly one root field"},
		{"two through a fragment", `subscription { ...F listingCreated { cursor } } fragment F on Subscription { b: listingCreated { cursor } }`, nil, "", "exactly one root field"},
		{"root field with a condition", `subscription { listingCreated @include(if: true) { cursor } }`, nil, "", "must not have @skip or @include"},
		{"root fragment with a condition", `subscription { ... @skip(if: false) { listingCreated { cursor } } }`, nil, "", "must not have @skip or @include"},

		{"string for Int64", `{ listingsConnection(filter: {minPrice: "1"}) @skip(if: true) { nodes { id } } __typename }`, nil, "", "minPrice: Int64 must be a whole number"},
		{"float for Timestamp", `{ listingsConnection(filter: {createdFrom: 1.5}) { nodes { id } } }`, nil, "", "createdFrom: Timestamp must be a whole number"},
		{"boolean for Int64", `query($n: Int64) { listingsConnection(filter: {minPrice: $n}) @skip(if: true) { nodes { id } } __typename }`, number("true"), "", "$n: must be a whole number"},
		{"fraction for Int64", `query($n: Int64) { listingsConnection(filter: {minPrice: $n}) { nodes { id } } }`, number("1.5"), "", "$n: must be a whole number"},
		{"default of a wrong type", `query($n: Int64 = "1") { listingsConnection(filter: {minPrice: $n}) { nodes { id } } }`, nil, "", "Int64 must be a whole number"},
		{"fraction for ID", `query($n: ID!) { listing(id: $n) { id } }`, number("1.5"), "", "$n: must be an id"},
		{"1.0 for Int", `query($n: Int!) { users(pageSize: $n) { id } }`, number("1.0"), "", `[{"id":"12"}]`},
		{"1e1 for Int64", `query($n: Int64!) { listingsConnection(first: 1, filter: {minPrice: $n}, orderBy: PRICE_ASC) { nodes { price } } }`, number("1e1"), "", `"price":28}`},
		{"1e1 for ID", `query($n: ID!) { user(id: $n) { id } }`, number("1e1"), "", `{"id":"10"}`},
		{"over 64 bits", `query($n: Int64!) { listingsConnection(filter: {minPrice: $n}) { nodes { price } } }`, number("1e19"), "", "$n: must"},
		{"huge exponent", `query($n: Int64!) { listingsConnection(filter: {minPrice: $n}) { nodes { price } } }`, number("1e999999999"), "", "$n: must"},
		{"over 32 bits", `query($n: Int!) { users(pageSize: $n) { id } }`, number("3e9"), "", "32-bit"},

		{"@defer", `{ users { ... @defer { name } } }`, nil, "", `Unknown directive "@defer"`},
		{"directives of the schema", `{ __schema { directives { name } } }`, nil, "", `"deprecated"`},
	} {
		op, refused := sys.Prepare(&prepare.Request{Query: test.query, Variables: test.variables, OperationName: test.operation})
		got := ""
		if refused != nil {
			got = refused.Errors.Error()
		} else {
			resp := sys.Execute(t.Context(), op)()
			got = string(resp.Data) + resp.Errors.Error()
		}
		if !strings.Contains(got, test.want) {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
		if strings.Contains(got, `"defer"`) {
			t.Errorf("%s: the schema has @defer", test.name)
		}
	}
}
