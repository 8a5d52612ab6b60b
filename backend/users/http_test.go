package users_test

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/veranda-go/veranda/backend/users"
	"github.com/veranda-go/veranda/backend/users/sqlite"
	"github.com/veranda-go/veranda/internal/apierror"
	"github.com/veranda-go/veranda/internal/backendclient"
	"github.com/veranda-go/veranda/internal/httpapi"
	"github.com/veranda-go/veranda/internal/pagination"
)

const maxPageSize = 100

// service is a running user service on a store of its own.
type service struct {
	*users.Client
	url   string
	store users.Store
}

func serve(t *testing.T) service {
	t.Helper()
	store, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "users.db"))
	if err != nil {
		t.Fatal(err)
	}
	r := httpapi.NewRouter()
	users.NewHandler(store, maxPageSize, slog.New(slog.DiscardHandler)).Routes(r)
	server := httptest.NewServer(r)
	transport := backendclient.NewTransport()
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		server.Close()
		store.Close()
	})
	c, err := backendclient.NewClient("user service", server.URL, time.Minute, transport)
	if err != nil {
		t.Fatal(err)
	}
	return service{users.NewClient(c), server.URL, store}
}

const form = "application/x-www-form-urlencoded"

// do sends a request as it is and returns the response with its body.
func (s service) do(t *testing.T, method, target, contentType, body string) (*http.Response, string) {
	t.Helper()
	header := http.Header{}
	if contentType != "" {
		header.Set("Content-Type", contentType)
	}
	return s.request(t, method, target, body, header)
}

// request is do with headers.
func (s service) request(t *testing.T, method, target, body string, header http.Header) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.url+target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = header
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

// wantErrors tests for a failure envelope that has, for each of params, one message
// that begins with its name.
func wantErrors(t *testing.T, resp *http.Response, body string, status int, params ...string) {
	t.Helper()
	what := resp.Request.Method + " " + resp.Request.URL.RequestURI()
	if resp.StatusCode != status {
		t.Errorf("%s: status %d, want %d", what, resp.StatusCode, status)
	}
	if got := resp.Header.Get("Content-Type"); got != "application/json" {
		t.Errorf("%s: content type %q", what, got)
	}
	var envelope struct {
		Result *bool
		Errors []string
	}
	d := json.NewDecoder(strings.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&envelope); err != nil || envelope.Result == nil || *envelope.Result || len(envelope.Errors) == 0 {
		t.Errorf("%s: body %s is no failure envelope: %v", what, body, err)
		return
	}
	for _, p := range params {
		if !slices.ContainsFunc(envelope.Errors, func(s string) bool { return strings.HasPrefix(s, p+": ") }) {
			t.Errorf("%s: no message names %s: %q", what, p, envelope.Errors)
		}
	}
	if len(params) > 0 && len(envelope.Errors) != len(params) {
		t.Errorf("%s: messages %q, want one for each of %q", what, envelope.Errors, params)
	}
}

