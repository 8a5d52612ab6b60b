package rest_test

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/veranda-go/veranda/backend/listings"
	"github.com/veranda-go/veranda/backend/users"
	"github.com/veranda-go/veranda/internal/backendclient"
	"github.com/veranda-go/veranda/internal/fakebackend"
	"github.com/veranda-go/veranda/internal/httpapi"
	"github.com/veranda-go/veranda/publicapi"
	"github.com/veranda-go/veranda/rest"
)

// fakeAPI is the REST API in front of services that have only the documented
// routes.
type fakeAPI struct {
	*fakebackend.Backend
	url             string
	listings, users *fakebackend.Proxy
}

func newFakeAPI(t *testing.T) *fakeAPI {
	t.Helper()
	f := &fakeAPI{Backend: &fakebackend.Backend{}}
	f.listings, f.users = fakebackend.NewProxy(t, f.ListingService()), fakebackend.NewProxy(t, f.UserService())
	transport := backendclient.NewTransport()
	lc, err := backendclient.NewClient("listing service", f.listings.URL, 10*time.Second, transport)
	if err != nil {
		t.Fatal(err)
	}
	uc, err := backendclient.NewClient("user service", f.users.URL, 10*time.Second, transport)
	if err != nil {
		t.Fatal(err)
	}
	r := httpapi.NewRouter()
	api := publicapi.New(listings.NewClient(lc), users.NewClient(uc), publicapi.Config{MaxPageSize: 100})
	rest.New(api, slog.New(slog.DiscardHandler)).Routes(r)
	srv := httptest.NewServer(r)
	t.Cleanup(func() {
		srv.Close()
		transport.CloseIdleConnections()
	})
	f.url = srv.URL
	return f
}

// do returns a response and its body, with each time as T.
func (f *fakeAPI) do(t *testing.T, method, target, body string, header ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, f.url+target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
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
	return resp, regexp.MustCompile(`_at":\d+`).ReplaceAllString(string(text), `_at":T`)
}

func TestHandler(t *testing.T) {
	f := newFakeAPI(t)
	const (
		ada     = `{"id":1,"name":"Ada & <Co>","created_at":T,"updated_at":T}`
		listing = `{"id":1,"user_id":1,"listing_type":"sale","price":9223372036854775807,"created_at":T,"updated_at":T}`
		public  = `{"id":1,"listing_type":"sale","price":9223372036854775807,"created_at":T,"updated_at":T,"user":` + ada + `}`
	)
	const whole = `{"user_id":1,"listing_type":"sale","price":9223372036854775807}`
	for _, test := range []struct {
		method, target, body string
		status               int
		want                 string
	}{
		{"GET", "/public-api/listings", "", 200, `{"result":true,"listings":[]}`},
		{"POST", "/public-api/users", `{"name":"Ada & <Co>"}`, 200, `{"result":true,"user":` + ada + `}`},
		{"POST", "/public-api/listings", whole, 200, `{"result":true,"listing":` + listing + `}`},
		{"POST", "/public-api/listings", " \n" + `{ "price" : 1 , "listing_type" : "rent" , "user_id" : 9 } ` + "\n", 400, `{"result":false,"errors":["user_id: no such user"]}`},
		{"GET", "/public-api/listings?page_num=1&page_size=10", "", 200, `{"result":true,"listings":[` + public + `]}`},
		{"GET", "/public-api/listings?user_id=1", "", 200, `{"result":true,"listings":[` + public + `]}`},
		{"GET", "/public-api/listings?user_id=2", "", 200, `{"result":true,"listings":[]}`},
		{"GET", "/public-api/listings?page_num=9223372036854775807&page_size=100", "", 200, `{"result":true,"listings":[]}`},
		{"HEAD", "/public-api/listings", "", 200, ``},

		{"GET", "/public-api/listings?page_size=0&page_num=x&user_id=1.5", "", 400,
			`{"result":false,"errors":["user_id: must be a whole number","page_num: must be a whole number","page_size: must be at least 1"]}`},
		{"POST", "/public-api/listings", `{}`, 400, `{"result":false,"errors":["user_id: required","listing_type: required","price: required"]}`},
		{"POST", "/public-api/users", `{"name":" "}`, 400, `{"result":false,"errors":["name: must not be empty"]}`},
		{"GET", "/public-api/listings?page_num=%zz", "", 400, `{"result":false,"errors":["query string: malformed"]}`},
		{"GET", "/public-api/listings?a;b", "", 400, `{"result":false,"errors":["query string: malformed"]}`},

		{"GET", "/public-api/users", "", 405, `{"result":false,"errors":["GET is not allowed here"]}`},
		{"PUT", "/public-api/users", `{}`, 405, `{"result":false,"errors":["PUT is not allowed here"]}`},
		{"DELETE", "/public-api/listings", "", 405, `{"result":false,"errors":["DELETE is not allowed here"]}`},
		{"GET", "/public-api", "", 404, `{"result":false,"errors":["no such route"]}`},
		{"GET", "/public-api/listings/", "", 404, `{"result":false,"errors":["no such route"]}`},
		{"GET", "/public-api/Listings", "", 404, `{"result":false,"errors":["no such route"]}`},
	} {
		resp, body := f.do(t, test.method, test.target, test.body)
		if resp.StatusCode != test.status || body != test.want {
			t.Errorf("%s %s\n got %d %s\nwant %d %s", test.method, test.target, resp.StatusCode, body, test.status, test.want)
		}
		if got := resp.Header.Get("Content-Type"); got != "application/json" {
			t.Errorf("%s %s: content type %q", test.method, test.target, got)
		}
		allow := map[string]string{"/public-api/users": "POST", "/public-api/listings": "GET, HEAD, POST"}[test.target]
		if got := resp.Header.Get("Allow"); test.status == 405 && got != allow || test.status != 405 && got != "" {
			t.Errorf("%s %s: allows %q", test.method, test.target, got)
		}
	}
}

