// Package listingstest holds the tests that every [listings.Store] must pass.
// The tests of the folders sqlite and postgres run it, each over its own
// database.
package listingstest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/veranda-go/veranda/backend/listings"
	"github.com/veranda-go/veranda/internal/apierror"
)

// Open opens one database, again at each call, with now as its clock. It may
// be called from many goroutines at once.
type Open func(now func() time.Time) (listings.Store, error)

// Store runs the suite. newDatabase makes an empty database, without a schema
// in it, and returns what opens it.
func Store(t *testing.T, newDatabase func(t *testing.T) Open) {
	for _, test := range []struct {
		name string
		run  func(t *testing.T, d database)
	}{
		{"empty", testEmpty},
		{"create", testCreate},
		{"clock set back", testClockSetBack},
		{"ties", testTies},
		{"paging", testPaging},
		{"get", testGet},
		{"newest of", testNewestOf},
		{"newest of many", testNewestOfMany},
		{"orders", testOrders},
		{"foreign cursors", testForeignCursors},
		{"orders of users", testOfUsersQueries},
		{"rows while paging", testRowsWhilePaging},
		{"feed", testFeed},
		{"changed", testChanged},
		{"follow", testFollow},
		{"keys", testKeys},
		{"keys forgotten", testKeysForgotten},
		{"keys reopen", testKeysReopen},
		{"keys at once", testKeysAtOnce},
		{"many writers", testManyWriters},
		{"cancelled", testCancelled},
		{"close", testClose},
		{"close under load", testCloseUnderLoad},
		{"reopen", testReopen},
		{"open at once", testOpenAtOnce},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.run(t, database{newDatabase(t)})
		})
	}
}

// database is one database of one test.
type database struct {
	open Open
}

