package graph

import (
	"container/list"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/parser"
	"github.com/vektah/gqlparser/v2/validator"
	"github.com/vektah/gqlparser/v2/validator/core"
	"github.com/vektah/gqlparser/v2/validator/rules"
)

// newRules are the specification's rules, without suggestions: those would
// tell the names of a schema to who may only guess, and cost more to find than
// the rest of the validation.
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
	// An object passes for a scalar with the other rules, and any integer for
	// an Int (spec 3.5.1).
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

// documents parses, validates and remembers documents.
type documents struct {
	schema *ast.Schema
	rules  *rules.Rules
	cache  cache[*document]
}

// document is a valid document with what was made of it.
type document struct {
	*ast.QueryDocument
	// plans has a place for the plan of each operation, which is made when it
	// first runs. It is nil where directives let the variables have a say.
	plans map[*ast.OperationDefinition]*atomic.Pointer[plan]
}

// get gives the document of a text, which is valid and within the limits that
// need no variables.
func (d *documents) get(text string) (*document, gqlerror.List) {
	if doc, ok := d.cache.get(text); ok {
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
		return nil, gqlerror.List{coded(gqlerror.Errorf("no operation provided"), codeValidation)}
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
			coded(e, codeValidation)
		}
		return nil, errs
	}
	kept := &document{QueryDocument: doc}
	if directives == 0 {
		kept.plans = make(map[*ast.OperationDefinition]*atomic.Pointer[plan], len(doc.Operations))
		for _, op := range doc.Operations {
			kept.plans[op] = &atomic.Pointer[plan]{}
		}
	}
	d.cache.put(text, kept, len(text))
	return kept, nil
}

func parseError(err error) *gqlerror.Error {
	g, ok := err.(*gqlerror.Error)
	if !ok {
		g = gqlerror.Errorf("%s", err.Error())
	}
	switch { // the parser has no other way to tell
	case strings.Contains(g.Message, "token limit"):
		return overLimit("tokens", maxTokens, maxTokens+1)
	case strings.Contains(g.Message, "nesting depth"):
		return overLimit("nesting", maxNesting, maxNesting+1)
	}
	return coded(g, codeParse)
}

func coded(err *gqlerror.Error, code string) *gqlerror.Error {
	if err.Extensions == nil {
		err.Extensions = map[string]any{}
	}
	err.Extensions["code"] = code
	return err
}

// maxCached bounds the bytes of text whose documents are kept. A document
// takes some 40 times the memory of its text.
const maxCached = 512 << 10

// cache keeps the most recently used values by text, compared in full. Its
// zero value is ready.
type cache[V any] struct {
	mu    sync.Mutex
	items map[string]*list.Element
	order list.List // of *entry[V], last used first
	bytes int
}

type entry[V any] struct {
	key   string
	value V
	size  int
}

func (c *cache[V]) get(key string) (v V, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.items[key]
	if !ok {
		return v, false
	}
	c.order.MoveToFront(e)
	return e.Value.(*entry[V]).value, true
}

// put keeps a value of so many bytes.
func (c *cache[V]) put(key string, v V, size int) {
	size += 256 // what even the shortest text takes
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.items[key]; ok || size > maxCached {
		return
	}
	if c.items == nil {
		c.items = map[string]*list.Element{}
	}
	c.items[key] = c.order.PushFront(&entry[V]{key, v, size})
	c.bytes += size
	for c.bytes > maxCached {
		last := c.order.Remove(c.order.Back()).(*entry[V])
		delete(c.items, last.key)
		c.bytes -= last.size
	}
}
