package rest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/veranda-go/veranda/backend/listings"
	listingslite "github.com/veranda-go/veranda/backend/listings/sqlite"
	"github.com/veranda-go/veranda/backend/users"
	userslite "github.com/veranda-go/veranda/backend/users/sqlite"
	"github.com/veranda-go/veranda/graph"
	"github.com/veranda-go/veranda/internal/backendclient"
	"github.com/veranda-go/veranda/internal/fakebackend"
	"github.com/veranda-go/veranda/internal/httpapi"
	"github.com/veranda-go/veranda/publicapi"
)

const maxPageSize = 50

// testAPI is both APIs in front of the services of this repository.
type testAPI struct {
	url             string
	handler         *Handler
	listings, users *fakebackend.Proxy
	store           *slowStore
}

// slowStore blocks creations while there is a gate.
type slowStore struct {
	listings.Store
	gate chan struct{} // nil blocks none; a creation sends to it and then receives
}

func (s *slowStore) Create(ctx context.Context, d listings.Draft, key string) (listings.Listing, bool, error) {
	if s.gate != nil {
		s.gate <- struct{}{}
		<-s.gate
	}
	return s.Store.Create(ctx, d, key)
}

func newTestAPI(t *testing.T) *testAPI {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	dir := t.TempDir()
	ls, err := listingslite.Open(t.Context(), filepath.Join(dir, "listings.db"))
	if err != nil {
		t.Fatal(err)
	}
	us, err := userslite.Open(t.Context(), filepath.Join(dir, "users.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = ls.Close(), us.Close() })
	b := &testAPI{store: &slowStore{Store: ls}}
	lr, ur := httpapi.NewRouter(), httpapi.NewRouter()
	listings.NewHandler(b.store, maxPageSize, log).Routes(lr)
	users.NewHandler(us, maxPageSize, log).Routes(ur)
	b.listings, b.users = fakebackend.NewProxy(t, lr), fakebackend.NewProxy(t, ur)
	transport := backendclient.NewTransport()
	t.Cleanup(transport.CloseIdleConnections)
	client := func(service, url string) *backendclient.Client {
		c, err := backendclient.NewClient(service, url, 10*time.Second, transport)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	api := publicapi.New(listings.NewClient(client("listing service", b.listings.URL)),
		users.NewClient(client("user service", b.users.URL)), publicapi.Config{MaxPageSize: maxPageSize})
	b.handler = New(api, log)
	r := httpapi.NewRouter()
	b.handler.Routes(r)
	r.Handle("/graphql", graph.New(api, log))
	srv := httptest.NewServer(r)
	t.Cleanup(srv.Close)
	b.url = srv.URL
	return b
}

func (b *testAPI) do(t *testing.T, method, target, body string, header ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, b.url+target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
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

// create posts JSON and expects a success.
func (b *testAPI) create(t *testing.T, target, body string, header ...string) string {
	t.Helper()
	resp, text := b.do(t, "POST", target, body, append(header, "Content-Type", "application/json")...)
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d %s", body, resp.StatusCode, text)
	}
	return text
}

// fill creates users 1 to 3 and n listings, some of equal price.
func (b *testAPI) fill(t *testing.T, n int) []listings.Listing {
	t.Helper()
	for i := range 3 {
		b.create(t, "/public-api/users", fmt.Sprintf(`{"name":"user %d"}`, i+1))
	}
	rows := make([]listings.Listing, n)
	for i := range rows {
		var response struct{ Listing listings.Listing }
		text := b.create(t, "/public-api/listings", fmt.Sprintf(`{"user_id":%d,"listing_type":%q,"price":%d}`,
			i%3+1, []string{"rent", "sale"}[i/3%2], 1_000_000_000*int64(i*7%10+1)))
		if err := json.Unmarshal([]byte(text), &response); err != nil {
			t.Fatal(err)
		}
		rows[i] = response.Listing
	}
	return rows
}

// response is that of GET /public-api/listings with parameters that are not
// documented.
type response struct {
	Result   bool
	Listings []struct {
		listings.Listing
		User *users.User
	}
	HasMore     *bool   `json:"has_more"`
	StartCursor *string `json:"start_cursor"`
	EndCursor   *string `json:"end_cursor"`
	Errors      []string
}

func (b *testAPI) list(t *testing.T, query url.Values) response {
	t.Helper()
	resp, text := b.do(t, "GET", "/public-api/listings?"+query.Encode(), "")
	var a response
	if err := json.Unmarshal([]byte(text), &a); err != nil || resp.StatusCode != http.StatusOK || a.HasMore == nil {
		t.Fatalf("%v: %d %s, %v", query, resp.StatusCode, text, err)
	}
	for _, l := range a.Listings {
		if l.User == nil || l.User.Name != fmt.Sprintf("user %d", l.User.ID) {
			t.Errorf("listing %d of %v", l.ID, l.User)
		}
	}
	if (len(a.Listings) == 0) != (a.StartCursor == nil) || (a.StartCursor == nil) != (a.EndCursor == nil) {
		t.Errorf("%v: %d listings from %v to %v", query, len(a.Listings), a.StartCursor, a.EndCursor)
	}
	return a
}

// TestCursors pages through lists in every order, with every kind of filter, forward
// and backward, and compares them with a list that is sorted in memory.
func TestCursors(t *testing.T) {
	b := newTestAPI(t)
	rows := b.fill(t, 97)
	middle := rows[len(rows)/2].CreatedAt
	for _, order := range []listings.Order{listings.Newest, listings.Oldest, listings.PriceAsc, listings.PriceDesc} {
		for filter, keep := range map[string]func(*listings.Listing) bool{
			"":                  func(*listings.Listing) bool { return true },
			"user_id=2":         func(l *listings.Listing) bool { return l.UserID == 2 },
			"listing_type=sale": func(l *listings.Listing) bool { return l.Type == listings.Sale },
			"min_price=3000000000&max_price=5000000000":        func(l *listings.Listing) bool { return l.Price >= 3e9 && l.Price <= 5e9 },
			fmt.Sprintf("created_from=%d", middle):             func(l *listings.Listing) bool { return l.CreatedAt >= middle },
			fmt.Sprintf("created_before=%d&user_id=1", middle): func(l *listings.Listing) bool { return l.CreatedAt < middle && l.UserID == 1 },
			"user_id=3&listing_type=rent&min_price=2000000000": func(l *listings.Listing) bool { return l.UserID == 3 && l.Type == listings.Rent && l.Price >= 2e9 },
			"max_price=1": func(*listings.Listing) bool { return false },
			"user_id=4":   func(*listings.Listing) bool { return false },
			"min_price=9223372036854775807&listing_type=rent":         func(*listings.Listing) bool { return false },
			"created_before=9223372036854775807&max_price=" + biggest: func(*listings.Listing) bool { return true },
		} {
			want := slices.DeleteFunc(slices.Clone(rows), func(l listings.Listing) bool { return !keep(&l) })
			slices.SortFunc(want, func(a, b listings.Listing) int { return order.Compare(&a, &b) })
			for _, size := range []int{1, 7, maxPageSize} {
				if size == 1 && len(want) > 20 {
					continue
				}
				query, _ := url.ParseQuery(filter)
				query.Set("order", order.String())
				query.Set("page_size", fmt.Sprint(size))
				ids, last := b.pageThrough(t, query, "after", len(want))
				if !slices.Equal(ids, idsOf(want)) {
					t.Errorf("%v: got %v\nwant %v", query, ids, idsOf(want))
				}
				if len(want) == 0 {
					continue
				}
				query.Set("before", last)
				if ids, _ := b.pageThrough(t, query, "before", len(want)); !slices.Equal(ids, idsOf(want[:len(want)-1])) {
					t.Errorf("%v: got %v\nwant %v and one more", query, ids, idsOf(want))
				}
			}
		}
	}
}

const biggest = "9223372036854775807"

func idsOf(rows []listings.Listing) []int64 {
	ids := make([]int64, len(rows))
	for i := range rows {
		ids[i] = rows[i].ID
	}
	return ids
}

// pageThrough returns the ids of all pages of a list, in the order of the list, that
// begins or ends at query's cursor. The cursor is that of the last row, or of the
// first one in the direction before.
func (b *testAPI) pageThrough(t *testing.T, query url.Values, direction string, most int) (ids []int64, cursor string) {
	t.Helper()
	query = maps.Clone(query)
	for range most + 2 {
		a := b.list(t, query)
		var page []int64
		for _, l := range a.Listings {
			page = append(page, l.ID)
		}
		if direction == "after" {
			ids = append(ids, page...)
		} else {
			ids = append(page, ids...)
		}
		if len(page) > 0 {
			cursor = *a.EndCursor
			if direction == "before" {
				cursor = *a.StartCursor
			}
			query.Set(direction, cursor)
		}
		if !*a.HasMore {
			return ids, cursor
		}
	}
	t.Errorf("%v: has_more without end", query)
	return ids, cursor
}

// TestBadQueries tests that an error names the parameter.
func TestBadQueries(t *testing.T) {
	b := newTestAPI(t)
	b.fill(t, 3)
	page := b.list(t, url.Values{"order": {"newest"}})
	cursor := *page.EndCursor
	for query, want := range map[string]string{
		"order=up":                              "order: must be newest, oldest, price_asc or price_desc",
		"order=":                                "order: must be newest, oldest, price_asc or price_desc",
		"order=NEWEST":                          "order: must be newest, oldest, price_asc or price_desc",
		"order=newest&order=newest":             "order: given more than once",
		"listing_type=swap":                     "listing_type: must be rent or sale",
		"listing_type=":                         "listing_type: must be rent or sale",
		"min_price=0":                           "min_price: must be at least 1",
		"min_price=1.5":                         "min_price: must be a whole number",
		"max_price=-1":                          "max_price: must be at least 1",
		"max_price=" + biggest + "0":            "max_price: ",
		"min_price=2&max_price=1":               "min_price: must not be above max_price",
		"created_from=x":                        "created_from: must be a whole number",
		"created_from=2&created_before=2":       "created_from: must be below created_before",
		"created_before=":                       "created_before: must be a whole number",
		"after=":                                "after: is not a cursor of this service",
		"after=x":                               "after: is not a cursor of this service",
		"before=" + cursor + "=":                "before: is not a cursor of this service",
		"after=" + cursor + "&before=" + cursor: "before: not together with after",
		"after=" + cursor + "&order=oldest":     "after: belongs to another order",
		"before=" + cursor + "&order=price_asc": "before: belongs to another order",
		"after=" + cursor + "&page_num=2":       "page_num: not together with after",
		"order=oldest&page_size=51":             "page_size: must be at most 50",
		"order=oldest&page_num=0":               "page_num: must be at least 1",
		"order=oldest&user_id=0":                "user_id: must be at least 1",
		"paging=offset":                         "paging: must be keyset",
		"page_num=1.0":                          "page_num: must be a whole number",
		"user_id=1e3":                           "user_id: must be a whole number",
		"page_size=%zz":                         "query string: malformed",
	} {
		resp, text := b.do(t, "GET", "/public-api/listings?"+query, "")
		if resp.StatusCode != http.StatusBadRequest || !strings.HasPrefix(text, `{"result":false,"errors":["`+want) || resp.Header.Get("ETag") != "" {
			t.Errorf("%s: %d %s, want %s", query, resp.StatusCode, text, want)
		}
	}
	// A page after the last one is empty, not an error.
	for _, query := range []string{"page_num=" + biggest, "page_num=" + biggest + "&order=oldest", "page_num=99"} {
		if resp, text := b.do(t, "GET", "/public-api/listings?"+query, ""); resp.StatusCode != http.StatusOK || !strings.Contains(text, `"listings":[]`) {
			t.Errorf("%s: %d %s", query, resp.StatusCode, text)
		}
	}
	// A documented request gets the documented response and no more.
	if _, text := b.do(t, "GET", "/public-api/listings?page_num=1&page_size=2&user_id=1", ""); strings.Contains(text, "cursor") || strings.Contains(text, "has_more") {
		t.Errorf("got %s", text)
	}
}

// TestEntityTags tests that a client receives what is new, and 304 otherwise.
func TestEntityTags(t *testing.T) {
	b := newTestAPI(t)
	b.fill(t, 5)
	for _, target := range []string{"/public-api/listings", "/public-api/listings?order=price_asc&page_size=50", "/public-api/listings?user_id=1&paging=keyset"} {
		resp, text := b.do(t, "GET", target, "")
		tag := resp.Header.Get("ETag")
		if !strings.HasPrefix(tag, `"`) || resp.Header.Get("Cache-Control") != "no-cache" {
			t.Fatalf("%s: %v", target, resp.Header)
		}
		for _, given := range []string{tag, "W/" + tag, `"x", ` + tag, "*"} {
			resp, body := b.do(t, "GET", target, "", "If-None-Match", given)
			if resp.StatusCode != http.StatusNotModified || body != "" || resp.Header.Get("ETag") != tag {
				t.Errorf("%s with %s: %d %s %v", target, given, resp.StatusCode, body, resp.Header)
			}
		}
		for _, given := range []string{`"x"`, strings.Trim(tag, `"`), tag[:len(tag)-1], ""} {
			if resp, body := b.do(t, "GET", target, "", "If-None-Match", given); resp.StatusCode != http.StatusOK || body != text {
				t.Errorf("%s with %s: %d %s", target, given, resp.StatusCode, body)
			}
		}
		// The next request after a write sees it, with a tag of before and with many
		// requests at once.
		for range 20 {
			stop, readers := make(chan struct{}), sync.WaitGroup{}
			for range 3 {
				readers.Go(func() {
					for {
						select {
						case <-stop:
							return
						default:
							if resp, err := http.Get(b.url + target); err == nil {
								_, _ = io.Copy(io.Discard, resp.Body)
								resp.Body.Close()
							}
						}
					}
				})
			}
			b.create(t, "/public-api/listings", `{"user_id":1,"listing_type":"rent","price":1}`)
			resp, text := b.do(t, "GET", target, "", "If-None-Match", tag)
			close(stop)
			readers.Wait()
			if resp.StatusCode != http.StatusOK || resp.Header.Get("ETag") == tag {
				t.Fatalf("%s: %d %s after a write", target, resp.StatusCode, text)
			}
			tag = resp.Header.Get("ETag")
		}
	}
	// An incomplete response has no tag, and none is compared with it.
	b.users.Instead(fakebackend.Cut)
	resp, text := b.do(t, "GET", "/public-api/listings", "", "If-None-Match", "*")
	if resp.StatusCode != http.StatusOK || resp.Header.Get("ETag") != "" || resp.Header.Get("Cache-Control") != "no-store" ||
		!strings.HasSuffix(text, `"user":null}],"errors":["user service unavailable"]}`) {
		t.Errorf("%d %v %s", resp.StatusCode, resp.Header, text)
	}
}

const (
	oneListing = `{"user_id":1,"listing_type":"sale","price":6000}`
	other      = `{"user_id":1,"listing_type":"sale","price":6001}`
	mutation   = `{"query":"mutation { createListing(input: {userId: 1, listingType: SALE, price: 6000}) { listing { id price } } }"}`
	twice      = `{"query":"mutation { a: createListing(input: {userId: 1, listingType: SALE, price: 6000}) { listing { id } } b: createListing(input: {userId: 1, listingType: SALE, price: 6000}) { listing { id } } }"}`
)

// TestIdempotencyKey tests that a key creates once, through both APIs together.
func TestIdempotencyKey(t *testing.T) {
	b := newTestAPI(t)
	b.fill(t, 0)
	post := func(target, body, key string) (*http.Response, string) {
		return b.do(t, "POST", target, body, "Content-Type", "application/json", "Idempotency-Key", key)
	}
	const rest, gql, anyhow = "/public-api/listings", "/graphql", "anyhow"
	want := func(step string, resp *http.Response, text string, status int, replayed, part string) {
		t.Helper()
		if got := resp.Header.Get("Idempotency-Replayed"); resp.StatusCode != status || replayed != anyhow && got != replayed || !strings.Contains(text, part) {
			t.Errorf("%s: %d %q %s", step, resp.StatusCode, got, text)
		}
	}
	resp, first := post(rest, oneListing, "a")
	want("first", resp, first, 200, "", `"id":1,`)
	resp, text := post(rest, ` { "price": 6000, "user_id":1,"listing_type":"sale"}`, "a")
	want("same draft in other text", resp, text, 200, "true", first)
	resp, text = post(rest, other, "a")
	want("other body", resp, text, 422, "", "Idempotency-Key: already used with other parameters")
	resp, text = post(gql, mutation, "a")
	want("REST then GraphQL", resp, text, 200, anyhow, `{"data":{"createListing":{"listing":{"id":"1","price":6000}}}}`)
	resp, text = post(gql, strings.Replace(mutation, "6000", "6001", 1), "a")
	want("other body by GraphQL", resp, text, 200, "", `"IDEMPOTENCY_MISMATCH"`)
	resp, text = post(gql, mutation, "b")
	want("by GraphQL", resp, text, 200, "", `"id":"2"`)
	resp, text = post(rest, oneListing, "b")
	want("GraphQL then REST", resp, text, 200, "true", `"id":2,`)
	for range 2 {
		resp, text = post(gql, twice, "c")
		want("two mutations", resp, text, 200, anyhow, `{"data":{"a":{"listing":{"id":"3"}},"b":{"listing":{"id":"4"}}}}`)
	}
	for range 2 {
		resp, text = post("/public-api/users", `{"name":"x"}`, "a")
		want("users have keys of their own", resp, text, 200, anyhow, `"id":4,`)
	}
	resp, text = post("/public-api/users", `{"name":"y"}`, "a")
	want("another name", resp, text, 422, "", "Idempotency-Key: ")
	// A key of a refused creation is free.
	resp, text = post(rest, `{"user_id":99,"listing_type":"sale","price":1}`, "d")
	want("no such user", resp, text, 400, "", "user_id: no such user")
	resp, text = post(rest, oneListing, "d")
	want("after a refusal", resp, text, 200, "", `"id":5,`)
	for _, key := range []string{"", "a b", strings.Repeat("k", 256), "é"} {
		resp, text = post(rest, oneListing, key)
		want("bad key", resp, text, 400, "", "Idempotency-Key: must be 1 to 255 visible ASCII characters")
	}
	resp, text = b.do(t, "POST", rest, oneListing, "Content-Type", "application/json", "Idempotency-Key", "a", "Idempotency-Key", "a")
	want("two keys", resp, text, 400, "", "Idempotency-Key: given more than once")
}

// TestIdempotencyKeyInFlight sends a key again while its first request is in
// progress.
func TestIdempotencyKeyInFlight(t *testing.T) {
	b := newTestAPI(t)
	b.fill(t, 0)
	b.store.gate = make(chan struct{})
	first := make(chan string)
	go func() {
		req, _ := http.NewRequest("POST", b.url+"/public-api/listings", strings.NewReader(oneListing))
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Idempotency-Key", "a")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			first <- err.Error()
			return
		}
		defer resp.Body.Close()
		text, _ := io.ReadAll(resp.Body)
		first <- resp.Status + string(text)
	}()
	<-b.store.gate
	for _, body := range []string{oneListing, other} {
		resp, text := b.do(t, "POST", "/public-api/listings", body, "Content-Type", "application/json", "Idempotency-Key", "a")
		if resp.StatusCode != http.StatusConflict || resp.Header.Get("Retry-After") == "" || !strings.Contains(text, "Idempotency-Key: a request with this key is in progress") {
			t.Errorf("%d %v %s", resp.StatusCode, resp.Header, text)
		}
	}
	if resp, text := b.do(t, "POST", "/graphql", mutation, "Content-Type", "application/json", "Idempotency-Key", "a"); !strings.Contains(text, `"CONFLICT"`) {
		t.Errorf("%d %s", resp.StatusCode, text)
	}
	b.store.gate <- struct{}{}
	if got := <-first; !strings.HasPrefix(got, "200 OK{") {
		t.Error(got)
	}
	if _, text := b.do(t, "GET", "/public-api/listings", ""); strings.Count(text, `"price"`) != 1 {
		t.Errorf("got %s", text)
	}
}
