package publicapi_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/veranda-go/veranda/backend/listings"
	listingslite "github.com/veranda-go/veranda/backend/listings/sqlite"
	"github.com/veranda-go/veranda/internal/apierror"
	"github.com/veranda-go/veranda/internal/backendclient"
	"github.com/veranda-go/veranda/internal/fakebackend"
	"github.com/veranda-go/veranda/internal/httpapi"
	"github.com/veranda-go/veranda/publicapi"
)

// feedCore is a core in front of the real listing service, which has a feed.
type feedCore struct {
	*core
	store   listings.Store
	service http.Handler
}

func newFeedCore(t *testing.T) *feedCore {
	t.Helper()
	store, err := listingslite.Open(t.Context(), filepath.Join(t.TempDir(), "listings.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	b := &feedCore{core: newCore(t), store: store}
	r := httpapi.NewRouter()
	listings.NewHandler(store, maxPageSize, slog.New(slog.DiscardHandler)).Routes(r)
	b.service = r
	b.listings.Instead(r.ServeHTTP)
	return b
}

// create adds n listings, of users 1 and 2 in turn.
func (b *feedCore) create(t *testing.T, n int) {
	t.Helper()
	const atOnce = 20 // which share commits
	var wg sync.WaitGroup
	for range atOnce {
		wg.Go(func() {
			for i := range n / atOnce {
				d := listings.Draft{UserID: int64(i%2 + 1), Type: listings.Rent, Price: 1}
				if _, _, err := b.store.Create(t.Context(), d, ""); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// follower follows the feed until stop is called.
type follower struct {
	ids    chan int64
	cursor string // valid when done is closed
	stop   func()
	done   chan struct{}
}

var errLeave = errors.New("enough")

func (b *feedCore) follow(t *testing.T, userID int64, after string) *follower {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	run, err := b.Follow(ctx, userID, after)
	if err != nil {
		t.Fatal(err)
	}
	f := &follower{ids: make(chan int64), stop: cancel, done: make(chan struct{})}
	go func() {
		defer close(f.done)
		err := run(ctx, func(batch []publicapi.ListingCreated) error {
			for _, e := range batch {
				select {
				case f.ids <- e.Listing.ID:
					f.cursor = e.Cursor
				case <-ctx.Done():
					return errLeave
				}
			}
			return nil
		})
		if !errors.Is(err, context.Canceled) && !errors.Is(err, errLeave) {
			t.Errorf("ended with %v", err)
		}
	}()
	t.Cleanup(f.leave)
	return f
}

func (f *follower) leave() {
	f.stop()
	<-f.done
}

// wants receives these ids, one by one.
func (f *follower) wants(t *testing.T, from, to, step int64) {
	t.Helper()
	for id := from; id <= to; id += step {
		select {
		case got := <-f.ids:
			if got != id {
				t.Fatalf("got listing %d, want %d", got, id)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("no listing %d", id)
		}
	}
}

func (b *feedCore) end(t *testing.T) string {
	t.Helper()
	cursor, err := b.FeedEnd(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return cursor
}

// TestFollowFromFarBehind has a follower that begins further back than the
// listings in memory reach, one at the end, and one that falls behind later.
func TestFollowFromFarBehind(t *testing.T) {
	b := newFeedCore(t)
	start := b.end(t)
	near := b.follow(t, 0, start)
	lazy := b.follow(t, 0, start)
	b.create(t, 40)
	near.wants(t, 1, 40, 1)
	lazy.wants(t, 1, 1, 1)
	const many = 40 + 2*publicapi.FeedMemory/20*20
	b.create(t, many-40)
	near.wants(t, 41, many, 1)
	far := b.follow(t, 0, start)
	far.wants(t, 1, many, 1)
	lazy.wants(t, 2, many, 1)
	middle := b.follow(t, 0, "")
	b.create(t, 20)
	for _, f := range []*follower{near, far, lazy, middle} {
		f.wants(t, many+1, many+20, 1)
	}
	far.leave()
	b.create(t, 20)
	again := b.follow(t, 0, far.cursor)
	again.wants(t, many+21, many+40, 1)
}

// TestFollowOneUser follows the listings of one user, from memory and from the
// backend.
func TestFollowOneUser(t *testing.T) {
	b := newFeedCore(t)
	create := func(n int) {
		for i := range n {
			if _, _, err := b.store.Create(t.Context(), listings.Draft{UserID: int64(i%2 + 1), Type: listings.Sale, Price: 1}, ""); err != nil {
				t.Fatal(err)
			}
		}
	}
	start := b.end(t)
	create(300)
	odd, even := b.follow(t, 1, start), b.follow(t, 2, start)
	odd.wants(t, 1, 299, 2)
	even.wants(t, 2, 300, 2)
	create(30)
	odd.wants(t, 301, 329, 2)
	even.wants(t, 302, 330, 2)
}

// TestFollowThroughFailures tests that no listing is lost while the listing
// service is unavailable or sends invalid responses.
func TestFollowThroughFailures(t *testing.T) {
	b := newFeedCore(t)
	f := b.follow(t, 0, b.end(t))
	b.create(t, 20)
	f.wants(t, 1, 20, 1)
	for name, bad := range map[string]http.HandlerFunc{
		"cut": fakebackend.Cut, "500": fakebackend.Trace, "garbage": fakebackend.Garbage, "404": http.NotFound, "half": fakebackend.Half,
	} {
		b.listings.Instead(bad)
		b.listings.Calls()
		b.create(t, 20) // ends the call that waits
		deadline := time.Now().Add(20 * time.Second)
		for len(b.listings.Calls()) == 0 {
			if time.Now().After(deadline) {
				t.Fatalf("%s: no call", name)
			}
			time.Sleep(10 * time.Millisecond)
		}
		b.listings.Instead(b.service.ServeHTTP)
	}
	f.wants(t, 21, 120, 1)
}

// TestFollowAfterLoss tests that a listing service that was restored from a backup
// is called with pauses, and followed again once it is past the cursor.
func TestFollowAfterLoss(t *testing.T) {
	b := newFeedCore(t)
	start := b.end(t)
	b.create(t, 40)
	near := b.follow(t, 0, "") // lets the memory begin at 40
	near.leave()
	keep := b.follow(t, 0, "")
	b.create(t, 20)
	keep.wants(t, 41, 60, 1)

	empty := newFeedCore(t)
	b.listings.Instead(empty.service.ServeHTTP)
	behind := b.follow(t, 0, start)
	time.Sleep(50 * time.Millisecond)
	b.listings.Calls()
	time.Sleep(300 * time.Millisecond)
	if n := len(b.listings.Calls()); n > 10 {
		t.Errorf("%d calls in 0.3 s", n)
	}
	b.listings.Instead(b.service.ServeHTTP)
	behind.wants(t, 1, 60, 1)
}

// TestFeedStopsWithLastFollower tests that one call waits for any number of
// followers, and none without followers.
func TestFeedStopsWithLastFollower(t *testing.T) {
	b := newFeedCore(t)
	waiting := func(want int) {
		t.Helper()
		for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
			b.listings.Calls() // so that MostAtOnce counts the calls in progress
			got := b.listings.MostAtOnce()
			if got == want {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("%d calls wait, want %d", got, want)
			}
		}
	}
	for range 3 {
		followers := make([]*follower, 50)
		for i := range followers {
			followers[i] = b.follow(t, 0, "")
		}
		waiting(1)
		for _, f := range followers[1:] {
			f.leave()
		}
		waiting(1)
		followers[0].leave()
		waiting(0)
	}
	// Followers that come and go at the same time leave one call.
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			for range 50 {
				ctx, cancel := context.WithCancel(t.Context())
				run, err := b.Follow(ctx, 0, "")
				if err != nil {
					t.Error(err)
				} else {
					time.AfterFunc(time.Millisecond, cancel)
					_ = run(ctx, func([]publicapi.ListingCreated) error { return nil })
				}
				cancel()
			}
		})
	}
	wg.Wait()
	waiting(0)
	f := b.follow(t, 0, "")
	waiting(1)
	b.create(t, 20)
	f.wants(t, 1, 20, 1)
}

func TestFollowRefusals(t *testing.T) {
	b := newFeedCore(t)
	for _, cursor := range []string{"x", "feed1:0", "ZmVlZDE6LTE", "ZmVlZDE6MDE", "ZmVlZDA6MQ", b.end(t) + "="} {
		_, err := b.Follow(t.Context(), 0, cursor)
		wantKind(t, err, apierror.Invalid, "after: is not a cursor of this feed")
	}
	const unsupported = "listingCreated: not supported by this backend"
	for name, bad := range map[string]http.HandlerFunc{"documented routes alone": nil, "other shape": fakebackend.OtherShape, "404": http.NotFound} {
		b.listings.Instead(bad)
		for _, cursor := range []string{"", "ZmVlZDE6MA"} {
			if _, err := b.Follow(t.Context(), 0, cursor); err == nil {
				t.Errorf("%s: no error", name)
			} else {
				wantKind(t, err, apierror.Unsupported, unsupported)
			}
		}
	}
	b.listings.Instead(fakebackend.Cut)
	_, err := b.Follow(t.Context(), 0, "")
	wantKind(t, err, apierror.Unavailable, "listing service unavailable")
}

// TestFeedOfSmallPages follows a listing service that allows only small pages.
func TestFeedOfSmallPages(t *testing.T) {
	b := newFeedCore(t)
	r := httpapi.NewRouter()
	listings.NewHandler(b.store, 7, slog.New(slog.DiscardHandler)).Routes(r)
	b.listings.Instead(r.ServeHTTP)
	// A core with larger pages gets an error at once.
	_, err := b.Follow(t.Context(), 0, "")
	wantKind(t, err, apierror.Unsupported, "listingCreated: not supported by this backend")
	small := *b.core
	small.API = b.withPages(t, 7)
	b.core = &small
	f := b.follow(t, 0, b.end(t))
	b.create(t, 60)
	f.wants(t, 1, 60, 1)
}

// withPages returns a second core on the same backend.
func (b *feedCore) withPages(t *testing.T, size int64) *publicapi.API {
	t.Helper()
	transport := backendclient.NewTransport()
	t.Cleanup(transport.CloseIdleConnections)
	c, err := backendclient.NewClient("listing service", b.listings.URL, 10*time.Second, transport)
	if err != nil {
		t.Fatal(err)
	}
	return publicapi.New(listings.NewClient(c), nil, publicapi.Config{MaxPageSize: size})
}
