package transport

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/go-chi/chi/v5"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/veranda-go/veranda/graph/errcode"
	"github.com/veranda-go/veranda/graph/execute"
	"github.com/veranda-go/veranda/graph/prepare"
	"github.com/veranda-go/veranda/internal/httpapi"
	"github.com/veranda-go/veranda/internal/server"
)

// fakeExecutor is an executor for a schema of its own, whose fields behave as
// the tests of the transports need. Documents, limits and variables are real.
type fakeExecutor struct {
	changes atomic.Int64 // mutations that ran
	sources atomic.Int64 // subscriptions that have not ended
	sent    atomic.Int64 // events
}

const fakeSchema = `
type Query { now(n: Int): Int partial: Int nothing: Int stuck: Int panic: Int }
type Mutation { change: Int }
type Subscription { count(to: Int!): Int flood: String silence: Int refused: Int }
`

func (e *fakeExecutor) Execute(ctx context.Context, op *prepare.Operation) func() *graphql.Response {
	field := op.SelectionSet[0].(*ast.Field)
	one := func(data string, errs ...*gqlerror.Error) func() *graphql.Response {
		next := graphql.OneShot(&graphql.Response{Data: json.RawMessage(data), Errors: errs})
		return func() *graphql.Response { return next(ctx) }
	}
	// each has n responses, no end of them if n is negative.
	each := func(n int64, data string) func() *graphql.Response {
		e.sources.Add(1)
		context.AfterFunc(ctx, func() { e.sources.Add(-1) })
		return func() *graphql.Response {
			if ctx.Err() != nil || n == 0 {
				return nil
			}
			n--
			e.sent.Add(1)
			return &graphql.Response{Data: json.RawMessage(data)}
		}
	}
	until := func(next func() *graphql.Response) func() *graphql.Response {
		return func() *graphql.Response {
			<-ctx.Done()
			return next()
		}
	}
	switch field.Name {
	case "now":
		return one(`{"now":1}`)
	case "partial":
		return one(`{"partial":null}`, gqlerror.Errorf("half"))
	case "nothing":
		return one(`null`, gqlerror.Errorf("none"))
	case "stuck":
		return until(one(`{"stuck":null}`, gqlerror.Errorf("late")))
	case "panic":
		return func() *graphql.Response { panic("as told") }
	case "change":
		e.changes.Add(1)
		return one(`{"change":1}`)
	case "count":
		to, _ := op.Variables["n"].(json.Number)
		n, _ := to.Int64()
		return each(n, `{"count":1}`)
	case "flood":
		return each(-1, `{"flood":"`+strings.Repeat("x", 64<<10)+`"}`)
	case "silence":
		return until(each(-1, ``))
	case "refused":
		next := graphql.OneShot(&graphql.Response{Errors: gqlerror.List{gqlerror.Errorf("not today")}})
		return func() *graphql.Response { return next(ctx) }
	}
	return one(`{"` + field.Alias + `":null}`)
}

// serveFake serves a handler over a fakeExecutor on a real server, and returns
// its URL.
func serveFake(t *testing.T, change func(*Handler)) (e *fakeExecutor, srv *server.Server, address string) {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	table := &execute.Table{Schema: gqlparser.MustLoadSchema(&ast.Source{Input: fakeSchema})}
	e = &fakeExecutor{}
	h := New(prepare.New(prepare.Config{Table: table, MaxPageSize: 100}), e, log)
	if change != nil {
		change(h)
	}
	srv, err := server.New("public-api", "127.0.0.1:0", log)
	if err != nil {
		t.Fatal(err)
	}
	r := chi.NewRouter()
	r.Handle("/graphql", h)
	srv.Start(r, func(context.Context) error { return nil })
	t.Cleanup(func() {
		if err := srv.Stop(); err != nil {
			t.Error(err)
		}
	})
	return e, srv, srv.URL() + "/graphql"
}

// try sends a request, given as method, URL, body and headers.
func try(t *testing.T, method, address, body string, headers ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if method == "POST" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
		if headers[i+1] == "" {
			req.Header.Del(headers[i])
		}
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(text)
}

// eventually waits until f returns true.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !f(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within 20 s", what)
		}
	}
}

func get(address string, pairs ...string) string {
	values := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		values.Add(pairs[i], pairs[i+1])
	}
	return address + "?" + values.Encode()
}

