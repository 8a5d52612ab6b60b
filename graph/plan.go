package graph

import (
	"sync/atomic"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/veranda-go/veranda/internal/fastjson"
)

// plan is a selection set as it applies to one type of object: fragments in
// their places, equal response names merged, directives obeyed (spec 6.3.2).
// It is made once for each place in the query, not for each object.
type plan struct {
	object *object
	steps  []step
	// size is how many bytes the last answer took, and a little more.
	size atomic.Int64
}

// step is one response name of a plan.
type step struct {
	name  string // response name
	label []byte // the same as it begins a member of a JSON object: "name":
	field *field // nil for __typename and for introspection
	ast   *ast.Field
	sets  []ast.SelectionSet // the merged selections below
	plans map[string]*plan   // of the objects below, by their type
}

// planner makes the plans of one operation.
type planner struct {
	schema *ast.Schema
	vars   map[string]any
}

// plan applies selection sets to a type.
func (p *planner) plan(typeName string, sets ...ast.SelectionSet) *plan {
	c := collector{planner: p, plan: &plan{object: objects[typeName]}, visited: map[*ast.FragmentDefinition]bool{}}
	for _, s := range sets {
		c.collect(s)
	}
	for i := range c.plan.steps {
		s := &c.plan.steps[i]
		if s.field == nil || s.field.leaf != nil {
			continue
		}
		s.plans = make(map[string]*plan, 1)
		for _, below := range s.field.types {
			s.plans[below] = p.plan(below, s.sets...)
		}
	}
	return c.plan
}

type collector struct {
	*planner
	plan    *plan
	visited map[*ast.FragmentDefinition]bool
}

func (c *collector) collect(set ast.SelectionSet) {
	for _, s := range set {
		switch s := s.(type) {
		case *ast.Field:
			if included(s.Directives, c.vars) {
				c.add(s)
			}
		case *ast.InlineFragment:
			if included(s.Directives, c.vars) && c.applies(s.TypeCondition) {
				c.collect(s.SelectionSet)
			}
		case *ast.FragmentSpread:
			if included(s.Directives, c.vars) && !c.visited[s.Definition] && c.applies(s.Definition.TypeCondition) {
				c.visited[s.Definition] = true
				c.collect(s.Definition.SelectionSet)
			}
		}
	}
}

func (c *collector) add(f *ast.Field) {
	for i := range c.plan.steps {
		if s := &c.plan.steps[i]; s.name == f.Alias {
			s.sets = append(s.sets, f.SelectionSet)
			return
		}
	}
	c.plan.steps = append(c.plan.steps, step{
		name:  f.Alias,
		label: append(fastjson.AppendString(nil, f.Alias), ':'),
		field: c.plan.object.fields[f.Name],
		ast:   f,
		sets:  []ast.SelectionSet{f.SelectionSet},
	})
}

// applies tells whether a fragment on a type counts for the plan's objects.
func (c *collector) applies(condition string) bool {
	if condition == "" || condition == c.plan.object.name {
		return true
	}
	for _, possible := range c.schema.PossibleTypes[condition] {
		if possible.Name == c.plan.object.name {
			return true
		}
	}
	return false
}
