package listingstest

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/veranda-go/veranda/backend/listings"
	"github.com/veranda-go/veranda/internal/apierror"
	"github.com/veranda-go/veranda/internal/idempotency"
)

// again creates with a key that made want already.
func again(t *testing.T, s listings.Store, d listings.Draft, key string, want listings.Listing) {
	t.Helper()
	if got, replayed, err := s.Create(t.Context(), d, key); err != nil || !replayed || got != want {
		t.Errorf("again with key %.20q: %+v, replayed %v, %v, want %+v", key, got, replayed, err, want)
	}
}

// first creates with a key that made nothing yet.
func first(t *testing.T, s listings.Store, d listings.Draft, key string) listings.Listing {
	t.Helper()
	l, replayed, err := s.Create(t.Context(), d, key)
	if err != nil || replayed {
		t.Fatalf("first with key %.20q: %+v, replayed %v, %v", key, l, replayed, err)
	}
	return l
}

func testKeys(t *testing.T, d database) {
	s := d.store(t, ticking(time.Second))
	draft := listings.Draft{UserID: 1, Type: listings.Rent, Price: 6000}
	long := strings.Repeat("~", 255)
	a, b := first(t, s, draft, "a"), first(t, s, draft, long)
	none := first(t, s, draft, "")
	upper := first(t, s, draft, "A")
	for range 3 {
		again(t, s, draft, "a", a)
		again(t, s, draft, long, b)
	}
	for _, other := range []listings.Draft{
		{UserID: 2, Type: listings.Rent, Price: 6000},
		{UserID: 1, Type: listings.Sale, Price: 6000},
		{UserID: 1, Type: listings.Rent, Price: 6001},
	} {
		l, replayed, err := s.Create(t.Context(), other, "a")
		if err != idempotency.ErrMismatch || apierror.KindOf(err) != apierror.KeyMismatch || replayed || l != (listings.Listing{}) {
			t.Errorf("key of another draft: %+v, replayed %v, %v", l, replayed, err)
		}
	}
	// Another process knows them too.
	other := d.store(t, ticking(time.Second))
	again(t, other, draft, "a", a)
	next := first(t, other, draft, "b")
	again(t, s, draft, "b", next)
	same(t, "rows", list(t, s, listings.Query{Limit: 10}), []listings.Listing{next, upper, none, b, a})
}

func testKeysForgotten(t *testing.T, d database) {
	now := noon
	s := d.store(t, func() time.Time { return now })
	draft := listings.Draft{UserID: 1, Type: listings.Rent, Price: 6000}
	a := first(t, s, draft, "a")
	now = noon.Add(idempotency.Keep - time.Microsecond)
	again(t, s, draft, "a", a)
	now = noon.Add(idempotency.Keep)
	other := listings.Draft{UserID: 2, Type: listings.Sale, Price: 5}
	b := first(t, s, other, "a")
	again(t, s, other, "a", b)
	same(t, "rows", list(t, s, listings.Query{Limit: 10}), []listings.Listing{b, a})
}

func testKeysReopen(t *testing.T, d database) {
	draft := listings.Draft{UserID: 1, Type: listings.Rent, Price: 6000}
	var a listings.Listing
	for i := range 3 {
		s, err := d.open(time.Now)
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			a = first(t, s, draft, "a")
		}
		again(t, s, draft, "a", a)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// testKeysAtOnce sends creations with few keys many times at once, to two
// stores, as two processes would be, among others that have none.
func testKeysAtOnce(t *testing.T, d database) {
	const keys, each = 4, 16
	stores := []listings.Store{d.store(t, time.Now), d.store(t, time.Now)}
	var (
		mu      sync.Mutex
		firsts  = map[string]int{}
		made    = map[string]listings.Listing{}
		refused int
		sending sync.WaitGroup
	)
	for i := range keys * each {
		key := fmt.Sprint("key ", i%keys)
		draft := listings.Draft{UserID: int64(i%keys + 1), Type: listings.Rent, Price: 1}
		sending.Go(func() {
			l, replayed, err := stores[i/keys%2].Create(t.Context(), draft, key)
			if err != nil || l.UserID != draft.UserID {
				t.Errorf("%s: %+v, %v", key, l, err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			if !replayed {
				firsts[key]++
			}
			if before, ok := made[key]; ok && before != l {
				t.Errorf("%s made %+v and %+v", key, before, l)
			}
			made[key] = l
		})
		sending.Go(func() {
			draft := listings.Draft{UserID: 100, Type: listings.Sale, Price: int64(i + 1)}
			if _, replayed, err := stores[i%2].Create(t.Context(), draft, ""); err != nil || replayed {
				t.Errorf("without a key: replayed %v, %v", replayed, err)
			}
			// Two drafts race for one key: one wins.
			_, _, err := stores[i%2].Create(t.Context(), draft, "contested")
			switch {
			case err == idempotency.ErrMismatch:
				mu.Lock()
				refused++
				mu.Unlock()
			case err != nil:
				t.Errorf("contested: %v", err)
			}
		})
	}
	sending.Wait()
	for key := range made {
		if firsts[key] != 1 {
			t.Errorf("%s was the first one %d times", key, firsts[key])
		}
	}
	if want := keys*each - 1; refused != want {
		t.Errorf("%d creations lost the contested key, want %d", refused, want)
	}
	rows := list(t, stores[0], listings.Query{Limit: 1000})
	if want := keys + keys*each + 1; len(rows) != want {
		t.Errorf("%d rows, want %d", len(rows), want)
	}
}
