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
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/veranda-go/veranda/backend/listings"
	listingslite "github.com/veranda-go/veranda/backend/listings/sqlite"
	"github.com/veranda-go/veranda/backend/users"
	userslite "github.com/veranda-go/veranda/backend/users/sqlite"
	"github.com/veranda-go/veranda/graph/errcode"
	"github.com/veranda-go/veranda/graph/execute"
	"github.com/veranda-go/veranda/graph/execute/executetest"
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
	config := newConfig(api)
	preparer := newPreparer(api, config)
	return &system{preparer, newExecutor(api, config, slog.New(slog.DiscardHandler)), preparer.Table, s}
}

// The table has every field of the schema.
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
			if table.Objects[name][f.Name] == nil {
				t.Errorf("%s.%s: not in the table", name, f.Name)
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
		g := executetest.Generator{Rand: rnd, Schema: sys.table.Schema, Argument: argument}
		text, vars := g.Operation(sys.table.Schema.Query)
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
		if a, b := executetest.Tokens(t, ours.Data), executetest.Tokens(t, theirs.Data); a != b {
			t.Fatalf("query %d: data differ\n%s\n%v\nours   %s\ngqlgen %s", i, text, vars, a, b)
		}
		a, b := executetest.ErrorLines(ours.Errors), executetest.ErrorLines(theirs.Errors)
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

// argument returns a value for an argument, most often a valid one.
func argument(g *executetest.Generator, f *ast.FieldDefinition, a *ast.ArgumentDefinition) (literal string, value any) {
	switch name := a.Type.Name(); {
	case f.Name == "node":
		kind := [...]string{"Listing", "User", "Nothing"}[g.Rand.IntN(3)]
		literal = strconv.Quote(publicapi.ListingNodeID(&listings.Listing{ID: int64(1 + g.Rand.IntN(70))}))
		switch kind {
		case "User":
			literal = strconv.Quote(publicapi.UserNodeID(&users.User{ID: int64(1 + g.Rand.IntN(14))}))
		case "Nothing":
			literal = `"x"`
		}
		value, _ = strconv.Unquote(literal)
	case name == "ID":
		n := strconv.Itoa(1 + g.Rand.IntN(15))
		if g.Chance(10) {
			n = [...]string{"0", "-3", "999", "9223372036854775807"}[g.Rand.IntN(4)]
		}
		literal, value = strconv.Quote(n), n
	case name == "Int":
		n := 1 + g.Rand.IntN(6)
		if g.Chance(8) {
			n = [...]int{0, -1, 101, 2147483647}[g.Rand.IntN(4)]
		}
		literal, value = strconv.Itoa(n), json.Number(strconv.Itoa(n))
	case name == "String":
		c := listings.Cursor{Order: listings.Order(g.Rand.IntN(4)), Key: int64(g.Rand.IntN(100)), ID: int64(g.Rand.IntN(60))}
		literal, value = strconv.Quote(c.String()), c.String()
		if g.Chance(10) {
			literal, value = `"?"`, "?"
		}
	case name == "ListingOrder":
		o := strings.ToUpper(listings.Order(g.Rand.IntN(4)).String())
		literal, value = o, o
	case name == "ListingFilter":
		literal = [...]string{
			`{}`, `{listingType: RENT}`, `{minPrice: 100, maxPrice: 90000}`, `{userId: "1"}`, `{userId: 3, minPrice: 5}`,
			`{minPrice: 0}`, `{createdFrom: 1, listingType: SALE}`,
		}[g.Rand.IntN(7)]
		value = nil // as a literal only
	default:
		panic("no value for " + name)
	}
	return literal, value
}