func TestHTTP(t *testing.T) {
	t.Parallel()
	p, _, address := serveFake(t, nil)
	const graph = mediaGraphQL
	nowQuery := `{"query":"{now}"}`
	for _, test := range []struct {
		name, method, url, body string
		headers                 []string
		status                  int
		want                    string // the body, or a part of it
	}{
		{"query", "POST", address, nowQuery, nil, 200, `{"data":{"now":1}}`},
		{"query by GET", "GET", get(address, "query", "{now}"), "", nil, 200, `{"data":{"now":1}}`},
		{"partial", "POST", address, `{"query":"{partial}"}`, []string{"Accept", graph}, 200, `{"errors":[{"message":"half"}],"data":{"partial":null}}`},
		{"nothing", "POST", address, `{"query":"{nothing}"}`, []string{"Accept", graph}, 200, `{"errors":[{"message":"none"}],"data":null}`},
		{"mutation", "POST", address, `{"query":"mutation {change}"}`, nil, 200, `{"data":{"change":1}}`},
		{"unknown members", "POST", address, `{"query":"{now}","id":7,"x":[]}`, nil, 200, `{"data":{"now":1}}`},
		{"named operation", "POST", address, `{"query":"query A {now} query B {partial}","operationName":"A"}`, nil, 200, `{"data":{"now":1}}`},
		{"variables by GET", "GET", get(address, "query", "query($n:Int){now(n:$n)}", "variables", `{"n":1}`), "", nil, 200, `{"data":{"now":1}}`},

		{"syntax", "POST", address, `{"query":"{"}`, nil, 200, errcode.ParseFailed},
		{"syntax, new media type", "POST", address, `{"query":"{"}`, []string{"Accept", graph}, 400, errcode.ParseFailed},
		{"unknown field", "POST", address, `{"query":"{x}"}`, []string{"Accept", graph}, 400, errcode.ValidationFailed},
		{"wrong variable", "POST", address, `{"query":"query($n:Int){now(n:$n)}","variables":{"n":"1"}}`, []string{"Accept", graph}, 400, "BAD_INPUT"},
		{"whole number with a fraction", "POST", address, `{"query":"query($n:Int){now(n:$n)}","variables":{"n":1.0}}`, []string{"Accept", graph}, 200, `{"data":{"now":1}}`},
		{"number that is not whole", "POST", address, `{"query":"query($n:Int){now(n:$n)}","variables":{"n":1.0001}}`, []string{"Accept", graph}, 400, "BAD_INPUT"},
		{"null variables by GET", "GET", get(address, "query", "{now}", "variables", "null", "extensions", ""), "", nil, 200, `{"data":{"now":1}}`},

		{"mutation by GET", "GET", get(address, "query", "mutation {change}"), "", nil, 405, errcode.MethodNotAllowed},
		{"mutation by HEAD", "HEAD", get(address, "query", "mutation {change}"), "", nil, 405, ""},
		{"mutation by GET for events", "GET", get(address, "query", "mutation {change}"), "", []string{"Accept", mediaEvents}, 405, errcode.MethodNotAllowed},
		{"mutation named by GET", "GET", get(address, "query", "query A {now} mutation B {change}", "operationName", "B"), "", nil, 405, errcode.MethodNotAllowed},
		{"PUT", "PUT", address, nowQuery, []string{"Content-Type", "application/json"}, 405, errcode.MethodNotAllowed},
		{"OPTIONS", "OPTIONS", address, "", nil, 405, errcode.MethodNotAllowed},
		{"subscription", "POST", address, `{"query":"subscription {silence}"}`, nil, 406, errcode.SubscriptionNeedsStream},
		{"subscription by GET", "GET", get(address, "query", "subscription {silence}"), "", nil, 406, errcode.SubscriptionNeedsStream},
		{"subscription by HEAD", "HEAD", get(address, "query", "subscription {silence}"), "", []string{"Accept", mediaEvents}, 406, ""},

		{"form", "POST", address, "query={now}", []string{"Content-Type", "application/x-www-form-urlencoded"}, 415, "BAD_MEDIA_TYPE"},
		{"text", "POST", address, nowQuery, []string{"Content-Type", "text/plain"}, 415, "BAD_MEDIA_TYPE"},
		{"multipart", "POST", address, nowQuery, []string{"Content-Type", "multipart/form-data; boundary=x"}, 415, "BAD_MEDIA_TYPE"},
		{"no type", "POST", address, nowQuery, []string{"Content-Type", ""}, 415, "BAD_MEDIA_TYPE"},
		{"other charset", "POST", address, nowQuery, []string{"Content-Type", "application/json; charset=utf-16"}, 415, "BAD_MEDIA_TYPE"},
		{"packed", "POST", address, nowQuery, []string{"Content-Encoding", "gzip"}, 415, "content encoding"},

		{"empty body", "POST", address, "", nil, 400, "body: malformed JSON"},
		{"no query", "POST", address, "{}", nil, 400, "query: required"},
		{"no query by GET", "GET", address, "", nil, 400, "query: required"},
		{"batch", "POST", address, "[" + nowQuery + "]", nil, 400, "batches are not supported"},
		{"text after", "POST", address, nowQuery + "{}", nil, 400, "more text after"},
		{"query twice", "POST", address, `{"query":"{now}","query":"{now}"}`, nil, 400, "query: given more than once"},
		{"variable twice", "POST", address, `{"query":"{now}","variables":{"a":1,"a":2}}`, nil, 400, "variables: a name is given more than once"},
		{"deep variables", "POST", address, `{"query":"{now}","variables":{"a":` + strings.Repeat("[", 1000) + strings.Repeat("]", 1000) + `}}`, nil, 400, "variables: must not be nested deeper"},
		{"lone surrogate", "POST", address, `{"query":"\ud800"}`, nil, 400, "query: malformed JSON"},
		{"bad UTF-8", "POST", address, "{\"query\":\"\xff\"}", nil, 400, "query: malformed JSON"},
		{"query of another type", "POST", address, `{"query":1}`, nil, 400, "query: must be a string"},
		{"operationName of another type", "POST", address, `{"query":"{now}","operationName":{}}`, nil, 400, "operationName: must be a string"},
		{"variables of another type", "POST", address, `{"query":"{now}","variables":[]}`, nil, 400, "variables: must be an object"},
		{"extensions of another type", "POST", address, `{"query":"{now}","extensions":"x"}`, nil, 400, "extensions: must be an object"},
		{"too large", "POST", address, `{"query":"` + strings.Repeat(" ", httpapi.MaxBody) + `"}`, nil, 413, "TOO_LARGE"},
		{"parameter twice", "GET", get(address, "query", "{now}", "query", "{now}"), "", nil, 400, "query: given more than once"},
		{"bad escape", "GET", address + "?query=%zz", "", nil, 400, "query string: malformed"},
		{"bad UTF-8 by GET", "GET", address + "?query=%ff", "", nil, 400, "query: must be valid UTF-8"},
		{"variables by GET, no JSON", "GET", get(address, "query", "{now}", "variables", "x"), "", nil, 400, "variables: malformed JSON"},
		{"variables by GET, a list", "GET", get(address, "query", "{now}", "variables", "[]"), "", nil, 400, "variables: must be a JSON object"},
		{"nothing that fits", "POST", address, nowQuery, []string{"Accept", "text/html"}, 406, errcode.NotAcceptable},
	} {
		resp, body := try(t, test.method, test.url, test.body, test.headers...)
		if resp.StatusCode != test.status || !strings.Contains(body, test.want) || test.want == "" && body != "" {
			t.Errorf("%s: %d %s, want %d %s", test.name, resp.StatusCode, body, test.status, test.want)
		}
		if test.method != "HEAD" && (!json.Valid([]byte(body)) || resp.ContentLength != int64(len(body))) {
			t.Errorf("%s: not JSON, or of length %d: %s", test.name, resp.ContentLength, body)
		}
		if test.status >= 400 && strings.Contains(body, `"data"`) {
			t.Errorf("%s: data in a refusal: %s", test.name, body)
		}
		if (resp.StatusCode == 405) != (resp.Header.Get("Allow") != "") {
			t.Errorf("%s: Allow %q", test.name, resp.Header.Get("Allow"))
		}
		if cache := resp.Header.Get("Cache-Control"); (cache == "no-cache") != (resp.Header.Get("ETag") != "") || cache == "" {
			t.Errorf("%s: Cache-Control %q", test.name, cache)
		}
		if len(test.body) < 100 && strings.Contains(test.body, "zz") && strings.Contains(body, "zz") {
			t.Errorf("%s: shows the request: %s", test.name, body)
		}
		if vary := strings.Join(resp.Header.Values("Vary"), ","); !strings.Contains(vary, "Accept") {
			t.Errorf("%s: Vary %q", test.name, vary)
		}
	}
	if n := p.changes.Load(); n != 1 {
		t.Errorf("%d mutations ran, want 1", n)
	}
}

