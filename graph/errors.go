package graph

import (
	"context"
	"errors"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/veranda-go/veranda/graph/errcode"
	"github.com/veranda-go/veranda/graph/execute"
	"github.com/veranda-go/veranda/internal/apierror"
	"github.com/veranda-go/veranda/internal/idempotency"
)

// presentGqlgen returns the error that a client sees for an error of gqlgen's
// executor.
func (e *executor) presentGqlgen(ctx context.Context, err error) *gqlerror.Error {
	var g *gqlerror.Error
	if errors.As(err, &g) && g.Err == nil {
		return g // gqlgen's own
	}
	path := graphql.GetPath(ctx)
	var field *ast.Field
	if fc := graphql.GetFieldContext(ctx); fc != nil {
		path, field = fc.Path(), fc.Field.Field
	}
	if g != nil && len(g.Path) > len(path) {
		// gqlgen appends an argument's path to that of its field.
		err = &execute.ArgumentError{Path: g.Path[len(path):], Err: err}
	}
	all := e.present(ctx, path, field, err)
	for _, more := range all[1:] {
		graphql.AddError(ctx, more)
	}
	return all[0]
}

// present returns what a client sees of a field's error: a GraphQL error for
// each field error, with its code and, for input, the argument's path. It logs
// internal errors.
func (e *executor) present(ctx context.Context, path ast.Path, f *ast.Field, err error) gqlerror.List {
	apiErr := apierror.From(err)
	if apiErr.Kind == apierror.Internal && !errors.Is(ctx.Err(), context.Canceled) {
		e.log.ErrorContext(ctx, "field failed", "path", path.String(), "err", err)
	}
	var arg *execute.ArgumentError
	inArgument := errors.As(err, &arg)
	list := make(gqlerror.List, 0, len(apiErr.Fields))
	for _, fe := range apiErr.Fields {
		g := &gqlerror.Error{Path: path, Extensions: map[string]any{"code": errcode.OfKind(apiErr.Kind)}}
		if f != nil && f.Position != nil {
			g.Locations = []gqlerror.Location{{Line: f.Position.Line, Column: f.Position.Column}}
		}
		if inArgument && fe.Field == "" {
			fe.Field = lastName(arg.Path)
		}
		if fe.Field != idempotency.Header {
			fe = fe.Spell(camel)
			if fe.Field != "" && apiErr.Kind == apierror.Invalid {
				g.Extensions["argument"] = argumentPath(f, fe.Field)
			}
		}
		g.Message = fe.String()
		list = append(list, g)
	}
	return list
}

// lastName returns the innermost name of a path.
func lastName(path ast.Path) string {
	for i := len(path) - 1; i >= 0; i-- {
		if name, ok := path[i].(ast.PathName); ok {
			return string(name)
		}
	}
	return ""
}

// camel returns a REST parameter as the schema spells it.
func camel(param string) string {
	words := strings.Split(param, "_")
	for i, w := range words[1:] {
		if w != "" {
			words[i+1] = strings.ToUpper(w[:1]) + w[1:]
		}
	}
	return strings.Join(words, "")
}

// argumentPath returns the path of an input field among a field's arguments.
func argumentPath(f *ast.Field, name string) []string {
	if f != nil && f.Definition != nil && f.Definition.Arguments.ForName(name) == nil {
		for _, container := range []string{"input", "filter"} {
			if f.Definition.Arguments.ForName(container) != nil {
				return []string{container, name}
			}
		}
	}
	return []string{name}
}
