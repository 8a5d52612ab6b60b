package execute_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/executor"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/validator"

	"github.com/veranda-go/veranda/graph/execute"
	"github.com/veranda-go/veranda/graph/execute/executetest"
	"github.com/veranda-go/veranda/graph/execute/testschema"
	"github.com/veranda-go/veranda/graph/execute/testschema/generated"
)

// system runs operations on both executors.
type system struct {
	resolver *testschema.Resolver
	table    *execute.Table
	levels   execute.Executor
	gqlgen   *executor.Executor
}

func newSystem() *system {
	s := &system{resolver: &testschema.Resolver{}}
	config := generated.Config{Resolvers: s.resolver}
	s.table = generated.NewTable(config)
	s.levels.Present = present
	s.gqlgen = executor.New(generated.NewExecutableSchema(config))
	s.gqlgen.SetErrorPresenter(func(ctx context.Context, err error) *gqlerror.Error {
		path := graphql.GetPath(ctx)
		if g := (*gqlerror.Error)(nil); errors.As(err, &g) && len(g.Path) > 0 {
			path = g.Path
		}
		return message(path, err)
	})
	s.gqlgen.SetRecoverFunc(recovered)
	return s
}

func recovered(_ context.Context, p any) error { return fmt.Errorf("panic: %v", p) }

func present(_ context.Context, path ast.Path, _ *ast.Field, err error) gqlerror.List {
	if arg := (*execute.ArgumentError)(nil); errors.As(err, &arg) {
		path, err = append(path, arg.Path...), arg.Err
	}
	return gqlerror.List{message(path, err)}
}

// message returns an error without what may differ between the executors: the
// words for a null that the schema forbids.
func message(path ast.Path, err error) *gqlerror.Error {
	if errors.Is(err, graphql.ErrInvalidNull) {
		return &gqlerror.Error{Message: "null", Path: path}
	}
	if g := (*gqlerror.Error)(nil); errors.As(err, &g) {
		err = g.Err
		if err == nil {
			return &gqlerror.Error{Message: g.Message, Path: path}
		}
	}
	return &gqlerror.Error{Message: err.Error(), Path: path}
}

// prepare returns the context and the plan of an operation.
func (s *system) prepare(t *testing.T, text string, vars map[string]any) (context.Context, *execute.Plan, map[string]any) {
	t.Helper()
	doc, errs := gqlparser.LoadQueryWithRules(s.table.Schema, text, nil)
	if errs != nil {
		t.Fatalf("%v\n%s", errs, text)
	}
	op := doc.Operations[0]
	values, err := validator.VariableValues(s.table.Schema, op, vars)
	if err != nil {
		t.Fatalf("%v\n%s\n%v", err, text, vars)
	}
	plan, ok := s.table.Plan(op, values)
	if !ok {
		t.Fatalf("no plan\n%s", text)
	}
	ctx := graphql.WithOperationContext(t.Context(), &graphql.OperationContext{
		RawQuery: text, Doc: doc, Operation: op, Variables: values, RecoverFunc: recovered,
		ResolverMiddleware:     func(ctx context.Context, next graphql.Resolver) (any, error) { return next(ctx) },
		RootResolverMiddleware: func(ctx context.Context, next graphql.RootResolver) graphql.Marshaler { return next(ctx) },
	})
	return ctx, plan, values
}