func TestClient(t *testing.T) {
	t.Parallel()
	s, ctx := serve(t), t.Context()
	if err := s.Ping(ctx); err != nil {
		t.Errorf("ping: %v", err)
	}
	var made []users.User
	for _, name := range []string{
		"Suresh Subramaniam",
		"Suresh Subramaniam", // two people may share a name
		"a&user_id=2",
		"a=b%26c",
		"50% + tax",
		"名前",
		"🏡 \U0001F469\u200D\U0001F467",
		` "quoted" \ 'and' <b>more</b> `,
		"line\nbreak\x01\u2028",
		"';--",
		strings.Repeat("𠮷", users.MaxName), // four bytes each
	} {
		before := time.Now().UnixMicro()
		u, _, err := s.Create(ctx, users.Draft{Name: name}, "")
		if err != nil {
			t.Fatalf("create %q: %v", name, err)
		}
		want := users.User{ID: int64(len(made) + 1), Name: name, CreatedAt: u.CreatedAt, UpdatedAt: u.CreatedAt}
		if u != want || u.CreatedAt < before || u.CreatedAt > time.Now().UnixMicro() {
			t.Errorf("created %+v, want %+v between then and now", u, want)
		}
		if got, err := s.Get(ctx, u.ID); err != nil || got != u {
			t.Errorf("get: %+v, %v, want %+v", got, err, u)
		}
		made = append(made, u)
	}

	newest := slices.Clone(made)
	slices.Reverse(newest)
	for _, test := range []struct {
		page pagination.Page
		want []users.User
	}{
		{pagination.Page{Num: 1, Size: 100}, newest},
		{pagination.Page{Num: 1, Size: 4}, newest[:4]},
		{pagination.Page{Num: 2, Size: 4}, newest[4:8]},
		{pagination.Page{Num: 3, Size: 4}, newest[8:]},
		{pagination.Page{Num: 4, Size: 4}, nil},
		{pagination.Page{Num: math.MaxInt64, Size: 100}, nil},
	} {
		got, err := s.List(ctx, test.page)
		if err != nil || !slices.Equal(got, test.want) {
			t.Errorf("list %+v: %+v, %v, want %+v", test.page, got, err, test.want)
		}
	}

	got, err := s.Batch(ctx, []int64{2, 99, 1, 2})
	if want := []users.User{made[1], made[0]}; err != nil || !slices.Equal(got, want) {
		t.Errorf("batch: %+v, %v, want %+v", got, err, want)
	}
	many := make([]int64, users.MaxBatch)
	for i := range many {
		many[i] = math.MaxInt64 - int64(i) // the longest request line that there is
	}
	many[500] = 3
	got, err = s.Batch(ctx, many)
	if want := []users.User{made[2]}; err != nil || !slices.Equal(got, want) {
		t.Errorf("batch of %d users: %+v, %v, want %+v", len(many), got, err, want)
	}
}

func TestClientErrors(t *testing.T) {
	t.Parallel()
	s, ctx := serve(t), t.Context()
	_, get := s.Get(ctx, 5)
	_, list := s.List(ctx, pagination.Page{Num: 0, Size: 101})
	_, batch := s.Batch(ctx, nil)
	_, _, create := s.Create(ctx, users.Draft{Name: " "}, "")
	for _, test := range []struct {
		err    error
		kind   apierror.Kind
		params []string
	}{
		{get, apierror.NotFound, nil},
		{list, apierror.Invalid, []string{"page_num", "page_size"}},
		{batch, apierror.Invalid, []string{"id"}},
		{create, apierror.Invalid, []string{"name"}},
	} {
		f := apierror.From(test.err)
		if test.err == nil || f.Kind != test.kind {
			t.Errorf("error %v of kind %d, want kind %d", test.err, f.Kind, test.kind)
		}
		var params []string
		for _, p := range f.Fields {
			params = append(params, p.Field)
		}
		slices.Sort(params)
		if test.params != nil && !slices.Equal(params, test.params) {
			t.Errorf("field errors %q, want one for each of %q", f.Messages(), test.params)
		}
	}
}

