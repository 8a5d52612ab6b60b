package graph

import (
	"context"
	"encoding/json"
	"sync"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// The engine runs a query level by level. All objects at one place of the
// query are resolved together, so a relation costs one call however many
// objects there are and however deep; then the answer is written in one walk,
// straight to bytes. gqlgen goes object by object instead, with a goroutine
// and a closure for each. The engine's fields are the table in fields.go; a
// property test holds its answers against gqlgen's.

// object is a type of the schema whose fields the engine knows.
type object struct {
	name   string
	fields map[string]*field
}

// field is how the engine gets a field. Exactly one of leaf, child and fetch
// is set. A value is nil, a pointer to an object, or a []any of such pointers.
type field struct {
	// leaf appends the value of a field without fields.
	leaf func(b []byte, parent any) []byte
	// child gives a value that the parent holds.
	child func(parent any) any
	// fetch gets the values for all parents at once: one for each, and one
	// error for each or nil.
	fetch func(ctx context.Context, parents []any, args *args) ([]any, []error)
	// types are the names of the types that the value may have, more than one
	// for an interface.
	types []string
}

// run is one place of the query: its objects and what was found below them.
type run struct {
	plan    *plan
	parents []any
	found   []found // by step
	next    int     // the object to be written next
}

// found are the values of one step for all parents.
type found struct {
	values []any
	errs   []error // nil if there are none
	below  map[string]*run
	raw    json.RawMessage // instead of values, for introspection
}

// query runs a query operation.
func (e *executor) query(ctx context.Context, op *graphql.OperationContext) *graphql.Response {
	q := &queryRun{executor: e, ctx: ctx, op: op}
	p := e.planOf(op)
	root := q.resolve(p, []any{nil})
	w := writer{presentFor: q.presentAt}
	data := w.object(make([]byte, 0, p.size.Load()), root)
	p.size.Store(int64(len(data) + len(data)/8))
	if w.failed {
		data = json.RawMessage("null")
	}
	return &graphql.Response{Data: data, Errors: append(q.errs, w.errs...)}
}

func (e *executor) planOf(op *graphql.OperationContext) *plan {
	kept := op.Stats.GetExtension(preparedKey).(prepared).plan
	if kept != nil {
		if p := kept.Load(); p != nil {
			return p
		}
	}
	planner := planner{schema: e.schema, vars: op.Variables}
	p := planner.plan("Query", op.Operation.SelectionSet)
	if kept != nil {
		kept.Store(p)
	}
	return p
}

type queryRun struct {
	*executor
	ctx  context.Context
	op   *graphql.OperationContext
	mu   sync.Mutex
	errs gqlerror.List // of introspection
}

// resolve finds everything below parents. Steps that need a call run at once:
// their calls do not wait for each other, nor does what is below them.
func (q *queryRun) resolve(p *plan, parents []any) *run {
	r := &run{plan: p, parents: parents, found: make([]found, len(p.steps))}
	var slow []int
	for i := range p.steps {
		s := &p.steps[i]
		switch {
		case s.field == nil && s.ast.Name != "__typename", s.field != nil && s.field.fetch != nil:
			slow = append(slow, i)
		case s.field != nil && s.field.child != nil:
			r.found[i].values = make([]any, len(parents))
			for j, parent := range parents {
				r.found[i].values[j] = s.field.child(parent)
			}
			q.descend(s, &r.found[i])
		}
	}
	if len(slow) == 0 {
		return r
	}
	var wg sync.WaitGroup
	for _, i := range slow[1:] {
		wg.Go(func() { q.fetch(&p.steps[i], parents, &r.found[i]) })
	}
	q.fetch(&p.steps[slow[0]], parents, &r.found[slow[0]])
	wg.Wait()
	return r
}

// fetch makes the call of one step, and then those below it.
func (q *queryRun) fetch(s *step, parents []any, f *found) {
	defer func() {
		if p := recover(); p != nil {
			*f = found{values: make([]any, len(parents)), errs: repeat(q.recovered(q.ctx, p), len(parents))}
		}
	}()
	if s.field == nil {
		f.raw = q.introspect(s)
		return
	}
	f.values, f.errs = s.field.fetch(q.ctx, parents, &args{api: q.api, field: s.ast, vars: q.op.Variables})
	q.descend(s, f)
}

func repeat(err error, n int) []error {
	errs := make([]error, n)
	for i := range errs {
		errs[i] = err
	}
	return errs
}

// descend resolves the objects among a step's values, all of one type
// together.
func (q *queryRun) descend(s *step, f *found) {
	f.below = make(map[string]*run, len(s.plans))
	for o, p := range s.plans {
		n := 0
		for _, v := range f.values {
			if list, ok := v.([]any); ok {
				n += len(list)
			} else if v != nil {
				n++
			}
		}
		parents := make([]any, 0, n)
		for _, v := range f.values {
			if list, ok := v.([]any); ok {
				parents = appendOf(parents, o, len(s.plans), list...)
			} else if v != nil {
				parents = appendOf(parents, o, len(s.plans), v)
			}
		}
		if len(parents) > 0 {
			f.below[o] = q.resolve(p, parents)
		}
	}
}

// appendOf appends those of list that are of type o. Only an interface has
// several types to tell apart.
func appendOf(parents []any, o string, types int, list ...any) []any {
	if types == 1 {
		return append(parents, list...)
	}
	for _, v := range list {
		if objectOf(v) == o {
			parents = append(parents, v)
		}
	}
	return parents
}

// introspect lets gqlgen answer __schema or __type, and takes the value out
// of its answer.
func (q *queryRun) introspect(s *step) json.RawMessage {
	f := *s.ast
	f.SelectionSet = nil
	for _, set := range s.sets {
		f.SelectionSet = append(f.SelectionSet, set...)
	}
	op := &graphql.OperationContext{
		RawQuery: q.op.RawQuery, Variables: q.op.Variables, Doc: q.op.Doc, Headers: q.op.Headers,
		Operation:          &ast.OperationDefinition{Operation: ast.Query, SelectionSet: ast.SelectionSet{&f}},
		RecoverFunc:        q.op.RecoverFunc,
		ResolverMiddleware: q.op.ResolverMiddleware, RootResolverMiddleware: q.op.RootResolverMiddleware,
	}
	handler, ctx := q.gqlgen.DispatchOperation(q.ctx, op)
	resp := handler(ctx)
	q.mu.Lock()
	q.errs = append(q.errs, resp.Errors...)
	q.mu.Unlock()
	var data map[string]json.RawMessage
	if json.Unmarshal(resp.Data, &data) != nil || data[s.name] == nil {
		return json.RawMessage("null")
	}
	return data[s.name]
}

// presentAt gives an error its public half, one for each problem it has.
func (q *queryRun) presentAt(path ast.Path, f *ast.Field, err error) gqlerror.List {
	return present(q.ctx, q.log, path, f, err)
}

// writer writes a finished run. The objects of one place stand in the run in
// the order in which this walk comes by, so a counter finds each.
type writer struct {
	path       []place
	errs       gqlerror.List
	failed     bool // a field that may not be null is: the whole answer is
	presentFor func(ast.Path, *ast.Field, error) gqlerror.List
}

// place is one step of a path: a response name, or else an index. Nearly all
// paths are never shown, so they are kept in a form that allocates nothing.
type place struct {
	name  string
	index int
}

// here is the path as errors show it.
func (w *writer) here() ast.Path {
	path := make(ast.Path, len(w.path))
	for i, p := range w.path {
		if path[i] = ast.PathIndex(p.index); p.name != "" {
			path[i] = ast.PathName(p.name)
		}
	}
	return path
}

func (w *writer) object(b []byte, r *run) []byte {
	i := r.next
	r.next++
	b = append(b, '{')
	for n := range r.plan.steps {
		s := &r.plan.steps[n]
		if n > 0 {
			b = append(b, ',')
		}
		b = append(b, s.label...)
		switch {
		case s.field != nil && s.field.leaf != nil:
			b = s.field.leaf(b, r.parents[i])
		case s.field != nil:
			w.path = append(w.path, place{name: s.name})
			b = w.value(b, s, &r.found[n], i)
			w.path = w.path[:len(w.path)-1]
		case s.ast.Name == "__typename":
			b = append(append(append(b, '"'), r.plan.object.name...), '"')
		default:
			b = append(b, r.found[n].raw...)
		}
	}
	return append(b, '}')
}

// value writes what was found for parent i, or null and the error.
func (w *writer) value(b []byte, s *step, f *found, i int) []byte {
	if f.errs != nil && f.errs[i] != nil {
		w.errs = append(w.errs, w.presentFor(w.here(), s.ast, f.errs[i])...)
		// Only root fields may be both failing and non-null (a test holds the
		// schema to it), so there is no parent to become null but the root.
		w.failed = w.failed || s.ast.Definition.Type.NonNull
		return append(b, "null"...)
	}
	switch v := f.values[i].(type) {
	case nil:
		return append(b, "null"...)
	case []any:
		b = append(b, '[')
		w.path = append(w.path, place{})
		for n, v := range v {
			if n > 0 {
				b = append(b, ',')
			}
			w.path[len(w.path)-1].index = n
			b = w.object(b, f.run(v))
		}
		w.path = w.path[:len(w.path)-1]
		return append(b, ']')
	default:
		return w.object(b, f.run(v))
	}
}

// run is the run that v was resolved in.
func (f *found) run(v any) *run {
	if len(f.below) == 1 {
		for _, r := range f.below {
			return r
		}
	}
	return f.below[objectOf(v)]
}