// Thousands of random operations have the same data and errors on both
// executors: unions, interfaces, lists of lists, nulls at every depth, failing
// and panicking resolvers, arguments of every kind.
func TestEqualsGqlgen(t *testing.T) {
	s := newSystem()
	n := 6000
	if testing.Short() {
		n = 600
	}
	withErrors, dataNull := 0, 0
	for i := range n {
		rnd := rand.New(rand.NewPCG(7, uint64(i)))
		g := executetest.Generator{Rand: rnd, Schema: s.table.Schema, Argument: argument}
		root := s.table.Schema.Query
		if rnd.IntN(4) == 0 {
			root = s.table.Schema.Mutation
		}
		text, vars := g.Operation(root)
		ctx, plan, values := s.prepare(t, text, vars)
		*s.resolver = testschema.Resolver{}
		ours := s.levels.Execute(ctx, plan, values)
		*s.resolver = testschema.Resolver{}
		next, ctx := s.gqlgen.DispatchOperation(ctx, graphql.GetOperationContext(ctx))
		theirs := next(ctx)
		if a, b := executetest.Tokens(t, ours.Data), executetest.Tokens(t, theirs.Data); a != b {
			t.Fatalf("operation %d: data differ\n%s\n%v\nours   %s\ngqlgen %s\nour errors\n%s\ngqlgen's\n%s", i, text, vars, a, b,
				executetest.ErrorLines(ours.Errors), executetest.ErrorLines(theirs.Errors))
		}
		a, b := executetest.ErrorLines(ours.Errors), executetest.ErrorLines(theirs.Errors)
		if a != b {
			t.Fatalf("operation %d: errors differ\n%s\n%v\ndata %s\nours:\n%s\ngqlgen's:\n%s", i, text, vars, ours.Data, a, b)
		}
		if a != "" {
			withErrors++
		}
		if string(ours.Data) == "null" {
			dataNull++
		}
	}
	t.Logf("%d operations, %d with errors, %d without data", n, withErrors, dataNull)
	if withErrors < n/5 || withErrors > n*9/10 || dataNull < n/20 {
		t.Error("the operations are too much alike")
	}
}

func argument(g *executetest.Generator, _ *ast.FieldDefinition, a *ast.ArgumentDefinition) (literal string, value any) {
	switch a.Name {
	case "id", "n", "rows", "columns", "x":
		n := g.Rand.IntN(20) - 2
		if g.Chance(5) {
			n = 101
		}
		return strconv.Itoa(n), json.Number(strconv.Itoa(n))
	case "text", "prefix":
		return `"a\"ä"`, `a"ä`
	case "flag":
		return "true", false
	case "color":
		return "GREEN", "BLUE"
	case "ids":
		return `["a", 1]`, []any{"b"}
	case "at":
		n := g.Rand.IntN(3) - 1 // a negative one is refused when it is read
		return strconv.Itoa(n), nil
	case "numbers":
		return `[[1.5, null], []]`, []any{[]any{json.Number("2")}}
	case "input":
		return [...]string{`{}`, `{name: ""}`, `{name: "abc", tags: ["x"], nested: {color: RED, weight: 2}}`}[g.Rand.IntN(3)],
			map[string]any{"name": "abcd", "nested": map[string]any{"name": "x", "tags": []any{"t"}}}
	}
	panic("no value for " + a.Name)
}

// A batch resolver is called once for a level, however many parents it has and
// wherever in lists they are.
func TestOneCallForALevel(t *testing.T) {
	s := newSystem()
	ctx, plan, values := s.prepare(t, "{ grid(rows: 3, columns: 3) { best { best { best { id } } } } }", nil)
	s.levels.Execute(ctx, plan, values)
	if n := s.resolver.Calls.Load(); n != 3 {
		t.Errorf("%d calls for three levels", n)
	}
}

// The error of a scalar makes its parent null where the schema forbids a null,
// which gqlgen's executor does not do.
func TestScalarErrorPropagates(t *testing.T) {
	s := newSystem()
	s.table.Schema.Types["Thing"].Fields.ForName("ratio").Type = ast.NonNullNamedType("Float", nil)
	ctx, plan, values := s.prepare(t, "{ a: thing(id: 1003) { ratio } b: thing(id: 6) { ratio } }", nil)
	resp := s.levels.Execute(ctx, plan, values)
	if got := string(resp.Data); got != `{"a":null,"b":{"ratio":2}}` || len(resp.Errors) != 1 || resp.Errors[0].Path.String() != "a.ratio" {
		t.Errorf("%s %v", got, resp.Errors)
	}
}

func TestSubscribe(t *testing.T) {
	s := newSystem()
	for _, test := range []struct{ query string }{
		{"subscription { x: ticks(n: 5) { id name self { id } requiredName best { id requiredBest { id } } } }"},
		{"subscription { maybe(n: 12) { id requiredName } }"},
		{"subscription { ticks(n: -1) { id } }"},
	} {
		ctx, plan, values := s.prepare(t, test.query, nil)
		ours := s.levels.Subscribe(ctx, plan, values)
		theirs, gqlgenCtx := s.gqlgen.DispatchOperation(ctx, graphql.GetOperationContext(ctx))
		for i := range 10 {
			a, b := ours(ctx), theirs(gqlgenCtx)
			if (a == nil) != (b == nil) {
				t.Fatalf("%s: event %d: %v, gqlgen's %v", test.query, i, a, b)
			}
			if a == nil {
				break
			}
			if string(a.Data) != string(b.Data) && len(a.Errors) == 0 {
				t.Errorf("%s: event %d: %s, gqlgen's %s", test.query, i, a.Data, b.Data)
			}
			for _, err := range a.Errors {
				if root := err.Path[0]; root != ast.PathName("x") && root != ast.PathName("maybe") && root != ast.PathName("ticks") {
					t.Errorf("%s: path %v lacks the root field", test.query, err.Path)
				}
			}
		}
	}
}

