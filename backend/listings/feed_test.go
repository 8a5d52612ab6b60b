package listings_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/veranda-go/veranda/backend/listings"
	"github.com/veranda-go/veranda/backend/listings/sqlite"
	"github.com/veranda-go/veranda/internal/apierror"
	"github.com/veranda-go/veranda/internal/httpapi"
)

func TestFeed(t *testing.T) {
	t.Parallel()
	s, ctx := serve(t), t.Context()
	if f, err := s.Feed(ctx, -1, 0, 10, 0); err != nil || f.LastID != 0 || len(f.Listings) != 0 {
		t.Errorf("empty: %+v, %v", f, err)
	}
	wantBody := func(target, want string) {
		t.Helper()
		if resp, body := s.do(t, "GET", target, "", ""); resp.StatusCode != 200 || body != want {
			t.Errorf("%s: %d\n got %s\nwant %s", target, resp.StatusCode, body, want)
		}
	}
	wantBody("/listings/feed", `{"result":true,"listings":[],"last_id":0}`)
	wantBody("/listings/feed?after=7&wait=1", `{"result":true,"listings":[],"last_id":7}`)

	// Several wait at once, two of them for user 2.
	type result struct {
		user int64
		feed listings.Feed
		err  error
	}
	results := make(chan result)
	for _, user := range []int64{0, 0, 2, 2} {
		go func() {
			f, err := s.Feed(ctx, 0, user, 10, listings.MaxWait)
			results <- result{user, f, err}
		}()
	}
	var made []listings.Listing
	expect := func(user int64) {
		t.Helper()
		l, _, err := s.store.Create(ctx, listings.Draft{UserID: user, Type: listings.Rent, Price: 5}, "")
		if err != nil {
			t.Fatal(err)
		}
		made = append(made, l)
		for range 2 {
			r := <-results
			if r.err != nil || len(r.feed.Listings) == 0 || r.feed.LastID != r.feed.Listings[len(r.feed.Listings)-1].ID {
				t.Errorf("user %d: %+v, %v", r.user, r.feed, r.err)
				continue
			}
			if r.user == 2 && r.feed.Listings[0].UserID != 2 {
				t.Errorf("user 2 got %+v", r.feed.Listings)
			}
		}
	}
	expect(1)
	expect(2)
	one := fmt.Sprintf(`{"id":2,"user_id":2,"listing_type":"rent","price":5,"created_at":%d,"updated_at":%[1]d}`, made[1].CreatedAt)
	wantBody("/listings/feed?after=1", `{"result":true,"listings":[`+one+`],"last_id":2}`)
	wantBody("/listings/feed?after=0&user_id=2&page_size=1&wait=20000", `{"result":true,"listings":[`+one+`],"last_id":2}`)
	wantBody("/listings/feed?after=0&user_id=3", `{"result":true,"listings":[],"last_id":2}`)
	wantBody("/listings/feed?wait=20000", `{"result":true,"listings":[],"last_id":2}`)

	for query, param := range map[string]string{
		"after=": "after", "after=-1": "after", "after=x": "after", "after=1&after=1": "after", "after=9223372036854775808": "after",
		"wait=": "wait", "wait=-1": "wait", "wait=20001": "wait", "wait=1s": "wait", "wait=9223372036854775807": "wait", "wait=1&wait=1": "wait",
		"page_size=0": "page_size", "page_size=101": "page_size", "user_id=0": "user_id", "user_id=1&user_id=2": "user_id",
	} {
		resp, body := s.do(t, "GET", "/listings/feed?"+query, "", "")
		wantErrors(t, resp, body, http.StatusBadRequest, param)
	}
	other := client(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"result":true,"listings":[]}`)) })
	if _, err := other.Feed(ctx, 0, 0, 10, 0); apierror.KindOf(err) != apierror.Unsupported {
		t.Errorf("service without a feed: %v", err)
	}
}

// TestFeedOfOtherProcess waits for what another store on the same file creates.
func TestFeedOfOtherProcess(t *testing.T) {
	t.Parallel()
	s := serve(t)
	got := make(chan error)
	go func() {
		f, err := s.Feed(t.Context(), 0, 0, 10, listings.MaxWait)
		if err == nil && (f.LastID != 1 || len(f.Listings) != 1) {
			err = fmt.Errorf("got %+v", f)
		}
		got <- err
	}()
	other, err := sqlite.Open(t.Context(), s.path)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if _, _, err := other.Create(t.Context(), listings.Draft{UserID: 1, Type: listings.Rent, Price: 5}, ""); err != nil {
		t.Fatal(err)
	}
	if err := <-got; err != nil {
		t.Error(err)
	}
}

// TestFeedAndDeadline waits for longer than the request may take: an empty
// response comes in time.
func TestFeedAndDeadline(t *testing.T) {
	t.Parallel()
	s := serve(t)
	r := httpapi.NewRouter()
	listings.NewHandler(s.store, maxPageSize, slog.New(slog.DiscardHandler)).Routes(r)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		ctx, cancel := context.WithTimeout(req.Context(), 1200*time.Millisecond)
		defer cancel()
		r.ServeHTTP(w, req.WithContext(ctx))
	}))
	defer server.Close()
	s.url = server.URL
	resp, body := s.do(t, "GET", "/listings/feed?after=0&wait=20000", "", "")
	if resp.StatusCode != 200 || body != `{"result":true,"listings":[],"last_id":0}` {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
}

// TestFeedAndStop waits while the server drains.
func TestFeedAndStop(t *testing.T) {
	t.Parallel()
	s := serve(t)
	drain, stop := context.WithCancel(t.Context())
	r := httpapi.NewRouter()
	listings.NewHandler(s.store, maxPageSize, slog.New(slog.DiscardHandler)).Routes(r)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		time.AfterFunc(50*time.Millisecond, stop)
		ctx, cancel := httpapi.WithTimeout(req.Context(), drain)
		defer cancel()
		r.ServeHTTP(w, req.WithContext(ctx))
	}))
	defer server.Close()
	s.url = server.URL
	start := time.Now()
	resp, body := s.do(t, "GET", "/listings/feed?after=0&wait=20000", "", "")
	if resp.StatusCode != 200 || body != `{"result":true,"listings":[],"last_id":0}` || time.Since(start) >= listings.MaxWait {
		t.Errorf("%d %s after %v", resp.StatusCode, body, time.Since(start))
	}
}