// store opens the database until the end of the test.
func (d database) store(t *testing.T, now func() time.Time) listings.Store {
	t.Helper()
	s, err := d.open(now)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

// noon is when the clocks of these tests start: with nanoseconds, so that a
// store that rounds up is noticed.
var noon = time.Date(2023, 2, 8, 12, 0, 0, 123_456_999, time.UTC)

// still is a clock that stands: all rows tie.
func still() time.Time { return noon }

// ticking is a clock that steps at each call. It is for one store only.
func ticking(step time.Duration) func() time.Time {
	next := noon
	return func() time.Time {
		now := next
		next = next.Add(step)
		return now
	}
}

func create(t *testing.T, s listings.Store, d listings.Draft) listings.Listing {
	t.Helper()
	l, _, err := s.Create(t.Context(), d, "")
	if err != nil {
		t.Fatalf("create %+v: %v", d, err)
	}
	return l
}

func list(t *testing.T, s listings.Store, q listings.Query) []listings.Listing {
	t.Helper()
	found, err := s.List(t.Context(), q)
	if err != nil {
		t.Fatalf("list %+v: %v", q, err)
	}
	return found
}

// newestFirst sorts rows as a list must show them.
func newestFirst(rows []listings.Listing) []listings.Listing {
	rows = slices.Clone(rows)
	slices.SortFunc(rows, func(a, b listings.Listing) int {
		return cmp.Or(cmp.Compare(b.CreatedAt, a.CreatedAt), cmp.Compare(b.ID, a.ID))
	})
	return rows
}

// of keeps the rows of one user.
func of(userID int64, rows []listings.Listing) []listings.Listing {
	return slices.DeleteFunc(slices.Clone(rows), func(l listings.Listing) bool { return l.UserID != userID })
}

// same compares rows with rows; nil is an empty list too.
func same(t *testing.T, what string, got, want []listings.Listing) {
	t.Helper()
	if len(got) == 0 && len(want) == 0 || slices.Equal(got, want) {
		return
	}
	t.Errorf("%s:\n got %v\nwant %v", what, brief(got), brief(want))
}

// brief is rows as text that a person can compare.
func brief(rows []listings.Listing) []string {
	out := make([]string, len(rows))
	for i, l := range rows {
		out[i] = fmt.Sprintf("%d:user%d@%d", l.ID, l.UserID, l.CreatedAt)
	}
	return out
}

func testEmpty(t *testing.T, d database) {
	s := d.store(t, still)
	same(t, "all", list(t, s, listings.Query{Limit: 10}), nil)
	same(t, "of a user", list(t, s, listings.Query{Filter: listings.Filter{UserID: 1}, Limit: 10}), nil)
	for _, ids := range [][]int64{nil, {}, {1}, {1, 2, 1}} {
		found, err := s.OfUsers(t.Context(), ids, listings.Query{Limit: 10})
		if err != nil {
			t.Errorf("newest of %v: %v", ids, err)
		}
		same(t, fmt.Sprint("newest of ", ids), found, nil)
	}
	if err := s.Ping(t.Context()); err != nil {
		t.Errorf("ping: %v", err)
	}
}

func testCreate(t *testing.T, d database) {
	s := d.store(t, ticking(time.Microsecond))
	for i, draft := range []listings.Draft{
		{UserID: 1, Type: listings.Rent, Price: 1},
		{UserID: 1, Type: listings.Sale, Price: math.MaxInt32},
		{UserID: 2, Type: listings.Sale, Price: math.MaxInt32 + 1},
		{UserID: 1<<53 + 1, Type: listings.Rent, Price: 1<<53 + 1}, // no float64 can hold it
		{UserID: math.MaxInt64, Type: listings.Sale, Price: math.MaxInt64},
	} {
		made := create(t, s, draft)
		// The clock steps by one microsecond: a store that rounds shows it.
		at := noon.UnixMicro() + int64(i)
		want := listings.Listing{
			ID: made.ID, UserID: draft.UserID, Type: draft.Type, Price: draft.Price,
			CreatedAt: at, UpdatedAt: at,
		}
		if made != want {
			t.Errorf("created %+v, want %+v", made, want)
		}
		if got, err := s.Get(t.Context(), made.ID); err != nil || got != want {
			t.Errorf("get %d: %+v, %v, want %+v", made.ID, got, err, want)
		}
		same(t, "newest", list(t, s, listings.Query{Limit: 1}), []listings.Listing{want})
		same(t, "newest of the user", list(t, s, listings.Query{Filter: listings.Filter{UserID: draft.UserID}, Limit: 1}), []listings.Listing{want})
	}
}

func testClockSetBack(t *testing.T, d database) {
	s := d.store(t, ticking(-time.Hour))
	var made []listings.Listing
	for range 5 {
		made = append(made, create(t, s, listings.Draft{UserID: 1, Type: listings.Rent, Price: 1}))
	}
	// Another process, whose clock is behind from the start.
	other := d.store(t, func() time.Time { return noon.AddDate(-1, 0, 0) })
	made = append(made, create(t, other, listings.Draft{UserID: 1, Type: listings.Rent, Price: 1}))
	inOrder(t, made)
	slices.Reverse(made)
	same(t, "list", list(t, s, listings.Query{Limit: 10}), made)
}

// inOrder checks rows in the order of their creation.
func inOrder(t *testing.T, made []listings.Listing) {
	t.Helper()
	for i, l := range made {
		if l.ID < 1 {
			t.Errorf("id %d, want at least 1", l.ID)
		}
		if l.CreatedAt != l.UpdatedAt {
			t.Errorf("id %d: created_at %d, but updated_at %d", l.ID, l.CreatedAt, l.UpdatedAt)
		}
		if i == 0 {
			continue
		}
		if before := made[i-1]; l.ID <= before.ID || l.CreatedAt < before.CreatedAt {
			t.Errorf("id %d at %d came after id %d at %d", l.ID, l.CreatedAt, before.ID, before.CreatedAt)
		}
	}
}

func testTies(t *testing.T, d database) {
	s := d.store(t, still)
	var made []listings.Listing
	for i := range int64(12) {
		made = append(made, create(t, s, listings.Draft{UserID: i%2 + 1, Type: listings.Rent, Price: i + 1}))
	}
	inOrder(t, made)
	slices.Reverse(made)
	same(t, "all", list(t, s, listings.Query{Limit: 20}), made)
	same(t, "of user 2", list(t, s, listings.Query{Filter: listings.Filter{UserID: 2}, Limit: 20}), of(2, made))
	found, err := s.OfUsers(t.Context(), []int64{2, 1}, listings.Query{Limit: 3})
	if err != nil {
		t.Fatal(err)
	}
	same(t, "newest of users 2 and 1", found, append(of(2, made)[:3], of(1, made)[:3]...))
}

// sample makes 30 rows of 3 users, in runs that tie, and returns them as a
// list must show them.
func sample(t *testing.T, d database) (listings.Store, []listings.Listing) {
	t.Helper()
	calls := 0
	s := d.store(t, func() time.Time {
		calls++
		return noon.Add(time.Duration(calls/4) * time.Second)
	})
	var made []listings.Listing
	for i := range int64(30) {
		made = append(made, create(t, s, listings.Draft{UserID: i%3 + 1, Type: listings.Sale, Price: i + 1}))
	}
	return s, newestFirst(made)
}

func testPaging(t *testing.T, d database) {
	s, all := sample(t, d)
	for _, user := range []int64{0, 2} {
		want := all
		if user != 0 {
			want = of(user, all)
		}
		for _, size := range []int64{1, 3, 7, 10, 29, 30, 100} {
			var got []listings.Listing
			for offset := int64(0); ; offset += size {
				rows := list(t, s, listings.Query{Filter: listings.Filter{UserID: user}, Offset: offset, Limit: size})
				if len(rows) == 0 {
					break
				}
				got = append(got, rows...)
			}
			same(t, fmt.Sprintf("user %d in pages of %d", user, size), got, want)
		}
		for _, offset := range []int64{int64(len(want)), 1000, math.MaxInt64 - 100, math.MaxInt64} {
			same(t, fmt.Sprintf("user %d from row %d", user, offset),
				list(t, s, listings.Query{Filter: listings.Filter{UserID: user}, Offset: offset, Limit: 100}), nil)
		}
	}
	same(t, "of a user without listings", list(t, s, listings.Query{Filter: listings.Filter{UserID: 99}, Limit: 100}), nil)
}

func testGet(t *testing.T, d database) {
	s, all := sample(t, d)
	for _, want := range all {
		if got, err := s.Get(t.Context(), want.ID); err != nil || got != want {
			t.Errorf("get %d: %+v, %v, want %+v", want.ID, got, err, want)
		}
	}
	for _, id := range []int64{all[0].ID + 1, 0, -1, math.MaxInt64, math.MinInt64} {
		got, err := s.Get(t.Context(), id)
		if apierror.KindOf(err) != apierror.NotFound || err == nil {
			t.Errorf("get %d: error %v, want not found", id, err)
		}
		if got != (listings.Listing{}) {
			t.Errorf("get %d: %+v beside the error", id, got)
		}
	}
}

func testNewestOf(t *testing.T, d database) {
	s, all := sample(t, d)
	for _, test := range []struct {
		ids   []int64
		limit int64
		want  []int64 // users, in the order of the answer
	}{
		{[]int64{1}, 4, []int64{1}},
		{[]int64{1, 2, 3}, 1, []int64{1, 2, 3}},
		{[]int64{3, 1, 2}, 2, []int64{3, 1, 2}},
		{[]int64{2, 2, 1, 2, 1}, 3, []int64{2, 1}},
		{[]int64{77, 3, math.MaxInt64, 1, 0, -5}, 3, []int64{3, 1}},
		{[]int64{2, 3}, 1000, []int64{2, 3}},
		{[]int64{77}, 3, nil},
	} {
		var want []listings.Listing
		for _, user := range test.want {
			rows := of(user, all)
			want = append(want, rows[:min(int(test.limit), len(rows))]...)
		}
		got, err := s.OfUsers(t.Context(), test.ids, listings.Query{Limit: test.limit})
		if err != nil {
			t.Errorf("newest %d of %v: %v", test.limit, test.ids, err)
		}
		same(t, fmt.Sprintf("newest %d of %v", test.limit, test.ids), got, want)
	}
}

// testNewestOfMany asks for the largest batch that the service lets through.
func testNewestOfMany(t *testing.T, d database) {
	s, all := sample(t, d)
	ids := make([]int64, listings.MaxBatch)
	for i := range ids {
		ids[i] = int64(len(ids) - i)
	}
	got, err := s.OfUsers(t.Context(), ids, listings.Query{Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	same(t, "newest of 1000 users", got, slices.Concat(of(3, all), of(2, all), of(1, all)))
}

// testManyWriters lets two stores, as two processes would be, write to one
// database while a third one reads.
func testManyWriters(t *testing.T, d database) {
	const writers, each = 8, 12
	stores := []listings.Store{d.store(t, time.Now), d.store(t, time.Now)}
	reader := d.store(t, time.Now)

	done := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		seen, highest := map[int64]bool{}, int64(0)
		for last := false; !last; {
			select {
			case <-done:
				last = true // look once more at the whole
			default:
			}
			rows, err := reader.List(t.Context(), listings.Query{Limit: 1000})
			if err != nil {
				t.Errorf("list: %v", err)
				return
			}
			before := highest
			for _, l := range rows {
				if !seen[l.ID] && l.ID < before {
					t.Errorf("id %d became visible after id %d", l.ID, before)
				}
				seen[l.ID] = true
				highest = max(highest, l.ID)
			}
			if len(rows) < len(seen) {
				t.Errorf("%d rows, after %d were seen", len(rows), len(seen))
			}
		}
	})

	var (
		mu      sync.Mutex
		made    []listings.Listing
		writing sync.WaitGroup
	)
	for w := range writers {
		writing.Go(func() {
			mine, others := stores[w%2], stores[1-w%2]
			for i := range each {
				draft := listings.Draft{UserID: int64(w + 1), Type: listings.Rent, Price: int64(i + 1)}
				l, _, err := mine.Create(t.Context(), draft, "")
				if err != nil {
					t.Errorf("create: %v", err)
					return
				}
				if l.UserID != draft.UserID || l.Price != draft.Price {
					t.Errorf("created %+v, asked for %+v", l, draft) // another writer's answer
				}
				if got, err := others.Get(t.Context(), l.ID); err != nil || got != l {
					t.Errorf("the other store has %+v, %v, want %+v", got, err, l)
				}
				mu.Lock()
				made = append(made, l)
				mu.Unlock()
			}
		})
	}
	writing.Wait()
	close(done)
	watching.Wait()

	if len(made) != writers*each {
		t.Fatalf("%d creations of %d succeeded", len(made), writers*each)
	}
	slices.SortFunc(made, func(a, b listings.Listing) int { return cmp.Compare(a.ID, b.ID) })
	inOrder(t, made)
	slices.Reverse(made)
	same(t, "all rows", list(t, reader, listings.Query{Limit: 1000}), made)
}

func testCancelled(t *testing.T, d database) {
	s := d.store(t, still)
	made := create(t, s, listings.Draft{UserID: 1, Type: listings.Rent, Price: 1})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, err := range callAll(ctx, s) {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: error %v, want %v", name, err, context.Canceled)
		}
	}
	late, cancelLate := context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer cancelLate()
	for name, err := range callAll(late, s) {
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: error %v, want %v", name, err, context.DeadlineExceeded)
		}
	}
	// One more creation, so that anything queued before it would be there too.
	next := create(t, s, listings.Draft{UserID: 1, Type: listings.Rent, Price: 2})
	same(t, "rows", list(t, s, listings.Query{Limit: 10}), []listings.Listing{next, made})
}