// What the table does not support has no plan.
func TestNoPlan(t *testing.T) {
	s := newSystem()
	for _, query := range []string{
		"{ __schema { queryType { name } } }", "{ things { id } __type(name: \"Thing\") { name } }",
		"{ ...F } fragment F on Query { __schema { types { name } } }",
	} {
		doc, errs := gqlparser.LoadQueryWithRules(s.table.Schema, query, nil)
		if errs != nil {
			t.Fatal(errs)
		}
		if _, ok := s.table.Plan(doc.Operations[0], nil); ok {
			t.Errorf("%s has a plan", query)
		}
	}
	delete(s.table.Objects["Thing"], "ratio")
	doc := gqlparser.MustLoadQueryWithRules(s.table.Schema, "{ things { best { ratio } } }", nil)
	if _, ok := s.table.Plan(doc.Operations[0], nil); ok {
		t.Error("a field that the table lacks has a plan")
	}
}

// A panic anywhere leaves a complete response.
func TestPanics(t *testing.T) {
	s := newSystem()
	s.table.Objects["Thing"]["computed"].Child = func(any) any { panic("in Child") }
	s.table.Objects["Thing"]["sure"].Append = func([]byte, any) []byte { panic("in Append") }
	for query, want := range map[string]string{
		"{ thing(id: 101) { id } }":                          `{"thing":null}`,
		"{ things { computed } }":                            "null",
		"{ thing(id: 1) { sure } }":                          "null",
		"{ thing(id: 3) { best { computed } } }":             `{"thing":{"best":null}}`,
		"subscription { ticks(n: 1) { id sure } }":           "null",
		"mutation { createRequired(id: 101) { id } }":        "null",
		"{ requiredThing(id: 101) { id } }":                  "null",
		"{ a: thing(id: 33) { label } thing(id: 1) { id } }": `{"a":null,"thing":{"id":"1"}}`,
	} {
		ctx, plan, values := s.prepare(t, query, nil)
		run := s.levels.Execute
		if strings.HasPrefix(query, "subscription") {
			run = func(ctx context.Context, p *execute.Plan, vars map[string]any) *graphql.Response {
				return s.levels.Subscribe(ctx, p, vars)(ctx)
			}
		}
		resp := run(ctx, plan, values)
		if string(resp.Data) != want || len(resp.Errors) == 0 || !strings.HasPrefix(resp.Errors[0].Message, "panic: ") {
			t.Errorf("%s: %s %v, want %s and a panic", query, resp.Data, resp.Errors, want)
		}
	}
}

// The results of a batch resolver are held to the number of parents.
func TestBatch(t *testing.T) {
	one, failed := errors.New("one"), errors.New("all")
	value := func(n *int) any { return *n }
	for _, test := range []struct {
		results []int
		err     error
		want    string
	}{
		{[]int{1, 2}, nil, "[1 2] []"},
		{[]int{1, 2}, graphql.BatchErrorList{nil, one}, "[1 <nil>] [<nil> one]"},
		{nil, failed, "[<nil> <nil>] [all all]"},
		{[]int{1}, nil, "[<nil> <nil>] [batch resolver returned 1 results for 2 parents batch resolver returned 1 results for 2 parents]"},
		{[]int{1, 2}, graphql.BatchErrorList{one}, "[<nil> <nil>] [batch resolver returned 1 errors for 2 parents batch resolver returned 1 errors for 2 parents]"},
	} {
		values, errs := execute.Batch(2, test.results, test.err, value)
		if got := fmt.Sprintf("%v %v", values, errs); got != test.want {
			t.Errorf("%v, %v: %s, want %s", test.results, test.err, got, test.want)
		}
	}
}
