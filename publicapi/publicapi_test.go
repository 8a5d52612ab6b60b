package publicapi_test

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/veranda-go/veranda/backend/listings"
	"github.com/veranda-go/veranda/backend/users"
	"github.com/veranda-go/veranda/internal/apierror"
	"github.com/veranda-go/veranda/internal/backendclient"
	"github.com/veranda-go/veranda/internal/fakebackend"
	"github.com/veranda-go/veranda/internal/pagination"
	"github.com/veranda-go/veranda/publicapi"
)

const (
	maxPageSize = 100
	fanOut      = 16 // calls at once in place of a batch
)

// core is a core in front of a fake backend.
type core struct {
	*publicapi.API
	*fakebackend.Backend
	listings, users *fakebackend.Proxy
}

func newCore(t *testing.T) *core {
	t.Helper()
	b := &core{Backend: &fakebackend.Backend{}}
	b.listings, b.users = fakebackend.NewProxy(t, b.ListingService()), fakebackend.NewProxy(t, b.UserService())
	transport := backendclient.NewTransport()
	t.Cleanup(transport.CloseIdleConnections)
	client := func(service, url string) *backendclient.Client {
		c, err := backendclient.NewClient(service, url, 10*time.Second, transport)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	b.API = publicapi.New(listings.NewClient(client("listing service", b.listings.URL)),
		users.NewClient(client("user service", b.users.URL)), publicapi.Config{MaxPageSize: maxPageSize})
	return b
}

// ctx returns the context of a new request.
func (b *core) ctx(t *testing.T) context.Context { return b.WithLoaders(t.Context()) }

// owners returns, in a new request, the users of listings of these users.
func (b *core) owners(t *testing.T, userIDs ...int64) ([]*users.User, []error) {
	t.Helper()
	list := make([]*listings.Listing, len(userIDs))
	for i, id := range userIDs {
		list[i] = &listings.Listing{UserID: id}
	}
	return b.Owners(b.ctx(t), list)
}

// wantRoutes checks the requests that a proxy recorded, such as "GET /users ×1".
func wantRoutes(t *testing.T, proxy *fakebackend.Proxy, want ...string) {
	t.Helper()
	lines := proxy.Routes()
	slices.Sort(want)
	if !slices.Equal(lines, want) {
		t.Errorf("requests %q, want %q", lines, want)
	}
}

func wantKind(t *testing.T, err error, kind apierror.Kind, message string) {
	t.Helper()
	if err == nil {
		t.Errorf("no error, want %q", message)
		return
	}
	f := apierror.From(err)
	if got := strings.Join(f.Messages(), "; "); f.Kind != kind || got != message {
		t.Errorf("got kind %d %q, want kind %d %q", f.Kind, got, kind, message)
	}
}

func noErrors(t *testing.T, errs []error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestOwnersWithBatch(t *testing.T) {
	b := newCore(t)
	b.Batch.Store(true)
	for range 3 {
		b.AddUser("Grace")
	}
	ctx := b.ctx(t)
	list := []*listings.Listing{{UserID: 3}, {UserID: 1}, {UserID: 3}, {UserID: 9}, {UserID: 0}, {UserID: -4}}
	for range 2 { // the second time from the loader
		found, errs := b.Owners(ctx, list)
		noErrors(t, errs)
		if found[0].ID != 3 || found[1].ID != 1 || found[2].ID != 3 || found[3] != nil || found[4] != nil || found[5] != nil {
			t.Errorf("got %v", found)
		}
	}
	for _, call := range b.users.Calls() {
		if ids := call.Query["id"]; call.Route != "GET /users/batch" || !slices.Equal(ids, []string{"3", "1", "9"}) {
			t.Errorf("request %v", call)
		}
	}
	// User 1 is loaded already.
	_, errs := b.Owners(ctx, []*listings.Listing{{UserID: 1}, {UserID: 2}})
	noErrors(t, errs)
	if calls := b.users.Calls(); len(calls) != 1 || !slices.Equal(calls[0].Query["id"], []string{"2"}) {
		t.Errorf("requests %v", calls)
	}
	if found, errs := b.Owners(ctx, nil); len(found) != 0 || len(errs) != 0 {
		t.Errorf("got %v, %v", found, errs)
	}
	wantRoutes(t, b.users)
}

// A loader does not outlive its request.
func TestRequestsDoNotShare(t *testing.T) {
	b := newCore(t)
	b.Batch.Store(true)
	b.AddUser("Grace")
	for range 2 {
		_, errs := b.owners(t, 1)
		noErrors(t, errs)
	}
	wantRoutes(t, b.users, "GET /users/batch ×2")
}

func TestLargeBatchesAreSplit(t *testing.T) {
	b := newCore(t)
	b.Batch.Store(true)
	ids := make([]int64, 0, 2500)
	owners := make([]*users.User, 0, 2500)
	for i := range int64(2500) {
		b.AddUser("Grace")
		ids, owners = append(ids, i+1), append(owners, &users.User{ID: i + 1})
	}
	found, errs := b.owners(t, ids...)
	noErrors(t, errs)
	for i, u := range found {
		if u == nil || u.ID != ids[i] {
			t.Fatalf("user %d is %v", ids[i], u)
		}
	}
	wantRoutes(t, b.users, "GET /users/batch ×3")
	_, errs = b.ListingsOf(b.ctx(t), owners, 1)
	noErrors(t, errs)
	wantRoutes(t, b.listings, "GET /listings/batch ×3")
}

func TestOwnersWithoutBatch(t *testing.T) {
	for name, swallow := range map[string]bool{"no such route": false, "batch is read as an id": true} {
		t.Run(name, func(t *testing.T) {
			b := newCore(t)
			b.BatchIsID.Store(swallow)
			var ids []int64
			for range 40 {
				ids = append(ids, b.AddUser("Grace"))
			}
			ids = append(ids, ids...)
			ids = append(ids, 999)
			found, errs := b.owners(t, ids...)
			noErrors(t, errs)
			for i, u := range found[:80] {
				if u == nil || u.ID != ids[i] {
					t.Errorf("user %d is %v", ids[i], u)
				}
			}
			if found[80] != nil {
				t.Errorf("user 999 is %v", found[80])
			}
			if most := b.users.MostAtOnce(); most > fanOut {
				t.Errorf("%d calls at once", most)
			}
			wantRoutes(t, b.users, "GET /users/batch ×1", "GET /users/{id} ×41")
			// The batch route is not tried again soon.
			_, errs = b.owners(t, 1, 2, 2)
			noErrors(t, errs)
			wantRoutes(t, b.users, "GET /users/{id} ×2")
		})
	}
}

// The core notices when the backend is upgraded to one with the batch routes, and
// when it is rolled back.
func TestBatchRouteAppearsAndDisappears(t *testing.T) {
	b := newCore(t)
	now := time.Now()
	b.SetNow(func() time.Time { return now })
	var owners []*users.User
	for range 3 {
		id := b.AddUser("Grace")
		b.AddListing(id, "rent", 1)
		owners = append(owners, &users.User{ID: id})
	}
	check := func(users, listings []string) {
		t.Helper()
		found, errs := b.owners(t, 1, 2, 3)
		noErrors(t, errs)
		lists, errs := b.ListingsOf(b.ctx(t), owners, 5)
		noErrors(t, errs)
		for i := range 3 {
			if id := int64(i + 1); found[i].ID != id || len(lists[i]) != 1 || lists[i][0].UserID != id {
				t.Errorf("got %v and %v", found[i], lists[i])
			}
		}
		wantRoutes(t, b.users, users...)
		wantRoutes(t, b.listings, listings...)
	}
	singles := []string{"GET /users/{id} ×3"}
	pages := []string{"GET /listings ×3"}

	check(append(singles, "GET /users/batch ×1"), append(pages, "GET /listings/batch ×1"))
	b.Batch.Store(true)
	now = now.Add(publicapi.Recheck - 1)
	check(singles, pages)
	now = now.Add(1)
	check([]string{"GET /users/batch ×1"}, []string{"GET /listings/batch ×1"})
	check([]string{"GET /users/batch ×1"}, []string{"GET /listings/batch ×1"})
	b.Batch.Store(false)
	check(append(singles, "GET /users/batch ×1"), append(pages, "GET /listings/batch ×1"))
	check(singles, pages)
}

// A batch route whose response is another one's, or that fails where the
// documented route works, counts as missing.
func TestInvalidBatchRoutes(t *testing.T) {
	for name, bad := range map[string]http.HandlerFunc{
		"other shape": fakebackend.OtherShape,
		"other users": func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, `{"result":true,"users":[{"id":7,"name":"x"},{"id":1,"name":"x"}],"listings":[{"id":7,"user_id":7}]}`)
		},
		"failure envelope with 200": func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, `{"result":false,"errors":["invalid id"]}`)
		},
		"405": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusMethodNotAllowed) },
		"501": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotImplemented) },
		"500": fakebackend.Trace, // "batch" was read as an id
	} {
		t.Run(name, func(t *testing.T) {
			b := newCore(t)
			b.AddUser("Ada")
			b.AddUser("Lin")
			b.AddListing(2, "rent", 5)
			instead := func(proxy *fakebackend.Proxy, service http.Handler) {
				proxy.Instead(func(w http.ResponseWriter, r *http.Request) {
					if strings.HasSuffix(r.URL.Path, "/batch") {
						bad(w, r)
					} else {
						service.ServeHTTP(w, r)
					}
				})
			}
			instead(b.users, b.UserService())
			instead(b.listings, b.ListingService())

			found, errs := b.owners(t, 2, 1)
			noErrors(t, errs)
			if found[0].Name != "Lin" || found[1].Name != "Ada" {
				t.Errorf("got %v and %v", found[0], found[1])
			}
			lists, errs := b.ListingsOf(b.ctx(t), []*users.User{{ID: 1}, {ID: 2}}, 3)
			noErrors(t, errs)
			if len(lists[0]) != 0 || len(lists[1]) != 1 || lists[1][0].Price != 5 {
				t.Errorf("got %v", lists)
			}
		})
	}
}