// TestKnownBodies: who sends what was sent before is answered as the first one
// was, unless something else than the body says otherwise.
func TestKnownBodies(t *testing.T) {
	t.Parallel()
	var handler *Handler
	p, _, address := serveFake(t, func(h *Handler) { handler = h })
	const query, mutation, bad = `{"query":"{now}"}`, `{"query":"mutation{change}"}`, `{"query":"{nowhere}"}`
	var first [3]string
	for round := range 3 {
		_, now := try(t, "POST", address, query)
		_, change := try(t, "POST", address, mutation)
		_, refused := try(t, "POST", address, bad)
		got := [3]string{now, change, refused}
		if round == 0 {
			first = got
		} else if got != first {
			t.Errorf("round %d: %q, at first %q", round, got, first)
		}
		if n := p.changes.Load(); n != int64(round+1) {
			t.Errorf("%d mutations were %d changes", round+1, n)
		}
		if n := handler.known.EstimatedSize(); n != 1 {
			t.Errorf("%d bodies are known, want that of the query alone", n)
		}
		if resp, body := try(t, "POST", address, query, "Accept", mediaEvents); !strings.Contains(body, "event: next") {
			t.Errorf("as events: %s %s", resp.Status, body)
		}
		if resp, body := try(t, "POST", address, query, "Content-Type", "text/plain"); resp.StatusCode != 415 {
			t.Errorf("as plain text: %s %s", resp.Status, body)
		}
		if resp, body := try(t, "GET", address+"?"+url.PathEscape(query), ""); resp.StatusCode != 400 {
			t.Errorf("as a query string: %s %s", resp.Status, body)
		}
		if resp, body := try(t, "GET", address+"?"+query, ""); strings.Contains(body, "now\":1") {
			t.Errorf("as a raw query string: %s %s", resp.Status, body)
		}
	}
}