// TestResponses tests the documented responses byte for byte.
func TestResponses(t *testing.T) {
	t.Parallel()
	s := serve(t)
	resp, body := s.do(t, "GET", "/users/ping", "", "")
	if resp.StatusCode != 200 || body != "pong!" || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/plain") {
		t.Errorf("ping: %d %q %q", resp.StatusCode, resp.Header.Get("Content-Type"), body)
	}
	wantBody := func(method, target, contentType, send, want string) {
		t.Helper()
		resp, body := s.do(t, method, target, contentType, send)
		if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "application/json" || body != want {
			t.Errorf("%s %s: %d %q\n got %s\nwant %s", method, target, resp.StatusCode, resp.Header.Get("Content-Type"), body, want)
		}
	}
	wantBody("GET", "/users", "", "", `{"result":true,"users":[]}`)

	// The escaped ampersand and equals sign are the name's own.
	resp, body = s.do(t, "POST", "/users", form, "name=a%26user_id%3D2")
	made, err := s.Get(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	one := fmt.Sprintf(`{"id":1,"name":"a&user_id=2","created_at":%d,"updated_at":%[1]d}`, made.CreatedAt)
	if want := `{"result":true,"user":` + one + `}`; resp.StatusCode != 200 || body != want {
		t.Errorf("create: %d\n got %s\nwant %s", resp.StatusCode, body, want)
	}
	wantBody("GET", "/users/1", "", "", `{"result":true,"user":`+one+`}`)
	for _, target := range []string{
		"/users", "/users?page_num=1&page_size=10", "/users?page_size=100",
		"/users/batch?id=1", "/users/batch?id=5&id=1&id=1&id=9223372036854775807",
	} {
		wantBody("GET", target, "", "", `{"result":true,"users":[`+one+`]}`)
	}
	for _, target := range []string{
		"/users?page_num=2", "/users/batch?id=2",
		// Pages whose first row has no 64-bit number, and some of which it would wrap to 0.
		"/users?page_num=9223372036854775807&page_size=100",
		"/users?page_num=9223372036854775807&page_size=1",
		"/users?page_num=4611686018427387905&page_size=4",
		"/users?page_num=2305843009213693953&page_size=8",
		"/users?page_num=92233720368547760&page_size=100",
		"/users?page_num=92233720368547759&page_size=100",
	} {
		wantBody("GET", target, "", "", `{"result":true,"users":[]}`)
	}

	for _, target := range []string{"/users", "/users/1", "/users/batch?id=1", "/users/ping"} {
		get, body := s.do(t, "GET", target, "", "")
		head, nothing := s.do(t, "HEAD", target, "", "")
		if head.StatusCode != 200 || nothing != "" || head.ContentLength != int64(len(body)) ||
			head.Header.Get("Content-Type") != get.Header.Get("Content-Type") {
			t.Errorf("HEAD %s: %d, length %d, %q", target, head.StatusCode, head.ContentLength, nothing)
		}
	}

	for escaped, name := range map[string]string{
		"50%25+%2B+tax":    "50% + tax",
		"a%3Db%2526c":      "a=b%26c",
		"a=b":              "a=b",
		"名前":               "名前",
		"%E5%90%8D":        "名",
		"%E3%80%80x":       "\u3000x", // white space is refused only where there is nothing else
		"x%0D%0A":          "x\r\n",
		"%22%5C%2F%3Cb%3E": `"\/<b>`,
	} {
		resp, body := s.do(t, "POST", "/users", form+"; charset=UTF-8", "name="+escaped)
		var response struct{ User users.User }
		if err := json.Unmarshal([]byte(body), &response); err != nil || resp.StatusCode != 200 || response.User.Name != name {
			t.Errorf("name=%s: %d %s, want the name %q", escaped, resp.StatusCode, body, name)
		}
	}
}

// notWhole are texts, escaped for a query string or a form, that are not a whole
// number from 1 to the largest of 64 bits.
var notWhole = []string{
	"", "0", "-0", "-1", "1.5", "1.0", "1e3", "1E3", "%2B5", "+5", "5+", "%205", "5%20", "5%0A", "5%00", "0x10", "1_000", "1,000",
	"abc", "NaN", "Infinity", "null", "true", "--5", "-", "%D9%A5", "%EF%BC%95", "%FF", "[5]", "'5'", "%225%22",
	"9223372036854775808", "18446744073709551617", "99999999999999999999999999", "-9223372036854775808", "-9223372036854775809",
}

