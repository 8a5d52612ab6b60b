package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"github.com/veranda-go/veranda/internal/fakebackend"
)

// bads returns handlers for all ways in which a backend may fail. trap is where
// the redirect leads.
func bads(t *testing.T) (ways map[string]http.HandlerFunc, trap *fakebackend.Proxy) {
	trap = fakebackend.NewProxy(t, http.HandlerFunc(fakebackend.OtherTypes))
	return map[string]http.HandlerFunc{
		"cut":         fakebackend.Cut,
		"500":         fakebackend.Trace,
		"503":         func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) },
		"garbage":     fakebackend.Garbage,
		"other shape": fakebackend.OtherShape,
		"other types": fakebackend.OtherTypes,
		"half":        fakebackend.Half,
		"redirect":    fakebackend.RedirectTo(trap.URL),
		"404":         http.NotFound,
		"refusal of everything": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprint(w, `{"result":false,"errors":["secret"]}`)
		},
	}, trap
}

func wantReply(t *testing.T, r reply, status int, body string) {
	t.Helper()
	if got := shape(t, r.body); r.status != status || got != body {
		t.Errorf("got %d %.500s\nwant %d %s", r.status, got, status, body)
	}
	if leak := fakebackend.Leaks(r.body); leak != "" {
		t.Errorf("%q is in %.500s", leak, r.body)
	}
	after := r.header.Get("Retry-After")
	if want := status == http.StatusServiceUnavailable; (after != "") != want || want && !regexp.MustCompile(`^[1-9]\d*$`).MatchString(after) {
		t.Errorf("status %d with Retry-After %q", r.status, after)
	}
}

// codesOf are the paths and codes of the errors in a GraphQL response, sorted,
// each once.
func codesOf(t *testing.T, r reply) []string {
	t.Helper()
	var answer struct {
		Errors []graphError `json:"errors"`
	}
	if err := json.Unmarshal([]byte(r.body), &answer); err != nil {
		t.Fatalf("%v in %.300s", err, r.body)
	}
	var out []string
	for _, e := range answer.Errors {
		out = append(out, fmt.Sprintf("%v %s", e.Path, e.code()))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// data returns the data of a GraphQL response as it was sent.
func data(t *testing.T, r reply) string {
	t.Helper()
	_, after, ok := strings.Cut(r.body, `"data":`)
	if !ok {
		t.Errorf("no data in %.300s", r.body)
	}
	return strings.TrimSuffix(after, "}")
}

func TestUserServiceDown(t *testing.T) {
	ways, trap := bads(t)
	delete(ways, "404") // that is how to say that there is no such user
	for name, bad := range ways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := startFake(t)
			for i := range 3 {
				f.AddUser("x")
				f.AddListing(int64(i+1), "rent", int64(i+1))
			}
			f.users.Instead(bad)

			rows := regexp.MustCompile(`_at":\d+`).ReplaceAllString(get(t, f.url+"/public-api/listings").body, `_at":T`)
			want := `{"result":true,"listings":[`
			for i := 3; i > 0; i-- {
				want += fmt.Sprintf(`{"id":%d,"listing_type":"rent","price":%d,"created_at":T,"updated_at":T,"user":null},`, i, i)
			}
			if want = strings.TrimSuffix(want, ",") + `],"errors":["user service unavailable"]}`; rows != want {
				t.Errorf("got %s\nwant %s", rows, want)
			}

			r := f.graphQL(t, "{ listings { price user { name } } }", "")
			if got, want := data(t, r), `{"listings":[{"price":3,"user":null},{"price":2,"user":null},{"price":1,"user":null}]}`; got != want {
				t.Errorf("got %s, want %s", r.body, want)
			}
			wantCodes := []string{"[listings 0 user] UNAVAILABLE", "[listings 1 user] UNAVAILABLE", "[listings 2 user] UNAVAILABLE"}
			if got := codesOf(t, r); !slices.Equal(got, wantCodes) {
				t.Errorf("got %q, want %q", got, wantCodes)
			}
			if leak := fakebackend.Leaks(r.body); leak != "" {
				t.Errorf("%q is in %s", leak, r.body)
			}

			const down = `{"result":false,"errors":["user service unavailable"]}`
			wantReply(t, postJSON(t, f.url+"/public-api/users", `{"name":"Ada"}`), 503, down)
			wantReply(t, postJSON(t, f.url+"/public-api/listings", `{"user_id":1,"listing_type":"rent","price":1}`), 503, down)
			r = f.graphQL(t, `mutation { createListing(input: {userId: 1, listingType: RENT, price: 1}) { listing { id } } }`, "")
			if got := codesOf(t, r); !slices.Equal(got, []string{"[createListing] UNAVAILABLE"}) {
				t.Errorf("got %q in %s", got, r.body)
			}
			if slices.Contains(f.listings.Routes(), "POST /listings ×1") {
				t.Error("a listing was created for a user that is not known to exist")
			}
			if readyFails(name) {
				wantReply(t, get(t, f.url+"/readyz"), 503, down)
			}
		})
	}
	t.Cleanup(func() {
		if calls := trap.Calls(); len(calls) != 0 {
			t.Errorf("a redirect was followed: %v", calls)
		}
	})
}