func TestListingsOf(t *testing.T) {
	for name, batch := range map[string]bool{"with batch": true, "without": false} {
		t.Run(name, func(t *testing.T) {
			b := newCore(t)
			b.Batch.Store(batch)
			for i := range int64(60) {
				b.AddListing(i%3+1, "sale", i+1)
			}
			owners := []*users.User{{ID: 2}, {ID: 9}, {ID: 1}, {ID: 2}}
			lists, errs := b.ListingsOf(b.ctx(t), owners, 2)
			noErrors(t, errs)
			var prices [][]int64
			for _, list := range lists {
				var p []int64
				for _, l := range list {
					p = append(p, l.Price)
				}
				prices = append(prices, p)
			}
			if got, want := fmt.Sprint(prices), "[[59 56] [] [58 55] [59 56]]"; got != want {
				t.Errorf("got %s, want %s", got, want)
			}
			if batch {
				wantRoutes(t, b.listings, "GET /listings/batch ×1")
			} else {
				wantRoutes(t, b.listings, "GET /listings/batch ×1", "GET /listings ×3")
			}
		})
	}
}

// Loaders of two sizes in one request are not mixed up.
func TestListingsOfTwoSizes(t *testing.T) {
	b := newCore(t)
	b.Batch.Store(true)
	for range 5 {
		b.AddListing(1, "rent", 1)
	}
	ctx := b.ctx(t)
	for _, first := range []int64{1, 3, 1} {
		lists, errs := b.ListingsOf(ctx, []*users.User{{ID: 1}}, first)
		noErrors(t, errs)
		if got := int64(len(lists[0])); got != first {
			t.Errorf("got %d listings, want %d", got, first)
		}
	}
	wantRoutes(t, b.listings, "GET /listings/batch ×2")
}