// callAll calls every method that takes a context and gives their errors.
func callAll(ctx context.Context, s listings.Store) map[string]error {
	errs := map[string]error{"ping": s.Ping(ctx)}
	_, _, errs["create with a key"] = s.Create(ctx, listings.Draft{UserID: 1, Type: listings.Sale, Price: 5}, "key")
	_, errs["feed"] = s.Feed(ctx, 0, 0, 10)
	_, errs["feed of a user"] = s.Feed(ctx, 0, 1, 10)
	_, _, errs["create"] = s.Create(ctx, listings.Draft{UserID: 1, Type: listings.Sale, Price: 5}, "")
	_, errs["get"] = s.Get(ctx, 1)
	_, errs["list"] = s.List(ctx, listings.Query{Limit: 10})
	_, errs["list of a user"] = s.List(ctx, listings.Query{Filter: listings.Filter{UserID: 1}, Limit: 10})
	_, errs["deep list"] = s.List(ctx, listings.Query{Offset: 1 << 40, Limit: 10})
	_, errs["newest of"] = s.OfUsers(ctx, []int64{1, 2}, listings.Query{Limit: 10})
	return errs
}

func testClose(t *testing.T, d database) {
	s, err := d.open(still)
	if err != nil {
		t.Fatal(err)
	}
	made := create(t, s, listings.Draft{UserID: 1, Type: listings.Rent, Price: 1})
	for range 2 {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		for name, err := range callAll(t.Context(), s) {
			// Unavailable, so that a caller is told to try again elsewhere.
			if err == nil || apierror.KindOf(err) != apierror.Unavailable {
				t.Errorf("%s after close: error %v, want unavailable", name, err)
			}
		}
	}
	same(t, "rows", list(t, d.store(t, still), listings.Query{Limit: 10}), []listings.Listing{made})
}