// readyFails: /readyz asks for a status, not for data.
func readyFails(way string) bool {
	return !slices.Contains([]string{"garbage", "other shape", "other types"}, way)
}

func TestListingServiceDown(t *testing.T) {
	ways, trap := bads(t)
	for name, bad := range ways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := startFake(t)
			f.AddUser("Ada")
			f.listings.Instead(bad)

			const down = `{"result":false,"errors":["listing service unavailable"]}`
			wantReply(t, get(t, f.url+"/public-api/listings"), 503, down)
			wantReply(t, postJSON(t, f.url+"/public-api/listings", `{"user_id":1,"listing_type":"rent","price":1}`), 503, down)
			for query, codes := range map[string][]string{
				"{ listings { price } }":                      {"[listings] UNAVAILABLE"},
				"{ listing(id: 1) { price } }":                {"[listing] UNAVAILABLE"},
				"{ user(id: 1) { name listings { price } } }": {"[user listings] UNAVAILABLE"},
				`mutation { createListing(input: {userId: 1, listingType: RENT, price: 1}) { listing { id } } }`: {"[createListing] UNAVAILABLE"},
			} {
				r := f.graphQL(t, query, "")
				if got := codesOf(t, r); !slices.Equal(got, codes) || fakebackend.Leaks(r.body) != "" {
					t.Errorf("%s: got %q in %s", query, got, r.body)
				}
				if strings.Contains(query, "name") && data(t, r) != `{"user":{"name":"Ada","listings":null}}` {
					t.Errorf("the part that was found is lost: %s", r.body)
				}
			}
			if readyFails(name) {
				wantReply(t, get(t, f.url+"/readyz"), 503, down)
			}
		})
	}
	t.Cleanup(func() {
		if calls := trap.Calls(); len(calls) != 0 {
			t.Errorf("a redirect was followed: %v", calls)
		}
	})
}

// A response that is too large is an error, and is not kept in memory.
func TestHugeResponses(t *testing.T) {
	f := startFake(t, "--backend-timeout", "1m")
	f.AddListing(f.AddUser("x"), "rent", 1)
	f.users.Instead(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "40000000") // says so, where the other does not
		fakebackend.Huge(w, r)
	})
	if r := get(t, f.url+"/public-api/listings"); r.status != 200 || !strings.HasSuffix(r.body, `"user":null}],"errors":["user service unavailable"]}`) {
		t.Errorf("got %d %.300s", r.status, r.body)
	}
	f.listings.Instead(fakebackend.Huge)
	wantReply(t, get(t, f.url+"/public-api/listings"), 503, `{"result":false,"errors":["listing service unavailable"]}`)
}

func TestBothServicesDown(t *testing.T) {
	f := startFake(t)
	f.listings.Instead(fakebackend.Cut)
	f.users.Instead(fakebackend.Cut)
	wantReply(t, get(t, f.url+"/readyz"), 503, `{"result":false,"errors":["listing service unavailable","user service unavailable"]}`)
	wantReply(t, get(t, f.url+"/livez"), 200, `{"result":true}`)
}

