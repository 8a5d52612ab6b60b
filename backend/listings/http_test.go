package listings_test

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

	"github.com/veranda-go/veranda/backend/listings"
	"github.com/veranda-go/veranda/backend/listings/sqlite"
	"github.com/veranda-go/veranda/internal/apierror"
	"github.com/veranda-go/veranda/internal/backendclient"
	"github.com/veranda-go/veranda/internal/httpapi"
	"github.com/veranda-go/veranda/internal/pagination"
)

const maxPageSize = 100

// service is a running listing service on a store of its own.
type service struct {
	*listings.Client
	url   string
	path  string // of the database
	store listings.Store
}

func serve(t *testing.T) service {
	t.Helper()
	path := filepath.Join(t.TempDir(), "listings.db")
	store, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	r := httpapi.NewRouter()
	listings.NewHandler(store, maxPageSize, slog.New(slog.DiscardHandler)).Routes(r)
	server := httptest.NewServer(r)
	transport := backendclient.NewTransport()
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		server.Close()
		store.Close()
	})
	c, err := backendclient.NewClient("listing service", server.URL, time.Minute, transport)
	if err != nil {
		t.Fatal(err)
	}
	return service{listings.NewClient(c), server.URL, path, store}
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
	var made []listings.Listing
	for _, d := range []listings.Draft{
		{UserID: 1, Type: listings.Rent, Price: 6000},
		{UserID: 2, Type: listings.Sale, Price: 38_000_000_000},
		{UserID: 1, Type: listings.Sale, Price: math.MaxInt64},
		{UserID: math.MaxInt64, Type: listings.Rent, Price: 1},
	} {
		before := time.Now().UnixMicro()
		l, _, err := s.Create(ctx, d, "")
		if err != nil {
			t.Fatalf("create %+v: %v", d, err)
		}
		want := listings.Listing{
			ID: int64(len(made) + 1), UserID: d.UserID, Type: d.Type, Price: d.Price,
			CreatedAt: l.CreatedAt, UpdatedAt: l.CreatedAt,
		}
		if l != want || l.CreatedAt < before || l.CreatedAt > time.Now().UnixMicro() {
			t.Errorf("created %+v, want %+v between then and now", l, want)
		}
		if got, err := s.Get(ctx, l.ID); err != nil || got != l {
			t.Errorf("get: %+v, %v, want %+v", got, err, l)
		}
		made = append(made, l)
	}

	for _, test := range []struct {
		page pagination.Page
		user int64
		want []listings.Listing
	}{
		{pagination.Page{Num: 1, Size: 10}, 0, []listings.Listing{made[3], made[2], made[1], made[0]}},
		{pagination.Page{Num: 1, Size: 3}, 0, []listings.Listing{made[3], made[2], made[1]}},
		{pagination.Page{Num: 2, Size: 3}, 0, []listings.Listing{made[0]}},
		{pagination.Page{Num: 3, Size: 3}, 0, nil},
		{pagination.Page{Num: math.MaxInt64, Size: 100}, 0, nil},
		{pagination.Page{Num: 1, Size: 10}, 1, []listings.Listing{made[2], made[0]}},
		{pagination.Page{Num: 2, Size: 1}, 1, []listings.Listing{made[0]}},
		{pagination.Page{Num: 1, Size: 10}, math.MaxInt64, []listings.Listing{made[3]}},
		{pagination.Page{Num: 1, Size: 10}, 99, nil},
	} {
		got, err := s.List(ctx, test.page, test.user)
		if err != nil || !slices.Equal(got, test.want) {
			t.Errorf("list %+v of user %d: %+v, %v, want %+v", test.page, test.user, got, err, test.want)
		}
	}

	got, err := s.NewestOf(ctx, []int64{2, 99, 1, 2}, 1)
	if want := []listings.Listing{made[1], made[2]}; err != nil || !slices.Equal(got, want) {
		t.Errorf("newest of: %+v, %v, want %+v", got, err, want)
	}
	many := make([]int64, listings.MaxBatch)
	for i := range many {
		many[i] = math.MaxInt64 - int64(i) // the longest request line that there is
	}
	got, err = s.NewestOf(ctx, many, maxPageSize)
	if want := []listings.Listing{made[3]}; err != nil || !slices.Equal(got, want) {
		t.Errorf("newest of %d users: %+v, %v, want %+v", len(many), got, err, want)
	}
}

