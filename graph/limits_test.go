package graph

import (
	"fmt"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql/introspection"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/veranda-go/veranda/graph/errcode"
	"github.com/veranda-go/veranda/graph/prepare"
)

// attacks are queries that have overloaded GraphQL servers, each with the code
// of its refusal, or "" for one that is cheap enough to run.
var attacks = []struct {
	name, query, code string
}{
	{"depth", "{listings{" + strings.Repeat("user{listings{", 40) + "id" + strings.Repeat("}", 82), errcode.TooComplex},
	{"depth, 60 KB", strings.Repeat("{a", 30_000), errcode.TooComplex},
	{"nested lists", "{listings(pageNum:" + strings.Repeat("[", 30_000) + "){id}}", errcode.TooComplex},
	{"nested objects", "{listings(pageNum:" + strings.Repeat("{a:", 20_000) + "){id}}", errcode.TooComplex},
	{"nested variable type", "query($a:" + strings.Repeat("[", 30_000) + "){__typename}", errcode.TooComplex},
	{"width", "{listings{" + strings.Repeat("id price ", 600) + "}}", errcode.TooComplex},
	{"repeated __typename", "{" + strings.Repeat("__typename ", 3_900) + "}", errcode.TooComplex},
	{"repeated __typename under the limit", "{listings{" + strings.Repeat("__typename ", 199) + "}}", ""},
	{"repeated arguments", "{" + strings.Repeat("listings(pageNum:1){id} ", 300) + "}", errcode.TooComplex},
	{"aliases", "{" + numbered(300, "a%d:listings{id} ") + "}", errcode.TooComplex},
	{"root fields", "{" + numbered(40, "a%d:listings{id} ") + "}", errcode.TooComplex},
	{"fragment doubling", "{...F0} " + numbered(40, "fragment F%[1]d on Query{...F%[2]d ...F%[2]d} ") + "fragment F40 on Query{__typename}", errcode.TooComplex},
	{"field doubling", "{listings{...F0}} " + numbered(20, "fragment F%[1]d on Listing{user{listings{...F%[2]d}} user{listings{...F%[2]d}}} ") + "fragment F20 on Listing{id}", errcode.TooComplex},
	{"fragment cycle", "{...A} fragment A on Query{...B} fragment B on Query{...A}", errcode.ValidationFailed},
	{"fragments spread crosswise", "{...F0} " + numbered(60, "fragment F%[1]d on Query{...F%[2]d ...F%[2]d listings{id}} ") + "fragment F60 on Query{__typename}", errcode.TooComplex},
	{"directives", "{listings{id " + strings.Repeat("@include(if:true) ", 500) + "}}", errcode.TooComplex},
	{"operations", numbered(500, "query Q%d{__typename} "), errcode.TooComplex},
	{"variables", "query(" + numbered(1300, "$v%d:Int ") + "){__typename}", errcode.TooComplex},
	{"page sizes", "{users(pageSize:100){listings(first:100){user{listings(first:100){id}}}}}", errcode.TooComplex},
	{"page sizes by variable", "query($n:Int!=100){users(pageSize:$n){listings(first:$n){user{listings(first:$n){id}}}}}", errcode.TooComplex},
	{"connections", "{listingsConnection(first:100){edges{node{user{listingsConnection(last:100){nodes{user{listings(first:100){id}}}}}}}}}", errcode.TooComplex},
	{"introspection cycle", "{__schema{types{" + strings.Repeat("fields{type{", 20) + "name" + strings.Repeat("}", 43), errcode.ValidationFailed},
	{"introspection width", "{" + numbered(9, "a%d:__schema{types{fields{args{type{ofType{ofType{name}}}}}}} ") + "}", errcode.TooComplex},
	{"input list", "{listingsConnection(filter:{userId:[" + strings.Repeat("1,", 2_000) + "]}){nodes{id}}}", errcode.TooComplex},
	{"huge integer", "{listings(pageNum:" + strings.Repeat("9", 400) + "){id}}", "BAD_INPUT"},
	{"huge float", "{listings(pageNum:1e" + strings.Repeat("9", 400) + "){id}}", "BAD_INPUT"},
	{"unknown fields", "{" + numbered(900, "x%d ") + "}", errcode.ValidationFailed},
	{"block string", `{user(id:"""` + strings.Repeat("\n ", 20_000) + `"""){id}}`, ""},
	{"comments", strings.Repeat("# comment\n", 3_000) + "{__typename}", ""},
	{"unterminated string", `{user(id:"` + strings.Repeat("a", 50_000), errcode.ParseFailed},
}

// numbered repeats a format with i and i+1.
func numbered(n int, format string) string {
	var b strings.Builder
	for i := range n {
		if strings.Contains(format, "[2]") {
			fmt.Fprintf(&b, format, i, i+1)
		} else {
			fmt.Fprintf(&b, format, i)
		}
	}
	return b.String()
}

func TestAttacks(t *testing.T) {
	sys := newSystem(t)
	t.Logf("%-40s %8s %-26s %10s %10s", "attack", "bytes", "refusal", "CPU µs", "alloc KB")
	for _, a := range attacks {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		start := cpuTime()
		_, refused := sys.Prepare(&prepare.Request{Query: a.query})
		used := cpuTime() - start
		runtime.ReadMemStats(&after)
		code, shown := "", ""
		var errs gqlerror.List
		if refused != nil {
			errs = refused.Errors
			code, _ = errs[0].Extensions["code"].(string)
			shown = code
			if errs[0].Extensions["limit"] != nil {
				shown = errs[0].Message
			}
		}
		if code != a.code {
			t.Errorf("%s: code %q, want %q: %v", a.name, code, a.code, errs)
		}
		if len(errs) > 10 {
			t.Errorf("%s: %d errors", a.name, len(errs))
		}
		for _, err := range errs {
			if len(err.Message) > 1000 {
				t.Errorf("%s: repeats the query: %.80s…", a.name, err.Message)
			}
		}
		kb := (after.TotalAlloc - before.TotalAlloc) >> 10
		if kb > 5<<10 {
			t.Errorf("%s: %d KB for a refusal", a.name, kb)
		}
		t.Logf("%-40s %8d %-26.70s %10d %10d", a.name, len(a.query), shown, used.Microseconds(), kb)
	}
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// The introspection query of GraphiQL and other tools is within the limits.
func TestIntrospectionIsAllowed(t *testing.T) {
	sys := newSystem(t)
	op, refused := sys.Prepare(&prepare.Request{Query: introspection.Query})
	if refused != nil {
		t.Fatal(refused.Errors)
	}
	resp := sys.Execute(t.Context(), op)()
	if len(resp.Errors) > 0 || !strings.Contains(string(resp.Data), `"ListingConnection"`) {
		t.Errorf("introspection: %v %.200s", resp.Errors, resp.Data)
	}
	t.Logf("cost %+v", op.Cost)
}
