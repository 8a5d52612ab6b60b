package prepare

import (
	"encoding/json"
	"math"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/veranda-go/veranda/graph/errcode"
	"github.com/veranda-go/veranda/graph/execute"
	"github.com/veranda-go/veranda/internal/pagination"
)

// Cost is an upper bound of what an operation costs, known before it runs.
type Cost struct {
	// Depth counts fields from the root.
	Depth int `json:"depth"`
	// Fields are the fields after fragments are put in their places.
	Fields int `json:"fields"`
	// Nodes are the objects in the response, if every page is full.
	Nodes int `json:"nodes"`
	// BackendCalls are calls to services that have the batch routes.
	BackendCalls int `json:"backendCalls"`

	// rootFields are the fields of the selection set itself.
	rootFields int
}

// Limits are the maxima of an operation's cost.
var Limits = Cost{Depth: maxDepth, Fields: maxFields, Nodes: maxNodes, BackendCalls: maxCalls, rootFields: maxRootFields}

// Expensive reports whether an operation is one of those that take turns.
func (c Cost) Expensive() bool { return c.Nodes > expensiveNodes }

// check refuses an operation that costs too much.
func (c Cost) check() *gqlerror.Error {
	for _, l := range []struct {
		name        string
		max, actual int
	}{
		{"root fields", Limits.rootFields, c.rootFields},
		{"depth", Limits.Depth, c.Depth},
		{"fields", Limits.Fields, c.Fields},
		{"nodes", Limits.Nodes, c.Nodes},
		{"backend calls", Limits.BackendCalls, c.BackendCalls},
	} {
		if l.actual > l.max {
			return overLimit(l.name, l.max, l.actual)
		}
	}
	return nil
}

func (c *Cost) add(d Cost) {
	c.Depth = max(c.Depth, d.Depth)
	c.Fields = plus(c.Fields, d.Fields)
	c.Nodes = plus(c.Nodes, d.Nodes)
	c.BackendCalls = plus(c.BackendCalls, d.BackendCalls)
	c.rootFields = plus(c.rootFields, d.rootFields)
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

// introspectedListSize stands for the length of any list in an introspection.
const introspectedListSize = 10

// estimator walks an operation once. A fragment is walked once however often
// it is spread, so the walk is linear in the length of the document.
type estimator struct {
	*Preparer
	vars      map[string]any
	fragments map[*ast.FragmentDefinition]Cost
	err       *gqlerror.Error
}

// estimate returns the cost of an operation with coerced variables, and refuses
// one that costs too much or has a null for the condition of @skip or @include.
func (p *Preparer) estimate(op *ast.OperationDefinition, vars map[string]any) (Cost, *gqlerror.Error) {
	e := estimator{Preparer: p, vars: vars}
	cost := e.set(op.SelectionSet)
	if e.err != nil {
		return cost, e.err
	}
	return cost, cost.check()
}

// included reports whether a selection is part of the operation.
func (e *estimator) included(directives ast.DirectiveList) bool {
	for _, d := range directives {
		for _, arg := range d.Arguments {
			// A variable of a nullable type with a default may stand here (spec 5.8.5).
			if arg.Name == "if" && arg.Value.Kind == ast.Variable && e.vars[arg.Value.Raw] == nil {
				e.err = errcode.Set(gqlerror.ErrorPosf(arg.Value.Position, "$%s: must not be null", arg.Value.Raw), errcode.BadInput)
			}
		}
	}
	return execute.Included(directives, e.vars)
}

// set returns the cost of a selection set for one parent.
func (e *estimator) set(set ast.SelectionSet) Cost {
	var sum Cost
	for _, s := range set {
		switch s := s.(type) {
		case *ast.Field:
			if e.included(s.Directives) {
				sum.add(e.field(s))
			}
		case *ast.InlineFragment:
			if e.included(s.Directives) {
				sum.add(e.set(s.SelectionSet))
			}
		case *ast.FragmentSpread:
			if e.included(s.Directives) {
				sum.add(e.fragment(s.Definition))
			}
		}
	}
	return sum
}

func (e *estimator) fragment(f *ast.FragmentDefinition) Cost {
	c, ok := e.fragments[f]
	if !ok {
		c = e.set(f.SelectionSet)
		if e.fragments == nil {
			e.fragments = map[*ast.FragmentDefinition]Cost{}
		}
		e.fragments[f] = c
	}
	return c
}

func (e *estimator) field(f *ast.Field) Cost {
	c := Cost{Fields: 1, Depth: 1, rootFields: 1}
	if f.ObjectDefinition != nil {
		c.BackendCalls = e.backendCalls(f.ObjectDefinition.Name, f.Name)
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

// backendCalls returns the calls behind a field for all its parents.
func (e *estimator) backendCalls(object, name string) int {
	if n, ok := e.Calls[object+"."+name]; ok {
		return n
	}
	if f := e.Table.Objects[object][name]; f != nil && (f.Batch || f.Subscribe != nil) {
		return 1
	}
	return 0
}

// rows returns the number of objects that a field has for one parent. A
// connection counts as its rows, so the lists inside of it count as one. A page
// over the maximum is refused when the field runs, and costs nothing more.
func (e *estimator) rows(f *ast.Field) int {
	if f.Definition == nil {
		return 1
	}
	size, paged := 0, false
	args := f.ArgumentMap(e.vars)
	for _, name := range []string{"pageSize", "first", "last"} {
		if f.Definition.Arguments.ForName(name) != nil {
			paged = true
			size = max(size, integer(args[name]))
		}
	}
	switch {
	case paged && size == 0:
		return pagination.DefaultSize
	case paged:
		return min(size, int(e.MaxPageSize))
	case f.Definition.Type.Elem != nil && f.ObjectDefinition != nil && strings.HasPrefix(f.ObjectDefinition.Name, "__"):
		return introspectedListSize
	}
	return 1
}

// integer returns the value of an Int argument, 0 if it is absent, null or
// negative: a wrong value is refused when the field runs, and costs nothing.
func integer(v any) int {
	switch v := v.(type) {
	case int64:
		return int(max(v, 0))
	case json.Number:
		n, _ := v.Int64()
		return int(max(n, 0))
	}
	return 0
}
