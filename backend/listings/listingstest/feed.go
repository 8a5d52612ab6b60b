package listingstest

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/veranda-go/veranda/backend/listings"
)

func feed(t *testing.T, s listings.Store, after, userID, limit int64) listings.Feed {
	t.Helper()
	f, err := listings.ReadFeed(t.Context(), s, after, userID, limit)
	if err != nil {
		t.Fatalf("feed after %d of user %d: %v", after, userID, err)
	}
	return f
}

func testFeed(t *testing.T, d database) {
	s := d.store(t, time.Now)
	for _, user := range []int64{0, 1} {
		for after, last := range map[int64]int64{-1: 0, 0: 0, 99: 99, math.MaxInt64: math.MaxInt64} {
			if f := feed(t, s, after, user, 10); f.LastID != last || len(f.Listings) != 0 {
				t.Errorf("empty, after %d: %+v, want last id %d", after, f, last)
			}
		}
	}

	s, all := sampleOfTies(t, d)
	newest := all[len(all)-1].ID
	for _, user := range []int64{0, 1, 3, 99} {
		want := all
		if user != 0 {
			want = of(user, all)
		}
		if f := feed(t, s, -1, user, 10); f.LastID != newest || len(f.Listings) != 0 {
			t.Errorf("user %d, the end: %+v, want last id %d", user, f, newest)
		}
		for _, after := range []int64{newest, newest + 5, math.MaxInt64} {
			if f := feed(t, s, after, user, 10); f.LastID != after || len(f.Listings) != 0 {
				t.Errorf("user %d, after %d: %+v", user, after, f)
			}
		}
		// After each row, also those of other users.
		for after := range newest {
			rest := slices.Clone(want)
			rest = slices.DeleteFunc(rest, func(l listings.Listing) bool { return l.ID <= after })
			for _, limit := range []int64{1, 7, 100} {
				what := fmt.Sprintf("user %d, %d rows after %d", user, limit, after)
				f := feed(t, s, after, user, limit)
				rows, last := rest, newest
				if int64(len(rest)) >= limit {
					rows = rest[:limit]
					last = rows[limit-1].ID
				}
				same(t, what, f.Listings, rows)
				if f.LastID != last {
					t.Errorf("%s: last id %d, want %d", what, f.LastID, last)
				}
			}
		}
	}
}

func testChanged(t *testing.T, d database) {
	s := d.store(t, time.Now)
	for range 3 {
		first, second := s.Changed(), s.Changed()
		select {
		case <-first:
			t.Error("changed, but nothing was created")
		default:
		}
		create(t, s, tiesDraft(0))
		for _, changed := range []<-chan struct{}{first, second} {
			select {
			case <-changed:
			default:
				t.Error("created, but not changed")
			}
		}
	}
}

// testFollow reads the feed while two stores, as two processes would, write:
// followers get each listing once.
func testFollow(t *testing.T, d database) {
	const writers, each = 8, 25
	stores := []listings.Store{d.store(t, time.Now), d.store(t, time.Now)}
	readers := []listings.Store{stores[0], d.store(t, time.Now)}

	done, stop := context.WithCancel(t.Context())
	var following sync.WaitGroup
	followed := make([][]listings.Listing, 8)
	for i := range followed {
		user := int64(i/4) * 2 // half of them follow all, half user 2
		following.Go(func() {
			after := int64(0)
			for last := false; !last; {
				last = done.Err() != nil // then read to the end once more
				for {
					f, err := listings.ReadFeed(context.Background(), readers[i%2], after, user, int64(i%4+1))
					if err != nil {
						t.Errorf("feed: %v", err)
						return
					}
					followed[i] = append(followed[i], f.Listings...)
					if f.LastID < after {
						t.Errorf("last id %d after %d", f.LastID, after)
					}
					if f.LastID == after {
						break
					}
					after = f.LastID
				}
			}
		})
	}

	var (
		mu      sync.Mutex
		made    []listings.Listing
		writing sync.WaitGroup
	)
	for w := range writers {
		writing.Go(func() {
			for i := range each {
				l, _, err := stores[w%2].Create(t.Context(), tiesDraft(int64(w*each+i)), "")
				if err != nil {
					t.Errorf("create: %v", err)
					return
				}
				mu.Lock()
				made = append(made, l)
				mu.Unlock()
			}
		})
	}
	writing.Wait()
	stop()
	following.Wait()

	made = newestFirst(made)
	slices.Reverse(made)
	for i, got := range followed {
		want := made
		if i >= 4 {
			want = of(2, made)
		}
		same(t, fmt.Sprint("follower ", i), got, want)
	}
}