func TestRefusedQueries(t *testing.T) {
	t.Parallel()
	s := serve(t)
	if _, _, err := s.Create(t.Context(), users.Draft{Name: "A"}, ""); err != nil {
		t.Fatal(err)
	}
	type request struct {
		target string
		params []string
	}
	requests := []request{
		{"/users?page_size=101", []string{"page_size"}},
		{"/users?page_size=9223372036854775807", []string{"page_size"}},
		{"/users?page_num=0&page_size=0", []string{"page_num", "page_size"}},
		{"/users?page_num=x&page_size=101", []string{"page_num", "page_size"}},
		{"/users?page_num=1&page_num=1", []string{"page_num"}},
		{"/users?page_num=1&page_num=2", []string{"page_num"}},
		{"/users?page_size=10&page_size=", []string{"page_size"}},
		{"/users?page_num", []string{"page_num"}},
		{"/users?page_num=%zz", nil},
		{"/users?page_num=1%", nil},
		{"/users?%zz=1", nil},
		{"/users?page_num=1;page_size=10", nil},
		{"/users/batch", []string{"id"}},
		{"/users/batch?id=1&id=%zz", nil},
		{"/users/batch?id=1" + strings.Repeat("&id=1", users.MaxBatch), []string{"id"}},
	}
	for _, bad := range notWhole {
		requests = append(
			requests,
			request{"/users?page_num=" + bad, []string{"page_num"}},
			request{"/users?page_size=" + bad, []string{"page_size"}},
			request{"/users/batch?id=1&id=" + bad, []string{"id"}},
		)
		if bad != "" { // without an id it is another route
			requests = append(requests, request{"/users/" + bad, []string{"id"}})
		}
	}
	for _, q := range requests {
		resp, body := s.do(t, "GET", q.target, "", "")
		wantErrors(t, resp, body, http.StatusBadRequest, q.params...)
	}
	for _, target := range []string{"/users/2", "/users/9223372036854775807"} {
		resp, body := s.do(t, "GET", target, "", "")
		wantErrors(t, resp, body, http.StatusNotFound, "id")
	}
}

func TestRefusedForms(t *testing.T) {
	t.Parallel()
	s := serve(t)
	for _, q := range []struct {
		body   string
		params []string
	}{
		{"", []string{"name"}},
		{"Name=A", []string{"name"}},
		{"name", []string{"name"}},
		{"name=", []string{"name"}},
		{"name=+", []string{"name"}},
		{"name=%20%09%0A%0B%0C%0D", []string{"name"}},
		{"name=%C2%A0", []string{"name"}},                       // no-break space
		{"name=%E3%80%80", []string{"name"}},                    // ideographic space
		{"name=%E2%80%83+%E2%80%A8%C2%85", []string{"name"}},    // em space, line separator, next line
		{"name=" + strings.Repeat("a", 201), []string{"name"}},  // characters are counted,
		{"name=" + strings.Repeat("𠮷", 201), []string{"name"}},  // not bytes
		{"name=" + strings.Repeat("+", 1000), []string{"name"}}, // long and empty: one message
		{"name=%00", []string{"name"}},
		{"name=a%00b", []string{"name"}},
		{"name=%FF", []string{"name"}},
		{"name=a%C3", []string{"name"}},
		{"name=%C0%80", []string{"name"}},       // NUL, too long
		{"name=%ED%A0%80", []string{"name"}},    // half a surrogate pair
		{"name=%F4%90%80%80", []string{"name"}}, // beyond the last character
		{"name=A&name=A", []string{"name"}},
		{"name=A&name=B", []string{"name"}},
		{"name=A&name=", []string{"name"}},
		{`{"name":"A"}`, []string{"name"}},
		{"name=%zz", nil},
		{"name=50%", nil},
		{"name=a;b", nil},
	} {
		resp, body := s.do(t, "POST", "/users", form, q.body)
		wantErrors(t, resp, body, http.StatusBadRequest, q.params...)
		if t.Failed() {
			t.Fatalf("the form was %q", q.body)
		}
	}

	for _, contentType := range []string{
		"", "text/plain", "application/json", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded; charset=latin1",
		"application/x-www-form-urlencoded-not", "x", ";", form + ", text/plain",
	} {
		for _, send := range []string{"name=A", `{"name":"A"}`} {
			resp, body := s.do(t, "POST", "/users", contentType, send)
			wantErrors(t, resp, body, http.StatusUnsupportedMediaType, "content type")
		}
	}

	// Parameters in the query string are no form.
	resp, body := s.do(t, "POST", "/users?name=A", form, "")
	wantErrors(t, resp, body, http.StatusBadRequest, "name")

	if rows, err := s.store.List(t.Context(), users.Query{Limit: 10}); err != nil || len(rows) != 0 {
		t.Errorf("refused forms have left %+v, %v", rows, err)
	}
}

