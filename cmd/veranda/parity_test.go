package main

import (
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// The same request to both APIs, REST and GraphQL: the same data, the
// same limits, the same refusals.

// Fields of GraphQL under the names of REST.
const (
	userFields    = "id name created_at: createdAt updated_at: updatedAt"
	listingFields = "id listing_type: listingType price created_at: createdAt updated_at: updatedAt user { " + userFields + " }"
)

// number is a JSON number as it is spelled: 64 bits do not fit in a float64.
type number string

// rows reads the list in an answer of either API, with the differences that
// are meant undone: GraphQL's ids are strings and its enum is in capitals.
func rows(t *testing.T, r reply, of string) []any {
	t.Helper()
	var answer map[string]any
	if err := json.Unmarshal([]byte(r.body), &answer, json.WithUnmarshalers(json.UnmarshalFromFunc(func(d *jsontext.Decoder, v *any) error {
		if d.PeekKind() != '0' {
			return json.SkipFunc
		}
		text, err := d.ReadValue()
		*v = number(text)
		return err
	}))); err != nil {
		t.Fatalf("%v in %.300s", err, r.body)
	}
	if inner, ok := answer["data"].(map[string]any); ok {
		answer = inner
	}
	list, ok := answer[of].([]any)
	if r.status != http.StatusOK || !ok {
		t.Fatalf("got %d %.300s", r.status, r.body)
	}
	for _, row := range list {
		row := row.(map[string]any)
		if kind, ok := row["listing_type"].(string); ok {
			row["listing_type"] = strings.ToLower(kind)
		}
		idAsText(row)
		if user, ok := row["user"].(map[string]any); ok {
			idAsText(user)
		}
	}
	return list
}

func idAsText(row map[string]any) {
	if id, ok := row["id"].(number); ok {
		row["id"] = string(id)
	}
}

func TestSameData(t *testing.T) {
	s := startProxied(t)
	for i := range 5 {
		s.addUser(t, fmt.Sprint("user ", i))
	}
	for i := range 23 {
		s.addListing(t, fmt.Sprint(i%3+1), []string{"rent", "sale"}[i%2], []int64{1, 6000, 45_000_000_000, 1<<63 - 1}[i%4])
	}
	for _, test := range []struct{ rest, graph string }{
		{"", ""},
		{"?page_num=1&page_size=10", "(pageNum: 1, pageSize: 10)"},
		{"?page_num=2", "(pageNum: 2)"},
		{"?page_num=3&page_size=10", "(pageNum: 3, pageSize: 10)"},
		{"?page_num=4&page_size=10", "(pageNum: 4, pageSize: 10)"},
		{"?page_size=1", "(pageSize: 1)"},
		{"?page_size=100", "(pageSize: 100)"},
		{"?page_size=7&page_num=4", "(pageSize: 7, pageNum: 4)"},
		{"?user_id=2", "(userId: 2)"},
		{"?user_id=2", `(userId: "2")`},
		{"?user_id=2&page_size=3&page_num=3", "(userId: 2, pageSize: 3, pageNum: 3)"},
		{"?user_id=5", "(userId: 5)"},
		{"?user_id=999", "(userId: 999)"},
		{"?user_id=9223372036854775807", `(userId: "9223372036854775807")`},
		{"?page_num=2147483647&page_size=100", "(pageNum: 2147483647, pageSize: 100)"},
		{"?page_num=9223372036854775807&page_size=100", "(pageNum: 2147483647, pageSize: 100)"}, // as far as an Int goes
	} {
		rest := rows(t, get(t, s.url+"/public-api/listings"+test.rest), "listings")
		graph := rows(t, s.graphQL(t, "{ listings"+test.graph+" { "+listingFields+" } }", ""), "listings")
		if !reflect.DeepEqual(rest, graph) {
			t.Errorf("%s:\n   REST %v\nGraphQL %v", test.rest, rest, graph)
		}
	}
	// REST has no public list of users; GraphQL's is the user service's.
	for _, test := range []struct{ rest, graph string }{
		{"", ""},
		{"?page_size=2&page_num=2", "(pageSize: 2, pageNum: 2)"},
		{"?page_num=9223372036854775807&page_size=100", "(pageNum: 2147483647, pageSize: 100)"},
	} {
		rest := rows(t, get(t, s.userService.url+"/users"+test.rest), "users")
		graph := rows(t, s.graphQL(t, "{ users"+test.graph+" { "+userFields+" } }", ""), "users")
		if !reflect.DeepEqual(rest, graph) {
			t.Errorf("%s:\n   REST %v\nGraphQL %v", test.rest, rest, graph)
		}
	}
	// One by one, and what is not there.
	for query, want := range map[string]string{
		"{ user(id: 2) { id name } }":         `{"data":{"user":{"id":"2","name":"user 1"}}}`,
		"{ user(id: 99) { id name } }":        `{"data":{"user":null}}`,
		"{ listing(id: 2) { id price } }":     `{"data":{"listing":{"id":"2","price":6000}}}`,
		"{ listing(id: 99) { id price } }":    `{"data":{"listing":null}}`,
		"{ user(id: 5) { listings { id } } }": `{"data":{"user":{"listings":[]}}}`,
	} {
		if r := s.graphQL(t, query, ""); r.body != want {
			t.Errorf("%s: got %s", query, r.body)
		}
	}
}

// Names that some encoding on the way might change.
var oddNames = []string{
	"Suresh Subramaniam", "a&user_id=2", "a=b%26c", "50% + tax", "名前", `"quoted" 'name'`, `back\slash \n \u0041`, "a+b c%20d",
	"line\nbreak\tand tab", "U+2028 \u2028 and U+2029 \u2029", "👩‍👩‍👧 🏳️‍🌈 😀", "e\u0301 and é", " spaces kept ", "<script>&amp;</script>",
	"עברית \u202eعربى", "\ufeffBOM", "\ufffd", "null", "{}", "; DROP TABLE users; --", "$1 ? :x @y", "\x7f\u0085", "%00", "a;b,c|d/e?f#g",
	strings.Repeat("😀", 200),
}

func TestTextPassesThrough(t *testing.T) {
	p := start(t, "--data-dir", t.TempDir())
	_, userService := p.backends(t)
	const mutation = "mutation($in: CreateUserInput!) { createUser(input: $in) { user { id name } } }"
	ways := map[string]func(name string) reply{
		"REST":                func(name string) reply { return postJSON(t, p.url+"/public-api/users", `{"name":`+quote(name)+`}`) },
		"GraphQL by variable": func(name string) reply { return p.graphQL(t, mutation, `{"in":{"name":`+quote(name)+`}}`) },
		"GraphQL by literal": func(name string) reply {
			return p.graphQL(t, `mutation { createUser(input: {name: `+graphLiteral(name)+`}) { user { id name } } }`, "")
		},
		"the user service":     func(name string) reply { return postForm(t, userService+"/users", url.Values{"name": {name}}) },
		"REST, all in escapes": func(name string) reply { return postJSON(t, p.url+"/public-api/users", `{"name":`+escaped(name)+`}`) },
	}
	for way, create := range ways {
		for _, name := range oddNames {
			r := create(name)
			if got := nameIn(t, r); got != name {
				t.Errorf("%s: sent %q, answered %q", way, name, got)
				continue
			}
			id := idIn(t, r)
			for _, read := range []reply{get(t, userService+"/users/"+id), p.graphQL(t, "{ user(id: "+id+") { name } }", "")} {
				if got := nameIn(t, read); got != name {
					t.Errorf("%s: sent %q, read %q", way, name, got)
				}
			}
			p.addListing(t, id, "rent", 1)
			if got := nameIn(t, get(t, p.url+"/public-api/listings?user_id="+id)); got != name {
				t.Errorf("%s: sent %q, the listing's user is %q", way, name, got)
			}
		}
	}
}

// graphLiteral spells text as a GraphQL string. Its escapes are JSON's, but it
// has none for control characters other than \u.
func graphLiteral(s string) string { return strings.ReplaceAll(quote(s), "\x7f", `\u007f`) }

// escaped spells every UTF-16 unit as \u.
func escaped(s string) string {
	b := []byte{'"'}
	for _, r := range s {
		if r > 0xffff {
			r -= 0x10000
			b = fmt.Appendf(b, `\u%04x\u%04X`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		} else {
			b = fmt.Appendf(b, `\u%04x`, r)
		}
	}
	return string(append(b, '"'))
}

// member finds the first member of that name, at any depth.
func member(t *testing.T, r reply, name string) string {
	t.Helper()
	d := jsontext.NewDecoder(strings.NewReader(r.body))
	for {
		tok, err := d.ReadToken()
		if err != nil {
			t.Errorf("no %s in %d %.300s", name, r.status, r.body)
			return ""
		}
		if kind, length := d.StackIndex(d.StackDepth()); kind == '{' && length%2 == 1 && tok.Kind() == '"' && tok.String() == name {
			if tok, err = d.ReadToken(); err == nil {
				return tok.String()
			}
		}
	}
}

func nameIn(t *testing.T, r reply) string { t.Helper(); return member(t, r, "name") }
func idIn(t *testing.T, r reply) string   { t.Helper(); return member(t, r, "id") }

func camel(param string) string {
	words := strings.Split(param, "_")
	for i, w := range words[1:] {
		words[i+1] = strings.ToUpper(w[:1]) + w[1:]
	}
	return strings.Join(words, "")
}

// wantRefusal is for both APIs: input that is refused, by its name.
func wantRefusal(t *testing.T, what, param string, r reply) {
	t.Helper()
	var answer struct {
		Result *bool            `json:"result"`
		Errors []jsontext.Value `json:"errors"`
		Data   jsontext.Value   `json:"data"`
	}
	if err := json.Unmarshal([]byte(r.body), &answer); err != nil || len(answer.Errors) == 0 {
		t.Errorf("%s: got %d %.300s, want a refusal of %s", what, r.status, r.body, param)
		return
	}
	if answer.Result != nil {
		var message string
		_ = json.Unmarshal(answer.Errors[0], &message)
		if r.status != http.StatusBadRequest || *answer.Result || len(answer.Errors) != 1 || !strings.HasPrefix(message, param+": ") {
			t.Errorf("%s: got %d %.300s, want 400 and a message on %s", what, r.status, r.body, param)
		}
		return
	}
	var e graphError
	if err := json.Unmarshal(answer.Errors[0], &e); err != nil {
		t.Fatal(err)
	}
	param = camel(param)
	named := strings.HasPrefix(e.Message, param+": ") || strings.HasPrefix(e.Message, "$") && strings.Contains(e.Message, param+": ")
	switch e.code() {
	case "BAD_INPUT":
	case "GRAPHQL_VALIDATION_FAILED": // the language itself refuses it
		named = strings.Contains(e.Message, param)
	default:
		t.Errorf("%s: code %q in %.300s", what, e.code(), r.body)
	}
	if !named {
		t.Errorf("%s: %s is not named in %.300s", what, param, r.body)
	}
	if data := string(answer.Data); !slices.Contains([]string{"", "null", `{"user":null}`, `{"listing":null}`}, data) || r.status >= 500 {
		t.Errorf("%s: got %d %.300s", what, r.status, r.body)
	}
}

// Values that no number of ours may have, as JSON and as text.
var (
	badNumbers = []string{`0`, `-1`, `-9223372036854775808`, `1.5`, `1.0`, `1e3`, `9223372036854775808`, `99999999999999999999999`, `true`, `null`, `""`, `"x"`, `[]`, `[1]`, `{}`}
	badTexts   = []string{"0", "-1", "1.5", "1.0", "1e3", "9223372036854775808", "-9223372036854775809", "true", "null", "", "x", "+1", " 1", "1 ", "0x1", "1_0", "１", "1,0", "NaN", "-0", "\x00"}
	badNames   = []string{`""`, `" "`, `"\t\n\r"`, `"\u3000\u00a0\u2003"`, quote(strings.Repeat("é", 201)), quote(strings.Repeat("😀", 201)),
		`"a\u0000b"`, `"\u0000"`, `1`, `true`, `null`, `[]`, `["x"]`, `{}`, `"\ud800"`, `"\udc00x"`, `"a\ud83dz"`, `"\ude00\ud83d"`}
	badTypes = []string{`"swap"`, `""`, `"rent "`, `1`, `true`, `null`, `[]`, `{}`, `"rent\u0000"`, `"rent&price=1"`, `"rent%26"`, `"名前"`}
)

// isGraphQLInteger reports whether a number is an integer as a GraphQL variable,
// though no literal of one (GraphQL specification, 3.5.1).
func isGraphQLInteger(value string) bool { return value == "1.0" || value == "1e3" }

func TestSameRefusals(t *testing.T) {
	s := startProxied(t)
	s.addUser(t, "Ada")
	s.listings.Calls()
	s.users.Calls()

	// Query parameters.
	for _, param := range []string{"page_num", "page_size", "user_id"} {
		for _, text := range badTexts {
			wantRefusal(t, "REST "+param+"="+text, param, get(t, s.url+"/public-api/listings?"+param+"="+url.QueryEscape(text)))
			if param == "user_id" {
				wantRefusal(t, "GraphQL userId: "+text, param, s.graphQL(t, "query($v: ID) { listings(userId: $v) { id } }", `{"v":`+quote(text)+`}`))
				wantRefusal(t, "GraphQL userId: "+text, param, s.graphQL(t, "{ listings(userId: "+quote(text)+") { id } }", ""))
				wantRefusal(t, "GraphQL id: "+text, "id", s.graphQL(t, "{ user(id: "+quote(text)+") { id } }", ""))
				wantRefusal(t, "GraphQL id: "+text, "id", s.graphQL(t, "{ listing(id: "+quote(text)+") { id } }", ""))
			}
		}
		wantRefusal(t, "REST twice "+param, param, get(t, s.url+"/public-api/listings?"+param+"=1&"+param+"=1"))
		wantRefusal(t, "GraphQL twice "+param, param, s.graphQL(t, "{ listings("+camel(param)+": 1, "+camel(param)+": 1) { id } }", ""))
	}
	for _, param := range []string{"page_num", "page_size"} {
		for _, value := range badNumbers {
			wantRefusal(t, "GraphQL "+param+": "+value, param, s.graphQL(t, "{ listings("+camel(param)+": "+value+") { id } }", ""))
			wantRefusal(t, "GraphQL "+param+": "+value, param, s.graphQL(t, "{ users("+camel(param)+": "+value+") { id } }", ""))
			if isGraphQLInteger(value) {
				continue
			}
			// A variable may have any name; this one has the argument's.
			v := camel(param)
			wantRefusal(t, "GraphQL $"+param+": "+value, param, s.graphQL(t, fmt.Sprintf("query($%s: Int!) { listings(%[1]s: $%[1]s) { id } }", v), fmt.Sprintf("{%q:%s}", v, value)))
		}
	}
	for _, size := range []string{"101", "1000", "25000"} {
		wantRefusal(t, "REST", "page_size", get(t, s.url+"/public-api/listings?page_size="+size))
		wantRefusal(t, "GraphQL", "page_size", s.graphQL(t, "{ listings(pageSize: "+size+") { id } }", ""))
		wantRefusal(t, "GraphQL", "page_size", s.graphQL(t, "{ users(pageSize: "+size+") { id } }", ""))
	}

	// Bodies.
	listing := func(param, value string) (rest, graph string) {
		members := map[string]string{"user_id": `1`, "listing_type": `"rent"`, "price": `6000`}
		members[param] = value
		rest = fmt.Sprintf(`{"user_id":%s,"listing_type":%s,"price":%s}`, members["user_id"], members["listing_type"], members["price"])
		if param != "listing_type" {
			members["listing_type"] = `RENT`
		}
		graph = fmt.Sprintf(`{userId: %s, listingType: %s, price: %s}`, members["user_id"], members["listing_type"], members["price"])
		return rest, graph
	}
	refuseListing := func(param, value string, graphToo bool) {
		t.Helper()
		rest, graph := listing(param, value)
		what := " listing with " + param + " " + value
		wantRefusal(t, "REST"+what, param, postJSON(t, s.url+"/public-api/listings", rest))
		if !graphToo {
			return
		}
		wantRefusal(t, "GraphQL"+what, param, s.graphQL(t, "mutation { createListing(input: "+graph+") { listing { id } } }", ""))
		if isGraphQLInteger(value) {
			return
		}
		variable := strings.NewReplacer("userId:", `"userId":`, "listingType:", `"listingType":`, "price:", `"price":`, "RENT", `"RENT"`).Replace(graph)
		wantRefusal(t, "GraphQL variable"+what, param, s.graphQL(t, "mutation($in: CreateListingInput!) { createListing(input: $in) { listing { id } } }", `{"in":`+variable+`}`))
	}
	for _, value := range badNumbers {
		refuseListing("price", value, true)
		refuseListing("user_id", value, true)
	}
	refuseListing("price", `"6000"`, true)
	refuseListing("user_id", `"1"`, false) // GraphQL's ids are strings, and may be numbers
	refuseListing("user_id", `99`, true)   // no such user
	for _, value := range badTypes {
		refuseListing("listing_type", value, true)
	}
	refuseListing("listing_type", `"RENT"`, false) // each API has its own spelling

	for _, value := range badNames {
		wantName := "name"
		wantRefusal(t, "REST name "+value, wantName, postJSON(t, s.url+"/public-api/users", `{"name":`+value+`}`))
		r := s.graphQL(t, "mutation { createUser(input: {name: "+value+"}) { user { id } } }", "")
		v := s.graphQL(t, "mutation($in: CreateUserInput!) { createUser(input: $in) { user { id } } }", `{"in":{"name":`+value+`}}`)
		if strings.Contains(value, `\ud`) { // no JSON, and no GraphQL: neither API gets a name then
			for _, r := range []reply{r, v} {
				if got := codesOf(t, r); len(got) != 1 || !strings.HasSuffix(got[0], "BAD_INPUT") && !strings.HasSuffix(got[0], "PARSE_FAILED") {
					t.Errorf("GraphQL name %s: got %s", value, r.body)
				}
			}
			continue
		}
		wantRefusal(t, "GraphQL name "+value, wantName, r)
		wantRefusal(t, "GraphQL variable name "+value, wantName, v)
	}

	// Members that are not there, twice or unknown.
	for param, body := range map[string]string{
		"user_id":      `{"listing_type":"rent","price":1}`,
		"listing_type": `{"user_id":1,"price":1}`,
		"price":        `{"user_id":1,"listing_type":"rent"}`,
		"prize":        `{"user_id":1,"listing_type":"rent","price":1,"prize":1}`,
		"User_ID":      `{"user_id":1,"User_ID":1,"listing_type":"rent","price":1}`,
	} {
		wantRefusal(t, "REST "+body, param, postJSON(t, s.url+"/public-api/listings", body))
		if param == "User_ID" {
			continue
		}
		graph := strings.NewReplacer("user_id", "userId", "listing_type", "listingType", `"rent"`, `"RENT"`).Replace(body)
		r := s.graphQL(t, "mutation($in: CreateListingInput!) { createListing(input: $in) { listing { id } } }", `{"in":`+graph+`}`)
		if got := codesOf(t, r); !slices.Equal(got, []string{"[] BAD_INPUT"}) || !strings.Contains(r.body, camel(param)) {
			t.Errorf("GraphQL %s: got %s", graph, r.body)
		}
	}
	wantRefusal(t, "REST twice", "price", postJSON(t, s.url+"/public-api/listings", `{"user_id":1,"listing_type":"rent","price":1,"price":1}`))
	wantRefusal(t, "REST twice", "name", postJSON(t, s.url+"/public-api/users", `{"name":"a","name":"a"}`))

	// Nothing of all this was created.
	for _, route := range append(s.listings.Routes(), s.users.Routes()...) {
		if strings.HasPrefix(route, "POST") {
			t.Errorf("%s reached a backend", route)
		}
	}
	if r := get(t, s.url+"/public-api/listings"); r.body != `{"result":true,"listings":[]}` {
		t.Errorf("there are listings: %s", r.body)
	}
}

// Bodies that neither API accepts.
func TestBadBodies(t *testing.T) {
	s := startProxied(t)
	s.addUser(t, "Ada")
	pad := strings.Repeat(" ", 64<<10)
	deep := strings.Repeat(`[`, 20_000) + strings.Repeat(`]`, 20_000)
	const query = `"query":"{ listings { id } }"`
	for _, test := range []struct {
		what        string
		rest, graph string
		contentType string
		status      int
		message     string // of REST
	}{
		{"empty", "", "", "application/json", 400, "body: malformed JSON"},
		{"malformed", `{"name":"a"`, `{` + query, "application/json", 400, "body: malformed JSON"},
		{"text after", `{"name":"a"} x`, `{` + query + `} x`, "application/json", 400, "body: "},
		{"two objects", `{"name":"a"}{"name":"b"}`, `{` + query + `}{` + query + `}`, "application/json", 400, "body: "},
		{"a list", `[{"name":"a"}]`, `[{` + query + `}]`, "application/json", 400, "body: must be a JSON object"},
		{"a string", `"name"`, `"query"`, "application/json", 400, "body: must be a JSON object"},
		{"null", `null`, `null`, "application/json", 400, "body: must be a JSON object"},
		{"deep", `{"name":` + deep + `}`, `{` + query + `,"variables":{"v":` + deep + `}}`, "application/json", 400, "name: "},
		{"bad UTF-8", "{\"name\":\"a\xffb\"}", "{\"query\":\"{ users { id } } # \xff\"}", "application/json", 400, "name: must be valid"},
		{"cut UTF-8", "{\"name\":\"a\xf0\x9f\x98\"}", "{\"query\":\"{ users { id } } # \xf0\x9f\x98\"}", "application/json", 400, "name: must be valid"},
		{"NUL", "{\"name\":\"a\x00\"}", "{\"query\":\"{ users { id } } # \x00\"}", "application/json", 400, "name: must be valid"},
		{"a query twice", `{"name":"a","name":"b"}`, `{` + query + `,` + query + `}`, "application/json", 400, "name: given more than once"},
		{"too large", `{"name":"a"}` + pad, `{` + query + `}` + pad, "application/json", 413, "body: must be at most 65536 bytes"},
		{"a form", "name=a", "query={users{id}}", "application/x-www-form-urlencoded", 415, "content type: must be application/json"},
		{"plain text", `{"name":"a"}`, `{` + query + `}`, "text/plain", 415, "content type: must be application/json"},
		{"no type", `{"name":"a"}`, `{` + query + `}`, "", 415, "content type: must be application/json"},
		{"another charset", `{"name":"a"}`, `{` + query + `}`, "application/json; charset=latin1", 415, "content type: must be application/json"},
	} {
		r := do(t, "POST", s.url+"/public-api/users", test.rest, "Content-Type", test.contentType)
		if want := `{"result":false,"errors":["` + test.message; r.status != test.status || !strings.HasPrefix(r.body, want) {
			t.Errorf("%s: REST answers %d %.300s, want %d %s", test.what, r.status, r.body, test.status, want)
		}
		r = do(t, "POST", s.url+"/graphql", test.graph, "Content-Type", test.contentType)
		if r.status != test.status || !strings.HasPrefix(r.body, `{"errors":[{"message":"`) || strings.Contains(r.body, `"data":{`) || !strings.Contains(r.body, `"code":"`) {
			t.Errorf("%s: GraphQL answers %d %.300s, want %d", test.what, r.status, r.body, test.status)
		}
	}
	// Just what is allowed is allowed.
	fits := `{"name":"b"}`
	fits += strings.Repeat(" ", 64<<10-len(fits))
	for _, contentType := range []string{"application/json", "application/json; charset=utf-8", "Application/JSON;charset=UTF-8"} {
		if r := do(t, "POST", s.url+"/public-api/users", fits, "Content-Type", contentType); r.status != 200 {
			t.Errorf("%s: got %d %s", contentType, r.status, r.body)
		}
	}
}
