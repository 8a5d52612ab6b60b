package execute

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// Executor runs plans. The context of each call holds the operation's
// graphql.OperationContext, whose RecoverFunc turns panics into errors.
type Executor struct {
	// Present returns the errors that a client sees for the error of a field,
	// each with the path.
	Present func(ctx context.Context, path ast.Path, field *ast.Field, err error) gqlerror.List
}

// Execute runs the plan of a query or a mutation. The fields of a mutation's
// root run one after the other, those of a query at once.
func (x *Executor) Execute(ctx context.Context, p *Plan, vars map[string]any) *graphql.Response {
	return x.respond(ctx, p, func(r *execution) *level { return r.resolve(ctx, p, []any{nil}) }, vars)
}

// Subscribe starts the plan of a subscription. The returned function returns
// the response to one event after the other, with the context that resolves
// the event, and nil when there are no more.
func (x *Executor) Subscribe(ctx context.Context, p *Plan, vars map[string]any) func(context.Context) *graphql.Response {
	s := &p.steps[0]
	fc, ctx, err := s.fieldContext(ctx, p.object, vars)
	var events Events
	if err == nil {
		events, err = s.field.Subscribe(ctx, fc)
	}
	if err != nil {
		return graphql.OneShot(&graphql.Response{Errors: x.Present(ctx, ast.Path{ast.PathName(s.name)}, s.ast, err)})
	}
	return func(ctx context.Context) *graphql.Response {
		event, ok := events(ctx)
		if !ok {
			return nil
		}
		return x.respond(ctx, p, func(r *execution) *level {
			l := &level{plan: p, parents: []any{nil}, columns: []column{{values: []any{event}}}}
			r.descend(ctx, s, &l.columns[0])
			return l
		}, vars)
	}
}

// respond returns the response that resolve prepares. Whatever panics, the
// response is complete: fields that resolvers fail are null, and a panic
// anywhere else makes the whole data null.
func (x *Executor) respond(ctx context.Context, p *Plan, resolve func(*execution) *level, vars map[string]any) (resp *graphql.Response) {
	defer func() {
		if v := recover(); v != nil {
			err := graphql.GetOperationContext(ctx).Recover(ctx, v)
			resp = &graphql.Response{Data: json.RawMessage("null"), Errors: x.Present(ctx, nil, nil, err)}
		}
	}()
	root := resolve(&execution{x, vars})
	w := writer{Executor: x, ctx: ctx}
	data, ok := w.object(make([]byte, 0, p.size.Load()), root)
	p.size.Store(int64(len(data) + len(data)/8))
	if !ok {
		data = json.RawMessage("null")
	}
	return &graphql.Response{Data: data, Errors: w.errs}
}

// execution is one run of an operation.
type execution struct {
	*Executor
	vars map[string]any
}

// level has all objects of one type at one place of the operation, and what
// was found for them.
type level struct {
	plan    *Plan
	parents []any
	columns []column // one for each step
	next    int      // the index of the object to be written next
}

// column has the values of one step for all parents.
type column struct {
	values []any
	errs   []error  // nil if there are none
	below  []*level // one for each possible object type, nil if it has no objects
}

// object is a value of an abstract type.
type object struct {
	plan  int // the index in step.below
	value any
}

// resolve finds everything below parents. Fields with resolvers run at once,
// but for those of a mutation's root, so their calls do not wait for each
// other, nor does what is below them.
func (r *execution) resolve(ctx context.Context, p *Plan, parents []any) *level {
	l := &level{plan: p, parents: parents, columns: make([]column, len(p.steps))}
	var resolvers []int
	for i := range p.steps {
		s := &p.steps[i]
		switch {
		case s.field == nil:
		case s.field.Resolve != nil:
			resolvers = append(resolvers, i)
		case s.field.Child != nil:
			values := make([]any, len(parents))
			for j, parent := range parents {
				values[j] = s.field.Child(parent)
			}
			l.columns[i].values = values
			r.descend(ctx, s, &l.columns[i])
		}
	}
	var wg sync.WaitGroup
	for n, i := range resolvers {
		if last := n == len(resolvers)-1; last || p.operation == ast.Mutation {
			r.call(ctx, l, i)
		} else {
			wg.Go(func() { r.call(ctx, l, i) })
		}
	}
	wg.Wait()
	return l
}

