package graph

import (
	"context"
	"errors"
	"log/slog"
	"regexp"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/veranda-go/veranda/internal/apierror"
	"github.com/veranda-go/veranda/internal/httpapi"
)

// codes is the catalogue of extensions.code: one word for each kind of fault.
// The sentences are those of the REST door.
var codes = [...]string{
	apierror.Internal:    "INTERNAL",
	apierror.Invalid:     "BAD_INPUT",
	apierror.NotFound:    "NOT_FOUND",
	apierror.TooLarge:    "TOO_LARGE",
	apierror.MediaType:   "BAD_MEDIA_TYPE",
	apierror.Unavailable: "UNAVAILABLE",
	apierror.Timeout:     "TIMEOUT",
	apierror.Unsupported: "UNSUPPORTED",
	apierror.Conflict:    "CONFLICT",
	apierror.KeyMismatch: "IDEMPOTENCY_MISMATCH",
}

// presentOne gives an error of gqlgen's engine its public half.
func presentOne(log *slog.Logger) graphql.ErrorPresenterFunc {
	return func(ctx context.Context, err error) *gqlerror.Error {
		var g *gqlerror.Error
		if errors.As(err, &g) && g.Err == nil {
			return g // the validator's or our own, fit to show
		}
		path, full := graphql.GetPath(ctx), ast.Path(nil)
		if g != nil {
			full = g.Path
		}
		var field *ast.Field
		if fc := graphql.GetFieldContext(ctx); fc != nil {
			path, field = fc.Path(), fc.Field.Field
		}
		f := apierror.From(err)
		if len(full) > len(path) && f.Kind == apierror.Invalid && f.Fields[0].Field == "" {
			// An argument's value was refused while it was read: gqlgen goes on
			// with the argument's path where the field's ends.
			f = apierror.Invalidf(lastName(full), "%s", f.Fields[0].Message)
		}
		all := present(ctx, log, path, field, f)
		for _, more := range all[1:] {
			graphql.AddError(ctx, more)
		}
		return all[0]
	}
}

func lastName(path ast.Path) string {
	for i := len(path) - 1; i >= 0; i-- {
		if name, ok := path[i].(ast.PathName); ok {
			return string(name)
		}
	}
	return ""
}

// snakes are the REST parameters that a sentence names.
var snakes = regexp.MustCompile(`\b[a-z]+(_[a-z]+)+\b`)

// camel spells a REST parameter as the schema does.
func camel(param string) string {
	words := strings.Split(param, "_")
	for i, w := range words[1:] {
		if w != "" {
			words[i+1] = strings.ToUpper(w[:1]) + w[1:]
		}
	}
	return strings.Join(words, "")
}

// present turns an error into what a client sees: one GraphQL error for
// each problem of a fault, with its code and, for input, the argument's path.
func present(ctx context.Context, log *slog.Logger, path ast.Path, f *ast.Field, err error) gqlerror.List {
	fa := apierror.From(err)
	if fa.Kind == apierror.Internal && !errors.Is(ctx.Err(), context.Canceled) {
		log.ErrorContext(ctx, "field failed", "path", path.String(), "err", err)
	}
	list := make(gqlerror.List, 0, len(fa.Fields))
	for _, p := range fa.Fields {
		g := &gqlerror.Error{Path: path, Extensions: map[string]any{"code": codes[fa.Kind]}}
		if f != nil && f.Position != nil {
			g.Locations = []gqlerror.Location{{Line: f.Position.Line, Column: f.Position.Column}}
		}
		p.Message = snakes.ReplaceAllStringFunc(p.Message, camel)
		if p.Field != "" && p.Field != httpapi.IdempotencyKeyHeader && fa.Kind == apierror.Invalid {
			p.Field = camel(p.Field)
			g.Extensions["argument"] = argumentPath(f, p.Field)
		}
		g.Message = p.String()
		list = append(list, g)
	}
	return list
}

// argumentPath is where an input stands among a field's arguments.
func argumentPath(f *ast.Field, param string) []string {
	if f != nil && f.Definition != nil && f.Definition.Arguments.ForName(param) == nil {
		for _, container := range []string{"input", "filter"} {
			if f.Definition.Arguments.ForName(container) != nil {
				return []string{container, param}
			}
		}
	}
	return []string{param}
}
