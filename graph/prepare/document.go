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
func newRules() *rules.Rules {
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
			if v.Kind == ast.IntValue && v.Definition != nil && v.Definition.Name == "Int" {
				if _, err := strconv.ParseInt(v.Raw, 10, 32); err != nil {
					addError(core.Message("Int cannot represent non 32-bit signed integer value: %s", v.Raw), core.At(v.Position))
				}
			}
			if v.Kind == ast.ObjectValue && v.Definition != nil && v.Definition.Kind != ast.InputObject {
				addError(core.Message("%s cannot represent an object", v.Definition.Name), core.At(v.Position))
			}
		})
	})
	return r
}

// documents parses, validates and caches documents.
type documents struct {
	schema *ast.Schema
	rules  *rules.Rules
	cache  *otter.Cache[string, *document]
}

func newDocuments(table *execute.Table) documents {
	return documents{table.Schema, newRules(), NewCache(KeySize[*document])}
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