// A backend that does not respond takes --backend-timeout and no longer.
func TestBackendsHang(t *testing.T) {
	f := startFake(t, "--backend-timeout", "300ms")
	f.AddUser("x")
	f.AddListing(1, "sale", 5)

	f.users.Instead(fakebackend.Hang(nil))
	wantReply(t, postJSON(t, f.url+"/public-api/users", `{"name":"Ada"}`), 504, `{"result":false,"errors":["user service did not answer in time"]}`)
	wantReply(t, postJSON(t, f.url+"/public-api/listings", `{"user_id":1,"listing_type":"rent","price":1}`), 504,
		`{"result":false,"errors":["user service did not answer in time"]}`)
	if r := get(t, f.url+"/public-api/listings"); r.status != 200 || !strings.Contains(r.body, `"user":null}],"errors":["user service unavailable"]}`) {
		t.Errorf("got %d %s", r.status, r.body)
	}
	r := f.graphQL(t, "{ listings { price user { name } } }", "")
	if got := codesOf(t, r); !slices.Equal(got, []string{"[listings 0 user] UNAVAILABLE"}) || data(t, r) != `{"listings":[{"price":5,"user":null}]}` {
		t.Errorf("got %s", r.body)
	}
	wantReply(t, get(t, f.url+"/readyz"), 503, `{"result":false,"errors":["user service did not answer in time"]}`)

	f.users.Instead(nil)
	f.listings.Instead(fakebackend.Hang(nil))
	const late = `{"result":false,"errors":["listing service did not answer in time"]}`
	wantReply(t, get(t, f.url+"/public-api/listings"), 504, late)
	wantReply(t, postJSON(t, f.url+"/public-api/listings", `{"user_id":1,"listing_type":"rent","price":1}`), 504, late)
	if r := f.graphQL(t, "{ listings { price } }", ""); !slices.Equal(codesOf(t, r), []string{"[listings] TIMEOUT"}) {
		t.Errorf("got %s", r.body)
	}
	wantReply(t, get(t, f.url+"/readyz"), 503, late)

	f.listings.Instead(nil)
	if r := get(t, f.url+"/public-api/listings"); !strings.Contains(r.body, `"name":"x"`) {
		t.Errorf("the backends respond again, the public layer does not: %s", r.body)
	}
}

// A canceled request cancels its backend calls.
func TestClientGoesAway(t *testing.T) {
	f := startFake(t)
	f.AddUser("x")
	f.AddListing(1, "sale", 5)
	for _, test := range []struct {
		proxy  *fakebackend.Proxy
		target string
	}{
		{f.listings, "/public-api/listings"},
		{f.users, "/public-api/listings"},
		{f.listings, "/graphql?query=" + url.QueryEscape("{ listings { price } }")},
		{f.users, "/graphql?query=" + url.QueryEscape("{ listings { user { name } } }")},
	} {
		gone, arrived := make(chan struct{}, 1), make(chan struct{}, 1)
		hang := fakebackend.Hang(gone)
		test.proxy.Instead(func(w http.ResponseWriter, r *http.Request) {
			arrived <- struct{}{}
			hang(w, r)
		})
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			<-arrived
			cancel()
		}()
		req, err := http.NewRequestWithContext(ctx, "GET", f.url+test.target, nil)
		if err != nil {
			t.Fatal(err)
		}
		if resp, err := client.Do(req); err == nil {
			resp.Body.Close()
			t.Errorf("%s: responded %s", test.target, resp.Status)
		}
		<-gone
		test.proxy.Instead(nil)
	}
}

