package execute

import (
	"context"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// writer writes the response of a finished execution. The objects of a level
// stand in the order in which the writer meets them, so a counter finds each.
//
// Each method that writes a value appends it and reports whether it could: if
// not, a value is null where the schema has none, and the caller's value, being
// its parent, is null as well (spec 6.4.4). It goes through all of a value even
// then: errors further down are told as well, and the counters keep in step.
type writer struct {
	*Executor
	ctx  context.Context
	path []place
	errs gqlerror.List
}

// place is one step of a path: a response name, or else an index. Nearly all
// paths are never shown, so they are kept in a form that needs no allocation.
type place struct {
	name  string
	index int
}

// fail adds the errors of a field at the current path.
func (w *writer) fail(s *step, err error, below ...ast.PathElement) {
	path := make(ast.Path, len(w.path), len(w.path)+len(below))
	for i, p := range w.path {
		if path[i] = ast.PathIndex(p.index); p.name != "" {
			path[i] = ast.PathName(p.name)
		}
	}
	w.errs = append(w.errs, w.Present(w.ctx, append(path, below...), s.ast, err)...)
}

// settle ends a value of type t that began at start: a value that could not be
// written becomes null, if it may.
func settle(b []byte, start int, ok bool, t *ast.Type) ([]byte, bool) {
	if ok {
		return b, true
	}
	return append(b[:start], "null"...), !t.NonNull
}

func (w *writer) object(b []byte, l *level) ([]byte, bool) {
	i := l.next
	l.next++
	b = append(b, '{')
	valid := true
	for n := range l.plan.steps {
		if n > 0 {
			b = append(b, ',')
		}
		s := &l.plan.steps[n]
		b = append(b, s.label...)
		if s.field == nil {
			b = AppendString(b, l.plan.object)
			continue
		}
		start := len(b)
		if s.field.Append != nil {
			if b = s.field.Append(b, l.parents[i]); len(b) > start {
				continue
			}
		}
		var ok bool
		w.path = append(w.path, place{name: s.name})
		t, c := s.ast.Definition.Type, &l.columns[n]
		switch {
		case s.field.Append != nil:
			b, ok = w.null(b, l.plan, s, t)
		case c.errs != nil && c.errs[i] != nil:
			w.fail(s, c.errs[i])
			b, ok = settle(b, start, false, t)
		default:
			b, ok = w.value(b, l.plan, s, c, t, c.values[i])
		}
		w.path = w.path[:len(w.path)-1]
		valid = valid && ok
	}
	return append(b, '}'), valid
}

// null writes a null that no error explains.
func (w *writer) null(b []byte, p *Plan, s *step, t *ast.Type) ([]byte, bool) {
	if t.NonNull {
		w.fail(s, &graphql.InvalidNullError{
			Object: p.object, Field: s.ast.Name, DeclaredType: t.String(), ListElement: t != s.ast.Definition.Type,
		})
	}
	return settle(b, len(b), false, t)
}

func (w *writer) value(b []byte, p *Plan, s *step, c *column, t *ast.Type, v any) ([]byte, bool) {
	start, ok := len(b), true
	switch v := v.(type) {
	case nil:
		return w.null(b, p, s, t)
	case object:
		b, ok = w.object(b, c.below[v.plan])
	case []any:
		if s.field.Marshal != nil {
			return w.leaf(b, p, s, t, v)
		}
		b = append(b, '[')
		w.path = append(w.path, place{})
		for i, element := range v {
			if i > 0 {
				b = append(b, ',')
			}
			w.path[len(w.path)-1].index = i
			var valid bool
			b, valid = w.value(b, p, s, c, t.Elem, element)
			ok = ok && valid
		}
		w.path = w.path[:len(w.path)-1]
		b = append(b, ']')
	default:
		if s.field.Marshal != nil {
			return w.leaf(b, p, s, t, v)
		}
		b, ok = w.object(b, c.below[0])
	}
	return settle(b, start, ok, t)
}

// leaf writes a value by gqlgen's own marshaler, which tells its errors by the
// context, with paths that begin at the field.
func (w *writer) leaf(b []byte, p *Plan, s *step, t *ast.Type, v any) ([]byte, bool) {
	ctx := graphql.WithResponseContext(w.ctx, graphql.DefaultErrorPresenter, graphql.GetOperationContext(w.ctx).Recover)
	start := len(b)
	b = appendMarshaler(b, s.field.Marshal(ctx, v))
	errs := graphql.GetErrors(ctx)
	for _, err := range errs {
		w.fail(s, err, err.Path...)
	}
	written := len(b) > start && string(b[start:]) != "null"
	if !written && len(errs) == 0 {
		return w.null(b[:start], p, s, t)
	}
	return settle(b, start, written, t)
}
