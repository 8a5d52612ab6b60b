package prepare

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/veranda-go/veranda/graph/errcode"
)

// Limits of a document and of an operation. The first group is counted in the
// document before it is validated, since a document can make validation slow;
// the second is known before the operation runs. Each error names the limit and
// the actual value.
const (
	// maxTokens bounds the parser. The body's limit of 64 KiB bounds it too,
	// but a token costs a hundred times its byte.
	maxTokens = 4000
	// maxNesting of braces and brackets is the parser's own limit.
	maxNesting = 1000
	// maxOperations is per document; validation walks fragments once for each.
	maxOperations = 10
	// maxSelections are fields and fragment spreads as written.
	maxSelections = 1000
	maxAliases    = 50
	maxDirectives = 50
	// maxRepeats bounds the pairs of selections with one response name, which
	// is what validation compares: 20,000 pairs are 200 selections of "id".
	maxRepeats = 20_000
	// maxValues are the values in arguments, lists and objects.
	maxValues = 1000

	// maxDepth counts fields from the root. GraphiQL's introspection needs 15.
	maxDepth = 16
	// maxFields are fields after fragments are put in their places.
	maxFields = 2000
	// maxRootFields are the fields of the operation itself.
	maxRootFields = 10
	// maxNodes are objects in the answer, if every page is full.
	maxNodes = 25_000
	// maxCalls are calls to the services: one for each root field and for each
	// selected relation, whatever the size of pages.
	maxCalls = 25

	// expensiveNodes is the number of nodes above which an operation is
	// expensive: only as many of those run at once as there are processors.
	expensiveNodes = 1000

	// maxErrors bounds the validation errors of one response.
	maxErrors = 10
)

// overLimit refuses a document that passes a limit.
func overLimit(limit string, max, actual int) *gqlerror.Error {
	return &gqlerror.Error{
		Message:    fmt.Sprintf("%s: %d, at most %d allowed", limit, actual, max),
		Extensions: map[string]any{"code": errcode.TooComplex, "limit": limit, "max": max, "actual": actual},
	}
}

// checkText counts the parts of a document in one pass, without following
// fragments, and returns the number of directives.
func checkText(doc *ast.QueryDocument) (directives int, err *gqlerror.Error) {
	c := textCount{names: map[string]int{}}
	c.addAll(doc)
	if c.err != nil {
		return 0, c.err
	}
	if c.replaced != nil && hasLoneSurrogate(c.replaced.Position.Src.Input) {
		return 0, errcode.Set(gqlerror.ErrorPosf(c.replaced.Position, "%s: an escape stands for half a character", c.replacedName), errcode.BadInput)
	}
	repeats := 0
	for _, n := range c.names {
		repeats += n * (n - 1) / 2
	}
	for _, l := range []struct {
		name        string
		max, actual int
	}{
		{"operations", maxOperations, len(doc.Operations)},
		{"selections", maxSelections, c.selections},
		{"aliases", maxAliases, c.aliases},
		{"directives", maxDirectives, c.directives},
		{"values", maxValues, c.values},
		{"repeated fields", maxRepeats, repeats},
	} {
		if l.actual > l.max {
			return 0, overLimit(l.name, l.max, l.actual)
		}
	}
	return c.directives, nil
}

type textCount struct {
	selections, aliases, directives, values int
	names                                   map[string]int
	replaced                                *ast.Value // a string that may not be what was written
	replacedName                            string
	visit                                   func(name string, v *ast.Value) // may be nil
	err                                     *gqlerror.Error
}

// escapes matches the escapes of a document; its group is a lone surrogate.
var escapes = regexp.MustCompile(`\\(?:u[dD][89abAB]..\\u[dD][c-fC-F]..|(u[dD][89a-fA-F]..)|.)`)

// hasLoneSurrogate reports whether a string of a document has half of a
// surrogate pair, which gqlparser silently replaces by U+FFFD.
func hasLoneSurrogate(document string) bool {
	for _, m := range escapes.FindAllStringSubmatchIndex(document, -1) {
		if m[2] >= 0 {
			return true
		}
	}
	return false
}

// argumentAt returns the name of the argument or input field whose value is at
// a position of a document, "" if there is none.
func argumentAt(doc *ast.QueryDocument, line, column int) (name string) {
	forEachValue(doc, func(of string, v *ast.Value) {
		if v.Position.Line == line && v.Position.Column == column {
			name = of
		}
	})
	return name
}

// forEachValue calls visit for each value of a document, with the name of its
// argument or input field.
func forEachValue(doc *ast.QueryDocument, visit func(name string, v *ast.Value)) {
	c := textCount{names: map[string]int{}, visit: visit}
	c.addAll(doc)
}

func (c *textCount) addAll(doc *ast.QueryDocument) {
	for _, op := range doc.Operations {
		c.addDirectives(op.Directives)
		for _, v := range op.VariableDefinitions {
			c.addDirectives(v.Directives)
			c.addValue("$"+v.Variable, v.DefaultValue)
		}
		c.add(op.SelectionSet)
	}
	for _, f := range doc.Fragments {
		c.addDirectives(f.Directives)
		c.add(f.SelectionSet)
	}
}

func (c *textCount) add(set ast.SelectionSet) {
	c.selections += len(set)
	for _, s := range set {
		switch s := s.(type) {
		case *ast.Field:
			if s.Alias != s.Name {
				c.aliases++
			}
			c.names[s.Alias]++
			c.addDirectives(s.Directives)
			for _, a := range s.Arguments {
				c.addValue(a.Name, a.Value)
			}
			c.add(s.SelectionSet)
		case *ast.InlineFragment:
			c.addDirectives(s.Directives)
			c.add(s.SelectionSet)
		case *ast.FragmentSpread:
			c.addDirectives(s.Directives)
		}
	}
}

func (c *textCount) addDirectives(list ast.DirectiveList) {
	c.directives += len(list)
	for _, d := range list {
		for _, a := range d.Arguments {
			c.addValue(a.Name, a.Value)
		}
	}
}

// addValue counts a literal and the values in it. Numbers that no type holds
// are refused here, since gqlparser panics when it reads one as an argument.
func (c *textCount) addValue(name string, v *ast.Value) {
	if v == nil {
		return
	}
	c.values++
	if c.visit != nil {
		c.visit(name, v)
	}
	switch v.Kind {
	case ast.StringValue:
		if strings.ContainsRune(v.Raw, '\ufffd') {
			c.replaced, c.replacedName = v, name
		}
	case ast.IntValue:
		if _, err := strconv.ParseInt(v.Raw, 10, 64); err != nil {
			c.err = badLiteral(name, v, "must fit in 64 bits")
		}
	case ast.FloatValue:
		if _, err := strconv.ParseFloat(v.Raw, 64); err != nil {
			c.err = badLiteral(name, v, "must fit in a 64-bit floating-point number")
		}
	}
	for _, child := range v.Children {
		if child.Name != "" { // not in a list
			name = child.Name
		}
		c.addValue(name, child.Value)
	}
}

func badLiteral(name string, v *ast.Value, rule string) *gqlerror.Error {
	err := gqlerror.ErrorPosf(v.Position, "%s: %s", name, rule)
	return errcode.Set(err, errcode.BadInput)
}
