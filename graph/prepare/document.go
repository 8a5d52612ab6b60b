package prepare

import (
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/maypok86/otter/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/parser"
	"github.com/vektah/gqlparser/v2/validator"
	"github.com/vektah/gqlparser/v2/validator/core"
	"github.com/vektah/gqlparser/v2/validator/rules"

	"github.com/veranda-go/veranda/graph/errcode"
	"github.com/veranda-go/veranda/graph/execute"
)

// newRules returns the specification's validation rules without suggestions,
// which would tell names of the schema to a client that may only guess them,
// and cost more than the rest of the validation.
func newRules(scalars map[string]func(any) error) *rules.Rules {
	r := rules.NewDefaultRules()
	for _, without := range []validator.Rule{
		rules.FieldsOnCorrectTypeRuleWithoutSuggestions,
		rules.KnownArgumentNamesRuleWithoutSuggestions,
		rules.KnownTypeNamesRuleWithoutSuggestions,
		rules.ScalarLeafsRuleWithoutSuggestions,
		rules.ValuesOfCorrectTypeRuleWithoutSuggestions,
	} {
		r.RemoveRule(strings.TrimSuffix(without.Name, "WithoutSuggestions"))
		r.AddRule(without.Name, without.RuleFunc)
	}
	// The other rules let an object pass for a scalar, and any integer for an
	// Int (spec 3.5.1).
	r.AddRule("ScalarsHoldTheirValues", func(observers *core.Events, addError core.AddErrFunc) {
		observers.OnValue(func(_ *core.Walker, v *ast.Value) {
			if v.Definition == nil || v.Definition.Kind != ast.Scalar || v.Kind == ast.Variable || v.Kind == ast.NullValue || v.Kind == ast.ListValue {
				return
			}
			name := v.Definition.Name
			switch check := scalars[name]; {
			case v.Kind == ast.ObjectValue:
				addError(core.Message("%s cannot represent an object", name), core.At(v.Position))
			case name == "Int" && v.Kind == ast.IntValue:
				if _, err := strconv.ParseInt(v.Raw, 10, 32); err != nil {
					addError(core.Message("Int cannot represent non 32-bit signed integer value: %s", v.Raw), core.At(v.Position))
				}
			case check != nil:
				value, err := v.Value(nil)
				if err == nil {
					err = check(value)
				}
				if err != nil {
					addError(core.Message("%s %s", name, err), core.At(v.Position))
				}
			}
		})
	})
	// gqlparser counts schema fields in place of response names (spec 5.2.3.1).
	r.AddRule("SubscriptionRoot", func(observers *core.Events, addError core.AddErrFunc) {
		observers.OnOperation(func(_ *core.Walker, op *ast.OperationDefinition) {
			if op.Operation != ast.Subscription {
				return
			}
			root := subscriptionRoot{names: map[string]bool{}, visited: map[string]bool{}}
			root.add(op.SelectionSet)
			if len(root.names) > 1 {
				addError(core.Message("a subscription must have exactly one root field"), core.At(op.Position))
			}
			if root.conditional {
				addError(core.Message("the root field of a subscription must not have @skip or @include"), core.At(op.Position))
			}
		})
	})
	return r
}

// subscriptionRoot collects the root fields of a subscription.
type subscriptionRoot struct {
	names       map[string]bool // response names
	visited     map[string]bool // fragments
	conditional bool
}

func (r *subscriptionRoot) add(set ast.SelectionSet) {
	for _, s := range set {
		var directives ast.DirectiveList
		var below ast.SelectionSet
		switch s := s.(type) {
		case *ast.Field:
			directives = s.Directives
			r.names[s.Alias] = true
		case *ast.InlineFragment:
			directives, below = s.Directives, s.SelectionSet
		case *ast.FragmentSpread:
			directives = s.Directives
			if s.Definition != nil && !r.visited[s.Name] {
				r.visited[s.Name] = true
				below = s.Definition.SelectionSet
			}
		}
		r.conditional = r.conditional || directives.ForName("skip") != nil || directives.ForName("include") != nil
		r.add(below)
	}
}

