package graph

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/introspection"
)

// attacks are queries that have brought servers down, each with the code of
// its refusal, or "" where it is cheap enough to run.
var attacks = []struct {
	name, query, code string
}{
	{"depth", "{listings{" + strings.Repeat("user{listings{", 40) + "id" + strings.Repeat("}", 82), codeTooComplex},
	{"depth, 60 KB", strings.Repeat("{a", 30_000), codeTooComplex},
	{"nested lists", "{listings(pageNum:" + strings.Repeat("[", 30_000) + "){id}}", codeTooComplex},
	{"nested objects", "{listings(pageNum:" + strings.Repeat("{a:", 20_000) + "){id}}", codeTooComplex},
	{"nested variable type", "query($a:" + strings.Repeat("[", 30_000) + "){__typename}", codeTooComplex},
	{"width", "{listings{" + strings.Repeat("id price ", 600) + "}}", codeTooComplex},
	{"repeated __typename", "{" + strings.Repeat("__typename ", 3_900) + "}", codeTooComplex},
	{"repeated __typename under the limit", "{listings{" + strings.Repeat("__typename ", 199) + "}}", ""},
	{"repeated arguments", "{" + strings.Repeat("listings(pageNum:1){id} ", 300) + "}", codeTooComplex},
	{"aliases", "{" + numbered(300, "a%d:listings{id} ") + "}", codeTooComplex},
	{"root fields", "{" + numbered(40, "a%d:listings{id} ") + "}", codeTooComplex},
	{"fragment doubling", "{...F0} " + numbered(40, "fragment F%[1]d on Query{...F%[2]d ...F%[2]d} ") + "fragment F40 on Query{__typename}", codeTooComplex},
	{"field doubling", "{listings{...F0}} " + numbered(20, "fragment F%[1]d on Listing{user{listings{...F%[2]d}} user{listings{...F%[2]d}}} ") + "fragment F20 on Listing{id}", codeTooComplex},
	{"fragment cycle", "{...A} fragment A on Query{...B} fragment B on Query{...A}", codeValidation},
	{"fragments spread crosswise", "{...F0} " + numbered(60, "fragment F%[1]d on Query{...F%[2]d ...F%[2]d listings{id}} ") + "fragment F60 on Query{__typename}", codeTooComplex},
	{"directives", "{listings{id " + strings.Repeat("@include(if:true) ", 500) + "}}", codeTooComplex},
	{"operations", numbered(500, "query Q%d{__typename} "), codeTooComplex},
	{"variables", "query(" + numbered(1300, "$v%d:Int ") + "){__typename}", codeTooComplex},
	{"page sizes", "{users(pageSize:100){listings(first:100){user{listings(first:100){id}}}}}", codeTooComplex},
	{"page sizes by variable", "query($n:Int!=100){users(pageSize:$n){listings(first:$n){user{listings(first:$n){id}}}}}", codeTooComplex},
	{"connections", "{listingsConnection(first:100){edges{node{user{listingsConnection(last:100){nodes{user{listings(first:100){id}}}}}}}}}", codeTooComplex},
	{"introspection cycle", "{__schema{types{" + strings.Repeat("fields{type{", 20) + "name" + strings.Repeat("}", 43), codeValidation},
	{"introspection width", "{" + numbered(9, "a%d:__schema{types{fields{args{type{ofType{ofType{name}}}}}}} ") + "}", codeTooComplex},
	{"input list", "{listingsConnection(filter:{userId:[" + strings.Repeat("1,", 2_000) + "]}){nodes{id}}}", codeTooComplex},
	{"huge integer", "{listings(pageNum:" + strings.Repeat("9", 400) + "){id}}", "BAD_INPUT"},
	{"huge float", "{listings(pageNum:1e" + strings.Repeat("9", 400) + "){id}}", "BAD_INPUT"},
	{"unknown fields", "{" + numbered(900, "x%d ") + "}", codeValidation},
	{"block string", `{user(id:"""` + strings.Repeat("\n ", 20_000) + `"""){id}}`, ""},
	{"comments", strings.Repeat("# comment\n", 3_000) + "{__typename}", ""},
	{"unterminated string", `{user(id:"` + strings.Repeat("a", 50_000), codeParse},
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
	e := newExecutor(newAPI(t, newServices(t)), slog.New(slog.DiscardHandler))
	t.Logf("%-40s %8s %-26s %10s %10s", "attack", "bytes", "refusal", "CPU µs", "alloc KB")
	for _, a := range attacks {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		start := cpuTime()
		op, errs := e.CreateOperationContext(context.Background(), &graphql.RawParams{Query: a.query, Headers: http.Header{}})
		used := cpuTime() - start
		runtime.ReadMemStats(&after)
		code := ""
		if len(errs) > 0 {
			code, _ = errs[0].Extensions["code"].(string)
		}
		if code != a.code {
			t.Errorf("%s: code %q, want %q: %v", a.name, code, a.code, errs)
		}
		if len(errs) > maxErrors {
			t.Errorf("%s: %d errors", a.name, len(errs))
		}
		shown := code
		if len(errs) > 0 && errs[0].Extensions["limit"] != nil {
			shown = errs[0].Message
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
		_ = op
	}
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// What GraphiQL and other tools ask first must pass the limits.
func TestIntrospectionIsAllowed(t *testing.T) {
	e := newExecutor(newAPI(t, newServices(t)), slog.New(slog.DiscardHandler))
	op, errs := e.CreateOperationContext(context.Background(), &graphql.RawParams{Query: introspection.Query, Headers: http.Header{}})
	if errs != nil {
		t.Fatal(errs)
	}
	resp := e.query(graphql.WithOperationContext(e.api.WithLoaders(context.Background()), op), op)
	if len(resp.Errors) > 0 || !strings.Contains(string(resp.Data), `"ListingConnection"`) {
		t.Errorf("introspection: %v %.200s", resp.Errors, resp.Data)
	}
	t.Logf("cost %+v", op.Stats.GetExtension(preparedKey).(prepared).estimated)
}