// testCloseUnderLoad closes a store while it writes: what was acknowledged is
// there, what was refused is not.
func testCloseUnderLoad(t *testing.T, d database) {
	s, err := d.open(time.Now)
	if err != nil {
		t.Fatal(err)
	}
	var (
		mu      sync.Mutex
		made    []listings.Listing
		writing sync.WaitGroup
	)
	begun := make(chan struct{}, 1)
	for w := range 8 {
		writing.Go(func() {
			for {
				l, _, err := s.Create(t.Context(), listings.Draft{UserID: int64(w + 1), Type: listings.Rent, Price: 1}, "")
				if err != nil {
					if apierror.KindOf(err) != apierror.Unavailable {
						t.Errorf("create during close: %v", err)
					}
					return
				}
				mu.Lock()
				made = append(made, l)
				mu.Unlock()
				select {
				case begun <- struct{}{}:
				default:
				}
			}
		})
	}
	<-begun
	if err := s.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	writing.Wait()
	same(t, "rows", list(t, d.store(t, still), listings.Query{Limit: math.MaxInt32}), newestFirst(made))
}

func testReopen(t *testing.T, d database) {
	var made []listings.Listing
	for i := range int64(3) {
		s, err := d.open(time.Now)
		if err != nil {
			t.Fatal(err)
		}
		made = append(made, create(t, s, listings.Draft{UserID: 1, Type: listings.Rent, Price: i + 1}))
		inOrder(t, made)
		same(t, "rows", list(t, s, listings.Query{Limit: 10}), newestFirst(made))
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// testOpenAtOnce starts several services on a database without a schema.
func testOpenAtOnce(t *testing.T, d database) {
	const services = 4
	stores := make([]listings.Store, services)
	errs := make([]error, services)
	var opening sync.WaitGroup
	for i := range services {
		opening.Go(func() { stores[i], errs[i] = d.open(time.Now) })
	}
	opening.Wait()
	var made []listings.Listing
	for i, s := range stores {
		if errs[i] != nil {
			t.Errorf("open: %v", errs[i])
			continue
		}
		defer s.Close()
		made = append(made, create(t, s, listings.Draft{UserID: 1, Type: listings.Rent, Price: 1}))
	}
	inOrder(t, made)
	for _, s := range stores {
		if s != nil {
			same(t, "rows", list(t, s, listings.Query{Limit: 10}), newestFirst(made))
		}
	}
}