// documents parses, validates and caches documents.
type documents struct {
	schema *ast.Schema
	rules  *rules.Rules
	cache  *otter.Cache[string, *document]
}

func newDocuments(config Config) documents {
	return documents{config.Table.Schema, newRules(config.Scalars), NewCache(KeySize[*document])}
}

// document is a valid document with the plans of its operations.
type document struct {
	*ast.QueryDocument
	// plans has a place for the plan of each operation, which is made when the
	// operation first runs. It is nil where directives make plans depend on the
	// variables.
	plans map[*ast.OperationDefinition]*atomic.Pointer[execute.Plan]
}

// plan returns the plan of an operation, nil if there is none.
func (d *document) plan(table *execute.Table, op *ast.OperationDefinition, vars map[string]any) *execute.Plan {
	kept := d.plans[op]
	if kept != nil {
		if p := kept.Load(); p != nil {
			return p
		}
	}
	p, ok := table.Plan(op, vars)
	if !ok {
		return nil
	}
	if kept != nil {
		kept.Store(p)
	}
	return p
}

// get returns the document of a text, if it is valid and within the limits
// that need no variables.
func (d *documents) get(text string) (*document, gqlerror.List) {
	if doc, ok := d.cache.GetIfPresent(text); ok {
		return doc, nil
	}
	doc, err := parser.ParseQueryWithTokenLimit(&ast.Source{Input: text}, maxTokens)
	if err != nil {
		return nil, gqlerror.List{parseError(err)}
	}
	directives, tooMuch := checkText(doc)
	if tooMuch != nil {
		return nil, gqlerror.List{tooMuch}
	}
	if len(doc.Operations) == 0 {
		return nil, gqlerror.List{errcode.Errorf(errcode.ValidationFailed, "no operation provided")}
	}
	if errs := validator.ValidateWithRules(d.schema, doc, d.rules); len(errs) > 0 {
		errs = errs[:min(len(errs), maxErrors)]
		for _, e := range errs {
			// Some rules have no form without suggestions.
			e.Message, _, _ = strings.Cut(e.Message, " Did you mean")
			if len(e.Locations) > 0 {
				if name := argumentAt(doc, e.Locations[0].Line, e.Locations[0].Column); name != "" {
					e.Message = name + ": " + e.Message
				}
			}
			errcode.Set(e, errcode.ValidationFailed)
		}
		return nil, errs
	}
	// Validation leaves in each value the definition of the last operation that
	// uses it, and gqlparser would take its default: coerceVariables has those of
	// the operation that runs.
	forEachValue(doc, func(_ string, v *ast.Value) { v.VariableDefinition = nil })
	kept := &document{QueryDocument: doc}
	if directives == 0 {
		kept.plans = make(map[*ast.OperationDefinition]*atomic.Pointer[execute.Plan], len(doc.Operations))
		for _, op := range doc.Operations {
			kept.plans[op] = &atomic.Pointer[execute.Plan]{}
		}
	}
	d.cache.Set(text, kept)
	return kept, nil
}

func parseError(err error) *gqlerror.Error {
	g, ok := err.(*gqlerror.Error)
	if !ok {
		g = gqlerror.Errorf("%s", err.Error())
	}
	switch { // the parser does not tell its limits apart otherwise
	case strings.Contains(g.Message, "token limit"):
		return overLimit("tokens", maxTokens, maxTokens+1)
	case strings.Contains(g.Message, "nesting depth"):
		return overLimit("nesting", maxNesting, maxNesting+1)
	}
	return errcode.Set(g, errcode.ParseFailed)
}

// maxCached bounds the bytes of text whose documents are kept. A document
// takes some 40 times the memory of its text.
const maxCached = 512 << 10

// NewCache returns a cache that is bounded by the bytes of its texts, which
// size returns.
func NewCache[V any](size func(key string, value V) int) *otter.Cache[string, V] {
	return otter.Must(&otter.Options[string, V]{
		MaximumWeight: maxCached,
		Weigher: func(key string, value V) uint32 {
			return uint32(size(key, value)) + 256 // what even the shortest text takes
		},
	})
}

// KeySize is the size of a cache whose keys are the texts.
func KeySize[V any](key string, _ V) int { return len(key) }