func TestNegotiate(t *testing.T) {
	for accept, want := range map[string]string{
		"":                                   mediaJSON,
		"*/*":                                mediaJSON,
		"application/*":                      mediaJSON,
		"application/json; charset=utf-8":    mediaJSON,
		"APPLICATION/JSON":                   mediaJSON,
		mediaGraphQL:                         mediaGraphQL,
		mediaGraphQL + "," + mediaJSON:       mediaGraphQL,
		mediaJSON + "," + mediaGraphQL:       mediaGraphQL,
		mediaJSON + ", */*":                  mediaJSON,
		mediaGraphQL + ";q=0.1," + mediaJSON: mediaJSON,
		mediaGraphQL + "," + mediaJSON + ";q=0.9": mediaGraphQL,
		mediaGraphQL + ";q=0, */*":                mediaJSON,
		mediaJSON + ";q=0, */*":                   mediaGraphQL,
		mediaJSON + ";q=0":                        "",
		"application/json; charset=latin1":        "",
		"text/html, image/*":                      "",
		"text/html, */*;q=0.1":                    mediaJSON,
		"junk":                                    "",
		mediaEvents:                               "events",
		"text/*":                                  "events",
		mediaEvents + "," + mediaJSON:             mediaJSON + "events",
		mediaGraphQL + "," + mediaEvents:          mediaGraphQL + "events",
		mediaEvents + ";q=0, */*":                 mediaJSON,
	} {
		media, events := negotiate([]string{accept})
		if events {
			media += "events"
		}
		if media != want {
			t.Errorf("%q: %q, want %q", accept, media, want)
		}
	}
}

func TestConditionalGet(t *testing.T) {
	t.Parallel()
	_, _, address := serveFake(t, nil)
	now := get(address, "query", "{now}")
	resp, _ := try(t, "GET", now, "")
	tag := resp.Header.Get("ETag")
	for _, method := range []string{"GET", "HEAD"} {
		if resp, body := try(t, method, now, "", "If-None-Match", `"x", W/`+tag); resp.StatusCode != 304 || body != "" {
			t.Errorf("%s: %d %s", method, resp.StatusCode, body)
		}
		if resp, _ := try(t, method, now, "", "If-None-Match", tag, "Accept", mediaGraphQL); resp.StatusCode != 200 {
			t.Errorf("%s of another media type: %d", method, resp.StatusCode)
		}
	}
	for _, q := range []string{"{partial}", "{x}", "{nothing}"} {
		resp, _ := try(t, "GET", get(address, "query", q), "", "If-None-Match", "*")
		if resp.StatusCode == 304 || resp.Header.Get("ETag") != "" || resp.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %v", q, resp.StatusCode, resp.Header)
		}
	}
	if resp, _ := try(t, "POST", address, `{"query":"{now}"}`, "If-None-Match", "*"); resp.StatusCode != 200 {
		t.Errorf("POST: %d", resp.StatusCode)
	}
}

func TestAppendResponse(t *testing.T) {
	for _, test := range []struct {
		resp graphql.Response
		want string
	}{
		{graphql.Response{}, `{"data":null}`},
		{graphql.Response{Data: json.RawMessage(`{"a":1}`)}, `{"data":{"a":1}}`},
		{graphql.Response{Errors: gqlerror.List{gqlerror.Errorf("x")}}, `{"errors":[{"message":"x"}]}`},
		{graphql.Response{Data: json.RawMessage(`null`), Extensions: map[string]any{"cost": 1}}, `{"data":null,"extensions":{"cost":1}}`},
	} {
		if got := appendResponse([]byte("before"), &test.resp); !bytes.Equal(got, []byte("before"+test.want)) {
			t.Errorf("%s, want %s", got, test.want)
		}
	}
}