func TestLimits(t *testing.T) {
	b := newCore(t)
	for _, test := range []struct {
		num, size int64
		want      string
	}{
		{0, 10, "page_num: must be at least 1"},
		{-1, 10, "page_num: must be at least 1"},
		{1, 0, "page_size: must be at least 1"},
		{1, 101, "page_size: must be at most 100"},
		{math.MinInt64, math.MaxInt64, "page_num: must be at least 1; page_size: must be at most 100"},
	} {
		_, err := b.Listings(b.ctx(t), pagination.Page{Num: test.num, Size: test.size}, 0)
		wantKind(t, err, apierror.Invalid, test.want)
		_, err = b.Users(b.ctx(t), pagination.Page{Num: test.num, Size: test.size})
		wantKind(t, err, apierror.Invalid, test.want)
	}
	_, errs := b.ListingsOf(b.ctx(t), []*users.User{{ID: 1}, {ID: 2}}, 101)
	for _, err := range errs {
		wantKind(t, err, apierror.Invalid, "first: must be at most 100")
	}
	if found, err := b.Listings(b.ctx(t), pagination.Page{Num: math.MaxInt64, Size: 100}, 0); err != nil || len(found) != 0 {
		t.Errorf("got %v, %v", found, err)
	}
	if found, err := b.Users(b.ctx(t), pagination.Page{Num: math.MaxInt64, Size: 100}); err != nil || len(found) != 0 {
		t.Errorf("got %v, %v", found, err)
	}
	wantRoutes(t, b.listings)
	wantRoutes(t, b.users)
}

