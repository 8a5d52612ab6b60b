// Package executetest makes random GraphQL queries for any schema and compares
// responses. The tests of packages graph and graph/execute use it to hold the
// level-by-level executor to gqlgen's.
package executetest

import (
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// Tokens returns the tokens of JSON, in their order: JSON without white space
// and with one way to escape. It fails t if data are not JSON.
func Tokens(t testing.TB, data []byte) string {
	t.Helper()
	d := jsontext.NewDecoder(strings.NewReader(string(data)))
	var b strings.Builder
	for {
		tok, err := d.ReadToken()
		if err == io.EOF {
			return b.String()
		}
		if err != nil {
			t.Fatalf("response is not JSON: %v\n%s", err, data)
		}
		if tok.Kind() == '"' {
			b.WriteString(strconv.Quote(tok.String()) + " ")
		} else {
			b.WriteString(tok.String() + " ")
		}
	}
}

// ErrorLines returns errors as sorted lines, since gqlgen's come in the order
// in which its goroutines end.
func ErrorLines(errs gqlerror.List) string {
	var lines []string
	for _, e := range errs {
		lines = append(lines, fmt.Sprintf("%s %v %v %v", e.Path, e.Message, e.Extensions, e.Locations))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// Generator makes random documents that are valid for a schema.
type Generator struct {
	Rand   *rand.Rand
	Schema *ast.Schema
	// Argument returns a literal for an argument, and the same as a variable's
	// value or nil if there is none.
	Argument func(g *Generator, f *ast.FieldDefinition, a *ast.ArgumentDefinition) (literal string, value any)

	fragments []string
	variables []string
	values    map[string]any
	aliases   int
	names     int
}

// Operation returns a document with one operation on a root type, such as
// Schema.Query, and its variables.
func (g *Generator) Operation(root *ast.Definition) (text string, variables map[string]any) {
	g.values = map[string]any{}
	body := g.set(root, 2+g.Rand.IntN(4))
	head := strings.ToLower(root.Name)
	if len(g.variables) > 0 {
		head += "(" + strings.Join(g.variables, ", ") + ")"
	}
	return head + " " + body + "\n" + strings.Join(g.fragments, "\n"), g.values
}

// Chance reports true in percent of 100 calls.
func (g *Generator) Chance(percent int) bool { return g.Rand.IntN(100) < percent }

// set returns a selection set on a type, at most depth levels deep.
func (g *Generator) set(def *ast.Definition, depth int) string {
	var parts []string
	for range 1 + g.Rand.IntN(4) {
		parts = append(parts, g.selection(def, depth))
	}
	return "{ " + strings.Join(parts, " ") + " }"
}

func (g *Generator) selection(def *ast.Definition, depth int) string {
	switch {
	case g.Chance(8):
		return "__typename" + g.directive()
	case g.Chance(10):
		return "..." + g.condition(def) + g.directive() + " " + g.set(def, depth)
	case g.Chance(8) && len(g.fragments) < 5:
		g.names++
		name := fmt.Sprintf("F%d", g.names)
		g.fragments = append(g.fragments, "") // before the fragments inside
		i := len(g.fragments) - 1
		g.fragments[i] = "fragment " + name + " on " + def.Name + " " + g.set(def, depth)
		again := ""
		if g.Chance(30) {
			again = " ..." + name + g.directive()
		}
		return "..." + name + g.directive() + again
	case def.IsAbstractType() && g.Chance(70):
		possible := g.Schema.PossibleTypes[def.Name]
		p := possible[g.Rand.IntN(len(possible))]
		return "... on " + p.Name + " " + g.set(p, depth)
	}
	var fields []*ast.FieldDefinition
	for _, f := range def.Fields {
		leaf := g.Schema.Types[f.Type.Name()].IsLeafType()
		if !strings.HasPrefix(f.Name, "__") && (leaf || depth > 0) {
			fields = append(fields, f)
		}
	}
	if len(fields) == 0 {
		return "__typename"
	}
	f := fields[g.Rand.IntN(len(fields))]
	var b strings.Builder
	if len(f.Arguments) > 0 || def.Kind == ast.Object && g.Chance(20) {
		// Two fields of one response name must have equal arguments and types; an
		// alias of their own makes sure.
		g.aliases++
		fmt.Fprintf(&b, "a%d: ", g.aliases)
	}
	b.WriteString(f.Name)
	var args []string
	for _, a := range f.Arguments {
		if v, ok := g.argument(f, a); ok {
			args = append(args, a.Name+": "+v)
		}
	}
	if len(args) > 0 {
		b.WriteString("(" + strings.Join(args, ", ") + ")")
	}
	b.WriteString(g.directive())
	if below := g.Schema.Types[f.Type.Name()]; !below.IsLeafType() {
		b.WriteString(" " + g.set(below, depth-1))
	}
	return b.String()
}

func (g *Generator) condition(def *ast.Definition) string {
	if g.Chance(50) {
		return ""
	}
	return " on " + def.Name
}

func (g *Generator) directive() string {
	if !g.Chance(12) {
		return ""
	}
	yes := strconv.FormatBool(g.Chance(60))
	if g.Chance(50) {
		yes = g.variable("Boolean!", yes == "true")
	}
	return [...]string{" @include(if: ", " @skip(if: "}[g.Rand.IntN(2)] + yes + ")"
}

// variable declares a variable and returns its name.
func (g *Generator) variable(typ string, value any) string {
	name := fmt.Sprintf("v%d", len(g.variables))
	g.variables = append(g.variables, "$"+name+": "+typ)
	g.values[name] = value
	return "$" + name
}

// argument returns a literal or a variable; ok is false for no argument.
func (g *Generator) argument(f *ast.FieldDefinition, a *ast.ArgumentDefinition) (_ string, ok bool) {
	required := a.Type.NonNull && a.DefaultValue == nil
	if !required && g.Chance(50) {
		return "", false
	}
	literal, value := g.Argument(g, f, a)
	if value != nil && g.Chance(40) {
		return g.variable(a.Type.String(), value), true
	}
	return literal, true
}