func TestBodySize(t *testing.T) {
	t.Parallel()
	s := serve(t)
	const limit = 64 << 10
	const start = "name=A&more="
	fit := start + strings.Repeat("x", limit-len(start))
	if resp, body := s.do(t, "POST", "/users", form, fit); resp.StatusCode != 200 {
		t.Errorf("%d bytes: %d %s", len(fit), resp.StatusCode, body)
	}
	resp, body := s.do(t, "POST", "/users", form, fit+"x")
	wantErrors(t, resp, body, http.StatusRequestEntityTooLarge, "body")

	// Of a body without an announced length too.
	req, err := http.NewRequestWithContext(t.Context(), "POST", s.url+"/users", io.MultiReader(strings.NewReader(fit), strings.NewReader("x")))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", form)
	resp, err = http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	wantErrors(t, resp, string(text), http.StatusRequestEntityTooLarge, "body")
}

func TestRoutes(t *testing.T) {
	t.Parallel()
	s := serve(t)
	for _, test := range []struct {
		method, target string
		status         int
		allow          string
	}{
		{"GET", "/", 404, ""},
		{"GET", "/nothing", 404, ""},
		{"GET", "/listings", 404, ""},
		{"GET", "/users/", 404, ""},
		{"GET", "/users/1/2", 404, ""},
		{"POST", "/nothing", 404, ""},
		{"HEAD", "/nothing", 404, ""},
		{"PUT", "/users", 405, "GET, HEAD, POST"},
		{"DELETE", "/users", 405, "GET, HEAD, POST"},
		{"PATCH", "/users", 405, "GET, HEAD, POST"},
		{"POST", "/users/1", 405, "GET, HEAD"},
		{"DELETE", "/users/1", 405, "GET, HEAD"},
		{"POST", "/users/ping", 405, "GET, HEAD"},
		{"POST", "/users/batch?id=1", 405, "GET, HEAD"},
	} {
		resp, body := s.do(t, test.method, test.target, "", "")
		if test.method == "HEAD" {
			if resp.StatusCode != test.status || body != "" {
				t.Errorf("HEAD %s: %d %q, want %d", test.target, resp.StatusCode, body, test.status)
			}
			continue
		}
		wantErrors(t, resp, body, test.status)
		if got := strings.Join(resp.Header.Values("Allow"), ", "); got != test.allow {
			t.Errorf("%s %s: Allow %q, want %q", test.method, test.target, got, test.allow)
		}
	}
}

// TestDatabaseGone takes the database away from a running service: it says
// that it cannot serve now, and nothing of why.
func TestDatabaseGone(t *testing.T) {
	t.Parallel()
	s := serve(t)
	if err := s.store.Close(); err != nil {
		t.Fatal(err)
	}
	for _, q := range [][3]string{
		{"GET", "/users", ""},
		{"GET", "/users/1", ""},
		{"GET", "/users/batch?id=1", ""},
		{"POST", "/users", "name=A"},
	} {
		resp, body := s.do(t, q[0], q[1], form, q[2])
		wantErrors(t, resp, body, http.StatusServiceUnavailable)
		if resp.Header.Get("Retry-After") == "" {
			t.Errorf("%s %s: no Retry-After", q[0], q[1])
		}
		if want := `{"result":false,"errors":["database is closed"]}`; body != want {
			t.Errorf("%s %s: %s, want %s", q[0], q[1], body, want)
		}
	}
}