func TestListingByID(t *testing.T) {
	b := newCore(t)
	const unsupported = "listing by id: not supported by this backend"
	if l, err := b.Listing(b.ctx(t), 1); l != nil || err != nil {
		t.Errorf("without any listing: got %v, %v", l, err)
	}
	id := b.AddListing(1, "rent", 5)
	for _, wanted := range []int64{id, id + 1} {
		_, err := b.Listing(b.ctx(t), wanted)
		wantKind(t, err, apierror.Unsupported, unsupported)
	}
}

// Whether a listing or the route is missing takes two more calls to find out, but
// only the first time.
func TestListingByIDWithRoute(t *testing.T) {
	b := newCore(t)
	now := time.Now()
	b.SetNow(func() time.Time { return now })
	store := func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/listings/1":
			fmt.Fprint(w, `{"result":true,"listing":{"id":1,"user_id":2,"listing_type":"sale","price":7,"created_at":1,"updated_at":1}}`)
		case "/listings":
			fmt.Fprint(w, `{"result":true,"listings":[{"id":1,"user_id":2,"listing_type":"sale","price":7,"created_at":1,"updated_at":1}]}`)
		default:
			http.NotFound(w, r)
		}
	}
	b.listings.Instead(store)
	check := func(id int64, want bool, calls int) {
		t.Helper()
		l, err := b.Listing(b.ctx(t), id)
		if err != nil || (l != nil) != want {
			t.Errorf("listing %d: got %v, %v", id, l, err)
		}
		if got := len(b.listings.Calls()); got != calls {
			t.Errorf("listing %d: %d calls, want %d", id, got, calls)
		}
	}
	check(9, false, 3)
	check(9, false, 1)
	check(1, true, 1)
	now = now.Add(publicapi.Recheck)
	check(9, false, 3)
	now = now.Add(publicapi.Recheck)
	check(1, true, 1)
	check(9, false, 1)
}

func TestCreate(t *testing.T) {
	b := newCore(t)
	u, _, err := b.CreateUser(b.ctx(t), users.Draft{Name: "a&user_id=2"}, "")
	if err != nil || u.ID != 1 || u.Name != "a&user_id=2" {
		t.Fatalf("got %v, %v", u, err)
	}
	l, _, err := b.CreateListing(b.ctx(t), listings.Draft{UserID: u.ID, Type: listings.Sale, Price: math.MaxInt64}, "")
	if err != nil || l.UserID != u.ID || l.Type != listings.Sale || l.Price != math.MaxInt64 {
		t.Fatalf("got %v, %v", l, err)
	}
	_, _, err = b.CreateListing(b.ctx(t), listings.Draft{UserID: 2, Type: listings.Sale, Price: 1}, "")
	wantKind(t, err, apierror.Invalid, "user_id: no such user")
	b.listings.Calls()
	b.users.Calls()
	_, _, err = b.CreateListing(b.ctx(t), listings.Draft{Type: "swap"}, "")
	wantKind(t, err, apierror.Invalid, "user_id: must be at least 1; listing_type: must be rent or sale; price: must be at least 1")
	_, _, err = b.CreateUser(b.ctx(t), users.Draft{Name: " "}, "")
	wantKind(t, err, apierror.Invalid, "name: must not be empty")
	wantRoutes(t, b.listings) // the core refused the drafts
	wantRoutes(t, b.users)
}