func TestHandlerAcceptsOnlyJSON(t *testing.T) {
	f := newFakeAPI(t)
	for _, target := range []string{"/public-api/users", "/public-api/listings"} {
		for _, contentType := range []string{"", "text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-16", "application/jsonp", ";"} {
			resp, body := f.do(t, "POST", target, `{"name":"x"}`, "Content-Type", contentType)
			if want := `{"result":false,"errors":["content type: must be application/json"]}`; resp.StatusCode != 415 || body != want {
				t.Errorf("%s as %q: got %d %s", target, contentType, resp.StatusCode, body)
			}
		}
		resp, body := f.do(t, "POST", target, `{"name":"`+strings.Repeat("x", 64<<10)+`"}`)
		if want := `{"result":false,"errors":["body: must be at most 65536 bytes"]}`; resp.StatusCode != 413 || body != want {
			t.Errorf("%s: got %d %s", target, resp.StatusCode, body)
		}
	}
	if got := len(f.users.Calls()) + len(f.listings.Calls()); got != 0 {
		t.Errorf("%d calls reached the services", got)
	}
}

// TestRowsWithoutUsers tests that a row whose user is unknown is served without it.
func TestRowsWithoutUsers(t *testing.T) {
	f := newFakeAPI(t)
	f.AddListing(f.AddUser("Ada"), "rent", 1)
	f.AddListing(77, "rent", 2)
	_, body := f.do(t, "GET", "/public-api/listings", "")
	want := `{"result":true,"listings":[{"id":2,"listing_type":"rent","price":2,"created_at":T,"updated_at":T,"user":null},` +
		`{"id":1,"listing_type":"rent","price":1,"created_at":T,"updated_at":T,"user":{"id":1,"name":"Ada","created_at":T,"updated_at":T}}]}`
	if body != want {
		t.Errorf("got %s", body)
	}
	f.users.Instead(fakebackend.Cut)
	resp, body := f.do(t, "GET", "/public-api/listings", "")
	want = `{"result":true,"listings":[{"id":2,"listing_type":"rent","price":2,"created_at":T,"updated_at":T,"user":null},` +
		`{"id":1,"listing_type":"rent","price":1,"created_at":T,"updated_at":T,"user":null}],"errors":["user service unavailable"]}`
	if resp.StatusCode != 200 || body != want {
		t.Errorf("got %d %s", resp.StatusCode, body)
	}
	if got := resp.Header.Get("ETag"); got != "" {
		t.Errorf("an incomplete response has a tag: %s", got)
	}
	f.listings.Instead(fakebackend.Cut)
	resp, body = f.do(t, "GET", "/public-api/listings", "")
	if resp.StatusCode != 503 || body != `{"result":false,"errors":["listing service unavailable"]}` || resp.Header.Get("Retry-After") != "1" {
		t.Errorf("got %d %s %v", resp.StatusCode, body, resp.Header)
	}
}
