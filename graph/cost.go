package graph

import (
	"encoding/json"
	"math"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/veranda-go/veranda/internal/pagination"
)

// cost is what an operation may cost at most, known before it runs.
type cost struct {
	// Depth counts fields from the root.
	Depth int `json:"depth"`
	// Fields are the fields after fragments are put in their places.
	Fields int `json:"fields"`
	// Nodes are objects in the answer, if every page is full.
	Nodes int `json:"nodes"`
	// BackendCalls are calls to services that have the batch routes.
	BackendCalls int `json:"backendCalls"`

	// direct are the fields of the selection set itself.
	direct int
}

func (c *cost) add(d cost) {
	c.Depth = max(c.Depth, d.Depth)
	c.Fields = plus(c.Fields, d.Fields)
	c.Nodes = plus(c.Nodes, d.Nodes)
	c.BackendCalls = plus(c.BackendCalls, d.BackendCalls)
	c.direct = plus(c.direct, d.direct)
}

// plus and times stop at the largest int, which no limit allows.
func plus(a, b int) int {
	if a > math.MaxInt-b {
		return math.MaxInt
	}
	return a + b
}

func times(a, b int) int {
	if b != 0 && a > math.MaxInt/b {
		return math.MaxInt
	}
	return a * b
}

// calls are the backend calls behind each field, for all its parents at once.
// A field that is not here needs none.
var calls = map[string]int{
	"Query.listings":              1,
	"Query.listing":               1,
	"Query.users":                 1,
	"Query.user":                  1,
	"Query.node":                  1,
	"Query.listingsConnection":    1,
	"Listing.user":                1,
	"User.listings":               1,
	"User.listingsConnection":     1,
	"Mutation.createUser":         1,
	"Mutation.createListing":      2,
	"Subscription.listingCreated": 1,
}

// introspectedListSize stands for the length of any list in the schema's
// description of itself.
const introspectedListSize = 10

// estimator walks an operation once. A fragment is walked once however often
// it is spread, so the walk is linear in the length of the document.
type estimator struct {
	vars map[string]any
	// maxPage is the largest page in rows. To ask for a larger one is refused
	// when the field runs, by its own sentence, and costs nothing then.
	maxPage   int
	fragments map[*ast.FragmentDefinition]cost
}

// estimate gives the cost of op with coerced variables.
func estimate(op *ast.OperationDefinition, vars map[string]any, maxPage int) cost {
	e := estimator{vars: vars, maxPage: maxPage}
	return e.set(op.SelectionSet)
}

// set is the cost of a selection set for one parent.
func (e *estimator) set(set ast.SelectionSet) cost {
	var sum cost
	for _, s := range set {
		switch s := s.(type) {
		case *ast.Field:
			if included(s.Directives, e.vars) {
				sum.add(e.field(s))
			}
		case *ast.InlineFragment:
			if included(s.Directives, e.vars) {
				sum.add(e.set(s.SelectionSet))
			}
		case *ast.FragmentSpread:
			if included(s.Directives, e.vars) {
				sum.add(e.fragment(s.Definition))
			}
		}
	}
	return sum
}

func (e *estimator) fragment(f *ast.FragmentDefinition) cost {
	c, ok := e.fragments[f]
	if !ok {
		c = e.set(f.SelectionSet)
		if e.fragments == nil {
			e.fragments = map[*ast.FragmentDefinition]cost{}
		}
		e.fragments[f] = c
	}
	return c
}

func (e *estimator) field(f *ast.Field) cost {
	c := cost{Fields: 1, Depth: 1, direct: 1}
	if f.ObjectDefinition != nil {
		c.BackendCalls = calls[f.ObjectDefinition.Name+"."+f.Name]
	}
	if len(f.SelectionSet) == 0 {
		return c
	}
	sub := e.set(f.SelectionSet)
	c.Depth += sub.Depth
	c.Fields = plus(c.Fields, sub.Fields)
	c.BackendCalls = plus(c.BackendCalls, sub.BackendCalls)
	c.Nodes = times(e.rows(f), plus(1, sub.Nodes))
	return c
}

// rows is how many objects a field gives for one parent. A connection counts
// for its rows, so the lists inside of it count as one.
func (e *estimator) rows(f *ast.Field) int {
	if f.Definition == nil {
		return 1
	}
	asked, paged := 0, false
	for _, name := range []string{"pageSize", "first", "last"} {
		if def := f.Definition.Arguments.ForName(name); def != nil {
			paged = true
			asked = max(asked, e.argument(f, def))
		}
	}
	switch {
	case paged && asked == 0:
		return pagination.DefaultSize
	case paged:
		return min(asked, e.maxPage)
	case f.Definition.Type.Elem != nil && f.ObjectDefinition != nil && strings.HasPrefix(f.ObjectDefinition.Name, "__"):
		return introspectedListSize
	}
	return 1
}

// argument is an Int argument's value, 0 if it is absent, null or negative: a
// wrong value is refused when the field runs, and costs nothing then.
func (e *estimator) argument(f *ast.Field, def *ast.ArgumentDefinition) int {
	value := def.DefaultValue
	if arg := f.Arguments.ForName(def.Name); arg != nil {
		value = arg.Value
		if _, given := e.vars[value.Raw]; value.Kind == ast.Variable && !given {
			value = def.DefaultValue
		}
	}
	v, err := value.Value(e.vars)
	if err != nil {
		return 0
	}
	switch v := v.(type) {
	case int64:
		return int(max(v, 0))
	case json.Number:
		n, _ := v.Int64()
		return int(max(n, 0))
	}
	return 0
}

// included tells whether @skip and @include leave a selection in.
func included(directives ast.DirectiveList, vars map[string]any) bool {
	for _, d := range directives {
		if d.Name != "skip" && d.Name != "include" {
			continue
		}
		arg := d.Arguments.ForName("if")
		if arg == nil {
			continue
		}
		v, err := arg.Value.Value(vars)
		if yes, ok := v.(bool); err == nil && ok && yes == (d.Name == "skip") {
			return false
		}
	}
	return true
}

// check refuses what costs too much.
func (c cost) check() *gqlerror.Error {
	for _, l := range []struct {
		name        string
		max, actual int
	}{
		{"root fields", maxRootFields, c.direct},
		{"depth", maxDepth, c.Depth},
		{"fields", maxFields, c.Fields},
		{"nodes", maxNodes, c.Nodes},
		{"backend calls", maxCalls, c.BackendCalls},
	} {
		if l.actual > l.max {
			return overLimit(l.name, l.max, l.actual)
		}
	}
	return nil
}