func TestClientErrors(t *testing.T) {
	t.Parallel()
	s, ctx := serve(t), t.Context()
	_, get := s.Get(ctx, 5)
	_, list := s.List(ctx, pagination.Page{Num: 0, Size: 101}, -1)
	_, batch := s.NewestOf(ctx, nil, 10)
	_, _, create := s.Create(ctx, listings.Draft{Type: "lease"}, "")
	for _, test := range []struct {
		err    error
		kind   apierror.Kind
		params []string
	}{
		{get, apierror.NotFound, nil},
		{list, apierror.Invalid, []string{"page_num", "page_size", "user_id"}},
		{batch, apierror.Invalid, []string{"user_id"}},
		{create, apierror.Invalid, []string{"user_id", "listing_type", "price"}},
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
		slices.Sort(test.params)
		if test.params != nil && !slices.Equal(params, test.params) {
			t.Errorf("field errors %q, want one for each of %q", f.Messages(), test.params)
		}
	}
}

// TestResponses tests the documented responses byte for byte.
func TestResponses(t *testing.T) {
	t.Parallel()
	s := serve(t)
	resp, body := s.do(t, "GET", "/listings/ping", "", "")
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
	wantBody("GET", "/listings", "", "", `{"result":true,"listings":[]}`)

	resp, body = s.do(t, "POST", "/listings", form, "user_id=1&listing_type=rent&price=6000")
	made, err := s.Get(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	one := fmt.Sprintf(`{"id":1,"user_id":1,"listing_type":"rent","price":6000,"created_at":%d,"updated_at":%[1]d}`, made.CreatedAt)
	if want := `{"result":true,"listing":` + one + `}`; resp.StatusCode != 200 || body != want {
		t.Errorf("create: %d\n got %s\nwant %s", resp.StatusCode, body, want)
	}
	wantBody("GET", "/listings/1", "", "", `{"result":true,"listing":`+one+`}`)
	for _, target := range []string{
		"/listings", "/listings?page_num=1&page_size=10", "/listings?user_id=1", "/listings?page_size=100",
		"/listings/batch?user_id=1", "/listings/batch?user_id=5&user_id=1&user_id=1&page_size=1",
	} {
		wantBody("GET", target, "", "", `{"result":true,"listings":[`+one+`]}`)
	}
	for _, target := range []string{
		"/listings?user_id=2", "/listings?page_num=2", "/listings/batch?user_id=2",
		// Pages whose first row has no 64-bit number, and some of which it would wrap to 0.
		"/listings?page_num=9223372036854775807&page_size=100",
		"/listings?page_num=9223372036854775807&page_size=1",
		"/listings?page_num=4611686018427387905&page_size=4",
		"/listings?page_num=2305843009213693953&page_size=8&user_id=1",
		"/listings?page_num=92233720368547760&page_size=100",
		"/listings?page_num=92233720368547759&page_size=100",
	} {
		wantBody("GET", target, "", "", `{"result":true,"listings":[]}`)
	}

	for _, target := range []string{"/listings", "/listings/1", "/listings/batch?user_id=1", "/listings/ping"} {
		get, body := s.do(t, "GET", target, "", "")
		head, nothing := s.do(t, "HEAD", target, "", "")
		if head.StatusCode != 200 || nothing != "" || head.ContentLength != int64(len(body)) ||
			head.Header.Get("Content-Type") != get.Header.Get("Content-Type") {
			t.Errorf("HEAD %s: %d, length %d, %q", target, head.StatusCode, head.ContentLength, nothing)
		}
	}
	// Other spellings of the same content type.
	for _, contentType := range []string{form + "; charset=UTF-8", form + ";charset=utf-8", "Application/X-WWW-Form-Urlencoded"} {
		if resp, body := s.do(t, "POST", "/listings", contentType, "user_id=1&listing_type=sale&price=2147483648"); resp.StatusCode != 200 {
			t.Errorf("%s: %d %s", contentType, resp.StatusCode, body)
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
	if _, _, err := s.Create(t.Context(), listings.Draft{UserID: 5, Type: listings.Rent, Price: 5}, ""); err != nil {
		t.Fatal(err)
	}
	type request struct {
		target string
		params []string
	}
	requests := []request{
		{"/listings?page_size=101", []string{"page_size"}},
		{"/listings?page_size=9223372036854775807", []string{"page_size"}},
		{"/listings?page_num=0&page_size=0&user_id=0", []string{"page_num", "page_size", "user_id"}},
		{"/listings?page_num=x&page_size=101&user_id=1.5", []string{"page_num", "page_size", "user_id"}},
		{"/listings?page_num=1&page_num=1", []string{"page_num"}},
		{"/listings?page_num=1&page_num=2", []string{"page_num"}},
		{"/listings?page_size=10&page_size=", []string{"page_size"}},
		{"/listings?user_id=5&user_id=5", []string{"user_id"}},
		{"/listings?page_num", []string{"page_num"}},
		{"/listings?page_num=%zz", nil},
		{"/listings?page_num=1%", nil},
		{"/listings?user_id=5%2", nil},
		{"/listings?%zz=1", nil},
		{"/listings?page_num=1;page_size=10", nil},
		{"/listings/batch", []string{"user_id"}},
		{"/listings/batch?page_size=10", []string{"user_id"}},
		{"/listings/batch?page_size=101", []string{"user_id", "page_size"}},
		{"/listings/batch?user_id=5&page_size=101", []string{"page_size"}},
		{"/listings/batch?user_id=5&page_size=10&page_size=10", []string{"page_size"}},
		{"/listings/batch?user_id=5&page_size=%zz", nil},
		{"/listings/batch?user_id=1" + strings.Repeat("&user_id=1", listings.MaxBatch), []string{"user_id"}},
	}
	for _, bad := range notWhole {
		for _, param := range []string{"page_num", "page_size", "user_id"} {
			requests = append(requests, request{"/listings?" + param + "=" + bad, []string{param}})
		}
		requests = append(
			requests,
			request{"/listings/batch?user_id=5&user_id=" + bad, []string{"user_id"}},
			request{"/listings/batch?user_id=5&page_size=" + bad, []string{"page_size"}},
		)
		if bad != "" { // without an id it is another route
			requests = append(requests, request{"/listings/" + bad, []string{"id"}})
		}
	}
	for _, q := range requests {
		resp, body := s.do(t, "GET", q.target, "", "")
		wantErrors(t, resp, body, http.StatusBadRequest, q.params...)
	}
	for _, target := range []string{"/listings/2", "/listings/9223372036854775807"} {
		resp, body := s.do(t, "GET", target, "", "")
		wantErrors(t, resp, body, http.StatusNotFound, "id")
	}
}

func TestRefusedForms(t *testing.T) {
	t.Parallel()
	s := serve(t)
	type request struct {
		body   string
		params []string
	}
	requests := []request{
		{"", []string{"user_id", "listing_type", "price"}},
		{"listing_type=rent&price=1", []string{"user_id"}},
		{"user_id=1&price=1", []string{"listing_type"}},
		{"user_id=1&listing_type=rent", []string{"price"}},
		{"user_id=x&listing_type=x&price=x", []string{"user_id", "listing_type", "price"}},
		{"user_id=1&user_id=1&listing_type=rent&price=1", []string{"user_id"}},
		{"user_id=1&listing_type=rent&listing_type=rent&price=1", []string{"listing_type"}},
		{"user_id=1&listing_type=rent&listing_type=sale&price=1", []string{"listing_type"}},
		{"user_id=1&listing_type=rent&price=1&price=2", []string{"price"}},
		{"user_id=1&listing_type=rent&price=%zz", nil},
		{"user_id=1&listing_type=rent&price=1%", nil},
		{"user_id=1;listing_type=rent;price=1", nil},
		{`{"user_id":1,"listing_type":"rent","price":1}`, []string{"user_id", "listing_type", "price"}},
	}
	for _, bad := range notWhole {
		requests = append(
			requests,
			request{"user_id=" + bad + "&listing_type=rent&price=1", []string{"user_id"}},
			request{"user_id=1&listing_type=rent&price=" + bad, []string{"price"}},
		)
	}
	for _, bad := range []string{"", "Rent", "SALE", "lease", "+rent", "rent+", "rent%00", "rent%0A", "%FF", "rent,sale", "1", "null", "%EF%BD%92ent"} {
		requests = append(requests, request{"user_id=1&listing_type=" + bad + "&price=1", []string{"listing_type"}})
	}
	for _, q := range requests {
		resp, body := s.do(t, "POST", "/listings", form, q.body)
		wantErrors(t, resp, body, http.StatusBadRequest, q.params...)
		if t.Failed() {
			t.Fatalf("the form was %q", q.body)
		}
	}

	const good = "user_id=1&listing_type=rent&price=1"
	for _, contentType := range []string{
		"", "text/plain", "application/json", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded; charset=latin1",
		"application/x-www-form-urlencoded-not", "x", ";", form + ", text/plain",
	} {
		resp, body := s.do(t, "POST", "/listings", contentType, good)
		wantErrors(t, resp, body, http.StatusUnsupportedMediaType, "content type")
	}

	// Parameters in the query string are no form.
	resp, body := s.do(t, "POST", "/listings?"+good, form, "")
	wantErrors(t, resp, body, http.StatusBadRequest, "user_id", "listing_type", "price")

	if rows, err := s.store.List(t.Context(), listings.Query{Limit: 10}); err != nil || len(rows) != 0 {
		t.Errorf("refused forms have left %+v, %v", rows, err)
	}
}

func TestBodySize(t *testing.T) {
	t.Parallel()
	s := serve(t)
	const limit = 64 << 10
	const start = "user_id=1&listing_type=rent&price=1&more="
	fit := start + strings.Repeat("x", limit-len(start))
	if resp, body := s.do(t, "POST", "/listings", form, fit); resp.StatusCode != 200 {
		t.Errorf("%d bytes: %d %s", len(fit), resp.StatusCode, body)
	}
	resp, body := s.do(t, "POST", "/listings", form, fit+"x")
	wantErrors(t, resp, body, http.StatusRequestEntityTooLarge, "body")

	// Of a body without an announced length too.
	req, err := http.NewRequestWithContext(t.Context(), "POST", s.url+"/listings", io.MultiReader(strings.NewReader(fit), strings.NewReader("x")))
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
		{"GET", "/users", 404, ""},
		{"GET", "/listings/", 404, ""},
		{"GET", "/listings/1/2", 404, ""},
		{"POST", "/nothing", 404, ""},
		{"HEAD", "/nothing", 404, ""},
		{"PUT", "/listings", 405, "GET, HEAD, POST"},
		{"DELETE", "/listings", 405, "GET, HEAD, POST"},
		{"PATCH", "/listings", 405, "GET, HEAD, POST"},
		{"POST", "/listings/1", 405, "GET, HEAD"},
		{"DELETE", "/listings/1", 405, "GET, HEAD"},
		{"POST", "/listings/ping", 405, "GET, HEAD"},
		{"POST", "/listings/batch?user_id=1", 405, "GET, HEAD"},
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
		{"GET", "/listings", ""},
		{"GET", "/listings/1", ""},
		{"GET", "/listings/batch?user_id=1", ""},
		{"POST", "/listings", "user_id=1&listing_type=rent&price=1"},
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
