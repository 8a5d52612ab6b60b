package graph

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/veranda-go/veranda/backend/listings"
	listingslite "github.com/veranda-go/veranda/backend/listings/sqlite"
	"github.com/veranda-go/veranda/backend/users"
	userslite "github.com/veranda-go/veranda/backend/users/sqlite"
	"github.com/veranda-go/veranda/graph/errcode"
	"github.com/veranda-go/veranda/graph/execute"
	"github.com/veranda-go/veranda/graph/generated"
	"github.com/veranda-go/veranda/graph/prepare"
	"github.com/veranda-go/veranda/internal/backendclient"
	"github.com/veranda-go/veranda/internal/httpapi"
	"github.com/veranda-go/veranda/publicapi"
)

// services is a transport to real handlers over real stores, without sockets.
// down, if it is not nil, says which requests find nobody.
type services struct {
	listings, users http.Handler
	down            func(*http.Request) bool
}

func (s *services) RoundTrip(r *http.Request) (*http.Response, error) {
	if s.down != nil && s.down(r) {
		return nil, io.ErrUnexpectedEOF
	}
	h := s.users
	if strings.HasPrefix(r.URL.Path, "/listings") {
		h = s.listings
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	resp := w.Result()
	resp.Request = r
	return resp, nil
}

// newServices has 12 users, of whom some have no listing and one offers many,
// and 60 listings, of which some belong to nobody.
func newServices(t testing.TB) *services {
	t.Helper()
	ctx, log, dir := context.Background(), slog.New(slog.DiscardHandler), t.TempDir()
	ls, err := listingslite.Open(ctx, filepath.Join(dir, "l.db"))
	if err != nil {
		t.Fatal(err)
	}
	us, err := userslite.Open(ctx, filepath.Join(dir, "u.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ls.Close(); us.Close() })
	lr, ur := httpapi.NewRouter(), httpapi.NewRouter()
	listings.NewHandler(ls, 100, log).Routes(lr)
	users.NewHandler(us, 100, log).Routes(ur)
	s := &services{listings: lr, users: ur}
	api := newAPI(t, s)
	ctx = api.WithLoaders(ctx)
	for i := range 12 {
		if _, _, err := api.CreateUser(ctx, users.Draft{Name: fmt.Sprintf(`Nr "%d" <ä名\u2028>`, i)}, ""); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 60 {
		d := listings.Draft{UserID: int64(i%7 + 1), Type: listings.Rent, Price: int64(1 + i*i*i)}
		if i%3 == 0 {
			d.Type, d.UserID = listings.Sale, 1
		}
		if i%10 == 0 {
			d.UserID = 777
		}
		if _, _, err := ls.Create(ctx, d, ""); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func newAPI(t testing.TB, transport http.RoundTripper) *publicapi.API {
	t.Helper()
	lc, err := backendclient.NewClient("listing service", "http://listings", time.Minute, transport)
	if err != nil {
		t.Fatal(err)
	}
	uc, err := backendclient.NewClient("user service", "http://users", time.Minute, transport)
	if err != nil {
		t.Fatal(err)
	}
	return publicapi.New(listings.NewClient(lc), users.NewClient(uc), publicapi.Config{MaxPageSize: 100})
}

// system is the GraphQL API without HTTP.
type system struct {
	*prepare.Preparer
	*executor
	table    *execute.Table
	services *services
}

func newSystem(t testing.TB) *system {
	t.Helper()
	s := newServices(t)
	api := newAPI(t, s)
	config := generated.Config{Resolvers: &Resolver{api}}
	table := generated.NewTable(config)
	return &system{
		prepare.New(table, backendCalls, api.MaxPageSize()),
		newExecutor(api, config, slog.New(slog.DiscardHandler)), table, s,
	}
}

// The table has every field of the schema, and the estimate knows the calls of
// every resolver.
func TestTableIsComplete(t *testing.T) {
	table := newSystem(t).table
	for name, def := range table.Schema.Types {
		if def.Kind != ast.Object || strings.HasPrefix(name, "__") {
			continue
		}
		for _, f := range def.Fields {
			if strings.HasPrefix(f.Name, "__") {
				continue
			}
			field := table.Objects[name][f.Name]
			if field == nil {
				t.Errorf("%s.%s: not in the table", name, f.Name)
				continue
			}
			if calls := field.Resolve != nil || field.Subscribe != nil; calls && f.Name != "nodeId" && backendCalls[name+"."+f.Name] == 0 {
				t.Errorf("%s.%s: makes a call that the estimate does not know", name, f.Name)
			}
		}
	}
}

// Thousands of random queries get the same response from the level-by-level
// executor and from gqlgen's own, and make no more calls than estimated.
func TestExecutorEqualsGqlgen(t *testing.T) {
	sys := newSystem(t)
	modes := []func(*http.Request) bool{
		nil, nil, nil,
		func(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/users") },
		func(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/listings") },
		func(r *http.Request) bool { return r.URL.Path == "/listings/batch" },
	}
	n := 6000
	if testing.Short() {
		n = 600
	}
	var ran, refused, withErrors, calls, estimated int
	for i := range n {
		rnd := rand.New(rand.NewPCG(42, uint64(i)))
		g := generator{r: rnd, schema: sys.table.Schema}
		text, vars := g.document()
		op, requestError := sys.Prepare(&prepare.Request{Query: text, Variables: vars})
		if requestError != nil {
			if code := requestError.Errors[0].Extensions["code"]; code != errcode.TooComplex {
				t.Fatalf("query %d is not valid: %v\n%s\n%v", i, requestError.Errors, text, vars)
			}
			refused++
			continue
		}
		if op.Plan == nil {
			t.Fatalf("query %d has no plan\n%s", i, text)
		}
		sys.services.down = modes[rnd.IntN(len(modes))]
		ctx, meter := backendclient.WithMeter(context.Background())
		ours := sys.Execute(ctx, op)()
		plain := *op
		plain.Plan = nil
		theirs := sys.Execute(context.Background(), &plain)()
		sys.services.down = nil

		ran++
		calls += int(meter.Calls())
		estimated += op.Cost.BackendCalls
		if int(meter.Calls()) > op.Cost.BackendCalls {
			t.Errorf("query %d: %d calls, estimated %d\n%s\n%v", i, meter.Calls(), op.Cost.BackendCalls, text, vars)
		}
		if a, b := tokens(t, ours.Data), tokens(t, theirs.Data); a != b {
			t.Fatalf("query %d: data differ\n%s\n%v\nours   %s\ngqlgen %s", i, text, vars, a, b)
		}
		a, b := errorLines(ours.Errors), errorLines(theirs.Errors)
		if a != b {
			t.Fatalf("query %d: errors differ\n%s\n%v\nours:\n%s\ngqlgen:\n%s", i, text, vars, a, b)
		}
		if a != "" {
			withErrors++
		}
		if t.Failed() {
			return
		}
	}
	t.Logf("%d queries: %d run, of which %d with errors, %d refused as too complex; %d calls made, %d estimated",
		n, ran, withErrors, refused, calls, estimated)
	if ran < n*8/10 || withErrors < ran/20 {
		t.Errorf("the queries are too much alike: %d of %d ran, %d with errors", ran, n, withErrors)
	}
}

// tokens is JSON without white space and ways to escape, in its order.
func tokens(t *testing.T, data []byte) string {
	t.Helper()
	d := jsontext.NewDecoder(strings.NewReader(string(data)))
	var b strings.Builder
	for {
		tok, err := d.ReadToken()
		if err == io.EOF {
			return b.String()
		}
		if err != nil {
			t.Fatalf("answer is not JSON: %v\n%s", err, data)
		}
		if tok.Kind() == '"' {
			b.WriteString(strconv.Quote(tok.String()) + " ")
		} else {
			b.WriteString(tok.String() + " ")
		}
	}
}

// errorLines are errors as sorted lines: gqlgen's come as goroutines end.
func errorLines(errs gqlerror.List) string {
	var lines []string
	for _, e := range errs {
		lines = append(lines, fmt.Sprintf("%s %v %v %v", e.Path, e.Message, e.Extensions, e.Locations))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// generator makes random documents that are valid by the schema.
type generator struct {
	r         *rand.Rand
	schema    *ast.Schema
	fragments []string
	variables []string
	values    map[string]any
	aliases   int
	names     int
}

func (g *generator) document() (string, map[string]any) {
	g.values = map[string]any{}
	body := g.set(g.schema.Query, 2+g.r.IntN(4))
	head := "query"
	if len(g.variables) > 0 {
		head += "(" + strings.Join(g.variables, ", ") + ")"
	}
	return head + " " + body + "\n" + strings.Join(g.fragments, "\n"), g.values
}

func (g *generator) chance(percent int) bool { return g.r.IntN(100) < percent }

// set is a selection set on a type, at most depth levels deep.
func (g *generator) set(def *ast.Definition, depth int) string {
	var parts []string
	for range 1 + g.r.IntN(4) {
		parts = append(parts, g.selection(def, depth))
	}
	return "{ " + strings.Join(parts, " ") + " }"
}

func (g *generator) selection(def *ast.Definition, depth int) string {
	switch {
	case g.chance(8):
		return "__typename" + g.directive()
	case g.chance(10):
		return "..." + g.condition(def) + g.directive() + " " + g.set(def, depth)
	case g.chance(8) && len(g.fragments) < 5:
		g.names++
		name := fmt.Sprintf("F%d", g.names)
		g.fragments = append(g.fragments, "") // the place is taken before those inside
		i := len(g.fragments) - 1
		g.fragments[i] = "fragment " + name + " on " + def.Name + " " + g.set(def, depth)
		again := ""
		if g.chance(30) {
			again = " ..." + name + g.directive()
		}
		return "..." + name + g.directive() + again
	case def.Kind == ast.Interface && g.chance(70):
		possible := g.schema.PossibleTypes[def.Name]
		p := possible[g.r.IntN(len(possible))]
		return "... on " + p.Name + " " + g.set(p, depth)
	}
	var fields []*ast.FieldDefinition
	for _, f := range def.Fields {
		leaf := g.schema.Types[f.Type.Name()].IsLeafType()
		if !strings.HasPrefix(f.Name, "__") && (leaf || depth > 0) {
			fields = append(fields, f)
		}
	}
	if len(fields) == 0 {
		return "__typename"
	}
	f := fields[g.r.IntN(len(fields))]
	var b strings.Builder
	if len(f.Arguments) > 0 || g.chance(20) {
		// Two fields of one name must agree on their arguments; a name of its
		// own spares finding out.
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
	if below := g.schema.Types[f.Type.Name()]; !below.IsLeafType() {
		b.WriteString(" " + g.set(below, depth-1))
	}
	return b.String()
}

func (g *generator) condition(def *ast.Definition) string {
	if g.chance(50) {
		return ""
	}
	return " on " + def.Name
}

func (g *generator) directive() string {
	if !g.chance(12) {
		return ""
	}
	yes := strconv.FormatBool(g.chance(60))
	if g.chance(50) {
		yes = g.variable("Boolean!", yes == "true")
	}
	return [...]string{" @include(if: ", " @skip(if: "}[g.r.IntN(2)] + yes + ")"
}

// variable declares a variable and gives its name.
func (g *generator) variable(typ string, value any) string {
	name := fmt.Sprintf("v%d", len(g.variables))
	g.variables = append(g.variables, "$"+name+": "+typ)
	g.values[name] = value
	return "$" + name
}

// argument is a literal or a variable, most often fit for its field.
func (g *generator) argument(f *ast.FieldDefinition, a *ast.ArgumentDefinition) (string, bool) {
	required := a.Type.NonNull && a.DefaultValue == nil
	if !required && g.chance(50) {
		return "", false
	}
	var literal string
	var value any
	switch name := a.Type.Name(); {
	case f.Name == "node":
		kind := [...]string{"Listing", "User", "Nothing"}[g.r.IntN(3)]
		literal = strconv.Quote(publicapi.ListingNodeID(&listings.Listing{ID: int64(1 + g.r.IntN(70))}))
		if kind == "User" {
			literal = strconv.Quote(publicapi.UserNodeID(&users.User{ID: int64(1 + g.r.IntN(14))}))
		} else if kind == "Nothing" {
			literal = `"x"`
		}
		value, _ = strconv.Unquote(literal)
	case name == "ID":
		n := strconv.Itoa(1 + g.r.IntN(15))
		if g.chance(10) {
			n = [...]string{"0", "-3", "999", "9223372036854775807"}[g.r.IntN(4)]
		}
		literal, value = strconv.Quote(n), n
	case name == "Int":
		n := 1 + g.r.IntN(6)
		if g.chance(8) {
			n = [...]int{0, -1, 101, 2147483647}[g.r.IntN(4)]
		}
		literal, value = strconv.Itoa(n), json.Number(strconv.Itoa(n))
	case name == "String":
		c := listings.Cursor{Order: listings.Order(g.r.IntN(4)), Key: int64(g.r.IntN(100)), ID: int64(g.r.IntN(60))}
		literal, value = strconv.Quote(c.String()), c.String()
		if g.chance(10) {
			literal, value = `"?"`, "?"
		}
	case name == "ListingOrder":
		o := strings.ToUpper(listings.Order(g.r.IntN(4)).String())
		literal, value = o, o
	case name == "ListingFilter":
		literal = [...]string{
			`{}`, `{listingType: RENT}`, `{minPrice: 100, maxPrice: 90000}`, `{userId: "1"}`, `{userId: 3, minPrice: 5}`,
			`{minPrice: 0}`, `{createdFrom: 1, listingType: SALE}`,
		}[g.r.IntN(7)]
		return literal, true
	default:
		panic("no value for " + name)
	}
	if g.chance(40) {
		return g.variable(a.Type.String(), value), true
	}
	return literal, true
}