// A server without the documented routes is no listing service: it counts as
// unavailable.
func TestDocumentedRoutesMissing(t *testing.T) {
	b := newCore(t)
	b.AddUser("Ada")
	b.listings.Instead(http.NotFound)
	_, err := b.Listings(b.ctx(t), pagination.Page{Num: 1, Size: 1}, 0)
	wantKind(t, err, apierror.Unavailable, "listing service unavailable")
	_, err = b.Listing(b.ctx(t), 1)
	wantKind(t, err, apierror.Unavailable, "listing service unavailable")
	_, _, err = b.CreateListing(b.ctx(t), listings.Draft{UserID: 1, Type: listings.Rent, Price: 1}, "")
	wantKind(t, err, apierror.Unavailable, "listing service unavailable")
	_, errs := b.ListingsOf(b.ctx(t), []*users.User{{ID: 1}}, 1)
	wantKind(t, errs[0], apierror.Unavailable, "listing service unavailable")
	b.users.Instead(http.NotFound)
	_, err = b.Users(b.ctx(t), pagination.Page{Num: 1, Size: 1})
	wantKind(t, err, apierror.Unavailable, "user service unavailable")
	_, _, err = b.CreateUser(b.ctx(t), users.Draft{Name: "Ada"}, "")
	wantKind(t, err, apierror.Unavailable, "user service unavailable")
}

func TestReady(t *testing.T) {
	b := newCore(t)
	if err := b.Ready(t.Context()); err != nil {
		t.Error(err)
	}
	b.listings.Instead(fakebackend.Cut)
	wantKind(t, b.Ready(t.Context()), apierror.Unavailable, "listing service unavailable")
	b.users.Instead(fakebackend.Trace)
	wantKind(t, b.Ready(t.Context()), apierror.Unavailable, "listing service unavailable; user service unavailable")
	b.listings.Instead(nil)
	wantKind(t, b.Ready(t.Context()), apierror.Unavailable, "user service unavailable")
	b.users.Instead(nil)
	if err := b.Ready(t.Context()); err != nil {
		t.Error(err)
	}
}

// In place of a batch, fanOut calls run at once, and the first failure cancels the
// others.
func TestFallbackStopsAtTheFirstFailure(t *testing.T) {
	b := newCore(t)
	arrived, gone := make(chan struct{}, 100), make(chan struct{}, 100)
	hang := fakebackend.Hang(gone)
	b.users.Instead(func(w http.ResponseWriter, r *http.Request) {
		switch filepath.Base(r.URL.Path) {
		case "batch":
			http.NotFound(w, r)
		case "16":
			for range fanOut - 1 {
				<-arrived
			}
			select {
			case <-arrived:
				t.Errorf("more than %d calls at once", fanOut)
			case <-time.After(100 * time.Millisecond):
			}
			fakebackend.Trace(w, r)
		default:
			arrived <- struct{}{}
			hang(w, r)
		}
	})
	ids := make([]int64, 50)
	for i := range ids {
		ids[i] = int64(i + 1)
	}
	_, errs := b.owners(t, ids...)
	for _, err := range errs {
		wantKind(t, err, apierror.Unavailable, "user service unavailable")
	}
	for range fanOut - 1 {
		<-gone
	}
	if most := b.users.MostAtOnce(); most != fanOut {
		t.Errorf("%d calls at once, want %d", most, fanOut)
	}
}

// Fields of one request may load at the same time.
func TestConcurrentOwners(t *testing.T) {
	b := newCore(t)
	b.Batch.Store(true)
	for range 50 {
		b.AddUser("Grace")
	}
	ctx := b.ctx(t)
	failed := make(chan string, 20)
	for i := range 20 {
		go func() {
			var list []*listings.Listing
			for id := i; id < i+20; id++ {
				list = append(list, &listings.Listing{UserID: int64(id + 1)})
			}
			found, errs := b.Owners(ctx, list)
			for i, u := range found {
				if errs != nil || u == nil || u.ID != list[i].UserID {
					failed <- fmt.Sprintf("user %d is %v, %v", list[i].UserID, u, errs)
					return
				}
			}
			failed <- ""
		}()
	}
	for range 20 {
		if text := <-failed; text != "" {
			t.Error(text)
		}
	}
	loaded := map[string]int{}
	for _, c := range b.users.Calls() {
		for _, id := range c.Query["id"] {
			loaded[id]++
		}
	}
	if len(loaded) != 39 {
		t.Errorf("%d users were loaded, want 39", len(loaded))
	}
	for id, n := range loaded {
		if n != 1 {
			t.Errorf("user %s was loaded %d times", id, n)
		}
	}
}
