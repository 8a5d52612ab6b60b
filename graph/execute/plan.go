package execute

import (
	"sync/atomic"

	"github.com/vektah/gqlparser/v2/ast"
)

// Plan is a selection set as it applies to one object type: fragments in their
// places, equal response names merged, @skip and @include obeyed (spec 6.3.2).
// A plan is made once for each place in an operation, not for each object. It
// may be used by many executions at once.
type Plan struct {
	operation ast.Operation
	object    string // the type's name
	steps     []step
	size      atomic.Int64 // bytes of the last response, and a little more
}

// step is one response name of a plan.
type step struct {
	name  string // response name
	label []byte // the response name as a JSON member begins: "name":
	field *Field // nil for __typename
	ast   *ast.Field
	sets  []ast.SelectionSet // the merged selections below
	// abstract is the Table's function for a field of an interface or union type,
	// whose values may be of several object types.
	abstract func(any) (string, any)
	below    []*Plan // one for each possible object type
}

// Plan returns the plan of a valid operation with coerced variables. ok is
// false if the operation has a field or a directive that the table does not
// support. Variables matter only to @skip and @include.
func (t *Table) Plan(op *ast.OperationDefinition, vars map[string]any) (p *Plan, ok bool) {
	root := map[ast.Operation]*ast.Definition{
		ast.Query: t.Schema.Query, ast.Mutation: t.Schema.Mutation, ast.Subscription: t.Schema.Subscription,
	}[op.Operation]
	pl := planner{table: t, vars: vars, supported: true}
	p = pl.plan(root.Name, op.SelectionSet)
	p.operation = op.Operation
	if op.Operation == ast.Subscription && (len(p.steps) != 1 || p.steps[0].field == nil) {
		return nil, false
	}
	return p, pl.supported
}

type planner struct {
	table     *Table
	vars      map[string]any
	supported bool
}

// plan applies selection sets to an object type.
func (pl *planner) plan(object string, sets ...ast.SelectionSet) *Plan {
	c := collector{planner: pl, plan: &Plan{object: object}, visited: map[*ast.FragmentDefinition]bool{}}
	for _, set := range sets {
		c.collect(set)
	}
	for i := range c.plan.steps {
		s := &c.plan.steps[i]
		if s.field == nil || !pl.supported || len(s.ast.SelectionSet) == 0 {
			continue
		}
		named := s.ast.Definition.Type.Name()
		possible := []*ast.Definition{pl.table.Schema.Types[named]}
		if possible[0].IsAbstractType() {
			s.abstract, possible = pl.table.Abstract[named], pl.table.Schema.PossibleTypes[named]
		}
		for _, def := range possible {
			s.below = append(s.below, pl.plan(def.Name, s.sets...))
		}
	}
	return c.plan
}

// collector collects the fields of one plan.
type collector struct {
	*planner
	plan    *Plan
	visited map[*ast.FragmentDefinition]bool
}

func (c *collector) collect(set ast.SelectionSet) {
	for _, s := range set {
		switch s := s.(type) {
		case *ast.Field:
			if c.included(s.Directives) {
				c.add(s)
			}
		case *ast.InlineFragment:
			if c.included(s.Directives) && c.applies(s.TypeCondition) {
				c.collect(s.SelectionSet)
			}
		case *ast.FragmentSpread:
			if c.included(s.Directives) && !c.visited[s.Definition] && c.applies(s.Definition.TypeCondition) {
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
	s := step{
		name:  f.Alias,
		label: append(AppendString(nil, f.Alias), ':'),
		field: c.table.Objects[c.plan.object][f.Name],
		ast:   f,
		sets:  []ast.SelectionSet{f.SelectionSet},
	}
	c.supported = c.supported && (s.field != nil || f.Name == "__typename")
	c.plan.steps = append(c.plan.steps, s)
}

func (c *collector) included(directives ast.DirectiveList) bool {
	for _, d := range directives {
		c.supported = c.supported && (d.Name == "skip" || d.Name == "include")
	}
	return Included(directives, c.vars)
}

// applies reports whether a fragment with a type condition applies to the
// plan's objects.
func (c *collector) applies(condition string) bool {
	if condition == "" || condition == c.plan.object {
		return true
	}
	for _, possible := range c.table.Schema.PossibleTypes[condition] {
		if possible.Name == c.plan.object {
			return true
		}
	}
	return false
}

// Included reports whether @skip and @include leave a selection in (spec
// 3.13.1, 3.13.2).
func Included(directives ast.DirectiveList, vars map[string]any) bool {
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