// Services come and go behind a public layer that stays.
func TestServicesRestart(t *testing.T) {
	dir := t.TempDir()
	backend := func(name, url string) *program {
		port := "0"
		if url != "" {
			port = url[strings.LastIndexByte(url, ':')+1:]
		}
		return start(t, name, "--port", port, "--database-url", "sqlite:"+dir+"/"+name+".db")
	}
	listing, user := backend("listing-service", ""), backend("user-service", "")
	public := start(t, "public-api", "--listing-service-url", listing.url, "--user-service-url", user.url)
	public.addListing(t, public.addUser(t, "Ada"), "rent", 6000)
	whole := get(t, public.url+"/public-api/listings").body

	if err := user.stop(); err != nil {
		t.Fatal(err)
	}
	r := get(t, public.url+"/public-api/listings")
	if got := shape(t, r.body); got != `{"result":true,"listings":[{"id":1,"listing_type":"rent","price":6000,"created_at":T,"updated_at":T,"user":null}],"errors":["user service unavailable"]}` {
		t.Errorf("without users: %s", got)
	}
	wantReply(t, postJSON(t, public.url+"/public-api/listings", `{"user_id":1,"listing_type":"rent","price":1}`), 503, `{"result":false,"errors":["user service unavailable"]}`)
	wantReply(t, get(t, public.url+"/readyz"), 503, `{"result":false,"errors":["user service unavailable"]}`)

	if err := listing.stop(); err != nil {
		t.Fatal(err)
	}
	wantReply(t, get(t, public.url+"/public-api/listings"), 503, `{"result":false,"errors":["listing service unavailable"]}`)
	wantReply(t, get(t, public.url+"/readyz"), 503, `{"result":false,"errors":["listing service unavailable","user service unavailable"]}`)

	backend("user-service", user.url)
	backend("listing-service", listing.url)
	wantReply(t, get(t, public.url+"/readyz"), 200, `{"result":true}`)
	if again := get(t, public.url+"/public-api/listings").body; again != whole {
		t.Errorf("before %s\nafter  %s", whole, again)
	}
	if id := public.addListing(t, "1", "sale", 1); id != "2" {
		t.Errorf("the next listing is %s", id)
	}
}

// A listing outlives its user.
func TestListingWithoutUser(t *testing.T) {
	f := startFake(t)
	f.AddListing(77, "sale", 5)
	if got := get(t, f.url+"/public-api/listings").body; !strings.HasSuffix(got, `"user":null}]}`) {
		t.Errorf("got %s", got)
	}
	if r := f.graphQL(t, "{ listings { price user { name } } }", ""); r.body != `{"data":{"listings":[{"price":5,"user":null}]}}` {
		t.Errorf("got %s", r.body)
	}
}

// One id goes with a request all the way; a bad one is replaced.
func TestRequestIDs(t *testing.T) {
	s := startProxied(t)
	s.addListing(t, s.addUser(t, "Ada"), "rent", 1)
	ours := regexp.MustCompile(`^[A-Z2-7]{26}$`)
	for _, given := range []string{"abc-123_x.Y", strings.Repeat("a", 64), "", strings.Repeat("a", 65), "a b", `a"b`, "é", "a;b", "<script>"} {
		kept := regexp.MustCompile(`^[a-zA-Z0-9._-]{1,64}$`).MatchString(given)
		for _, target := range []string{"/public-api/listings", "/graphql?query=" + url.QueryEscape("{ listings { user { name } } }")} {
			s.listings.Calls()
			s.users.Calls()
			r := do(t, "GET", s.url+target, "", "X-Request-Id", given)
			id := r.header.Get("X-Request-Id")
			if kept && id != given || !kept && !ours.MatchString(id) {
				t.Errorf("%q became %q", given, id)
			}
			calls := append(s.listings.Calls(), s.users.Calls()...)
			if len(calls) != 2 {
				t.Errorf("%d calls", len(calls))
			}
			for _, c := range calls {
				if c.RequestID != id {
					t.Errorf("%s carries %q, want %q", c.Route, c.RequestID, id)
				}
			}
		}
	}
	// And a backend echoes it, on refusals too.
	for _, target := range []string{s.userService.url + "/users", s.listingService.url + "/no/such/route", s.url + "/public-api/nothing"} {
		if got := do(t, "GET", target, "", "X-Request-Id", "mine").header.Get("X-Request-Id"); got != "mine" {
			t.Errorf("%s: got %q", target, got)
		}
	}
}