// call calls the resolver of step i, and those below it.
func (r *execution) call(ctx context.Context, l *level, i int) {
	s, c := &l.plan.steps[i], &l.columns[i]
	fail := func(err error) {
		*c = column{values: make([]any, len(l.parents)), errs: repeat(err, len(l.parents))}
	}
	defer func() {
		if v := recover(); v != nil {
			fail(graphql.GetOperationContext(ctx).Recover(ctx, v))
		}
	}()
	fc, fieldCtx, err := s.fieldContext(ctx, l.plan.object, r.vars)
	if err != nil {
		fail(err)
		return
	}
	c.values, c.errs = s.field.Resolve(fieldCtx, l.parents, fc)
	r.descend(ctx, s, c)
}

// fieldContext returns the context of a resolver, with the field's arguments.
func (s *step) fieldContext(ctx context.Context, object string, vars map[string]any) (fc *graphql.FieldContext, _ context.Context, err error) {
	fc = &graphql.FieldContext{
		Object: object, IsMethod: true, IsResolver: true,
		Field: graphql.CollectedField{Field: s.ast, Selections: s.ast.SelectionSet},
	}
	ctx = graphql.WithFieldContext(ctx, fc)
	if s.field.Args != nil {
		fc.Args, err = s.field.Args(ctx, s.ast.ArgumentMap(vars))
	}
	var g *gqlerror.Error
	if errors.As(err, &g) && len(g.Path) > 1 { // the first is the field
		err = &ArgumentError{g.Path[1:], err}
	}
	return fc, ctx, err
}

// ArgumentError is an error in the value of an argument.
type ArgumentError struct {
	// Path leads from the field to the value: the argument's name, and the names
	// and indices in the value.
	Path ast.Path
	Err  error
}

// Error is part of error.
func (e *ArgumentError) Error() string { return e.Path.String() + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *ArgumentError) Unwrap() error { return e.Err }

// descend resolves the objects among a step's values, all of one type
// together.
func (r *execution) descend(ctx context.Context, s *step, c *column) {
	if len(s.below) == 0 {
		return
	}
	d := descent{step: s, parents: make([][]any, len(s.below))}
	if s.abstract == nil {
		d.parents[0] = make([]any, 0, count(c.values))
	}
	for i, value := range c.values {
		var err error
		if c.values[i], err = d.add(value); err != nil {
			if c.errs == nil {
				c.errs = make([]error, len(c.values))
			}
			c.errs[i] = err
		}
	}
	c.below = make([]*level, len(s.below))
	for i, parents := range d.parents {
		if len(parents) > 0 {
			c.below[i] = r.resolve(ctx, s.below[i], parents)
		}
	}
}

// count returns the number of objects in values, if lists have no lists in them.
func count(values []any) (n int) {
	for _, value := range values {
		if list, ok := value.([]any); ok {
			n += len(list)
		} else {
			n++
		}
	}
	return n
}

// descent sorts the objects among a step's values by their types.
type descent struct {
	*step
	parents [][]any // by the index in step.below
}

// add adds the objects of a value and returns the value as the writer takes
// it.
func (d *descent) add(value any) (any, error) {
	if list, ok := value.([]any); ok {
		for i, v := range list {
			var err error
			if list[i], err = d.add(v); err != nil {
				return nil, err
			}
		}
		return list, nil
	}
	if d.abstract == nil {
		if value != nil {
			d.parents[0] = append(d.parents[0], value)
		}
		return value, nil
	}
	name, v := d.abstract(value)
	if name == "" && v == nil {
		return nil, nil
	}
	for i, p := range d.below {
		if p.object == name {
			d.parents[i] = append(d.parents[i], v)
			return object{i, v}, nil
		}
	}
	return nil, fmt.Errorf("%s: a %T is none of the type's objects", d.ast.Definition.Type.Name(), value)
}
