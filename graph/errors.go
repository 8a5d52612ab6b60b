package graph

import (
	"context"
	"errors"
	"log/slog"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/veranda-go/veranda/internal/fault"
)

// codes is the catalogue of extensions.code: one word for each kind of fault.
// The sentences are those of the REST door.
var codes = [...]string{
	fault.Internal:    "INTERNAL",
	fault.Invalid:     "BAD_INPUT",
	fault.NotFound:    "NOT_FOUND",
	fault.TooLarge:    "TOO_LARGE",
	fault.MediaType:   "BAD_MEDIA_TYPE",
	fault.Unavailable: "UNAVAILABLE",
	fault.Timeout:     "TIMEOUT",
	fault.Unsupported: "UNSUPPORTED",
}

// present gives an error its public half. The cause of what is not the
// caller's doing is logged here and nowhere else.
func present(log *slog.Logger) graphql.ErrorPresenterFunc {
	return func(ctx context.Context, err error) *gqlerror.Error {
		var g *gqlerror.Error
		if errors.As(err, &g) && g.Err == nil {
			return g // the parser's or validator's own, fit to show
		}
		f := fault.From(err)
		if f.Kind == fault.Internal {
			log.ErrorContext(ctx, "field failed", "path", graphql.GetPath(ctx).String(), "err", err)
		}
		out := &gqlerror.Error{Path: graphql.GetPath(ctx), Extensions: map[string]any{"code": codes[f.Kind]}}
		if g != nil && g.Path != nil {
			out.Path = g.Path
		}
		sentences := make([]string, len(f.Problems))
		for i, p := range f.Problems {
			p.Param = camel(p.Param)
			sentences[i] = p.String()
		}
		out.Message = strings.Join(sentences, "; ")
		if len(f.Problems) == 1 && f.Problems[0].Param == "" && f.Kind == fault.Invalid && len(out.Path) > 0 {
			if name, ok := out.Path[len(out.Path)-1].(ast.PathName); ok {
				out.Message = string(name) + ": " + out.Message
			}
		}
		return out
	}
}

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
