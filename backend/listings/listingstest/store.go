// Package listingstest holds the tests that every [listings.Store] must pass.
// The tests of packages sqlite and postgres run it over their database.
package listingstest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/veranda-go/veranda/backend/listings"
	"github.com/veranda-go/veranda/internal/apierror"
	"github.com/veranda-go/veranda/internal/creation/creationtest"
)

// Open opens one database, again at each call, with now as its clock. It may be
// called concurrently.
type Open func(now func() time.Time) (listings.Store, error)

// Store runs the tests. newDatabase makes an empty database, without a schema.
func Store(t *testing.T, newDatabase func(t *testing.T) Open) {
	for _, test := range []struct {
		name string
		run  func(t *testing.T, d database)
	}{
		{"empty", testEmpty},
		{"create", testCreate},
		{"ties", testTies},
		{"paging", testPaging},
		{"get", testGet},
		{"newest of", testNewestOf},
		{"newest of many", testNewestOfMany},
		{"orders", testOrders},
		{"cursors without row", testCursorsWithoutRow},
		{"orders of users", testOfUsersQueries},
		{"rows while paging", testRowsWhilePaging},
		{"feed", testFeed},
		{"changed", testChanged},
		{"follow", testFollow},
		{"canceled", testCanceled},
		{"close", testClose},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.run(t, database{newDatabase(t)})
		})
	}
	creationtest.Stores(t, creationtest.Suite[listings.Draft, listings.Listing]{
		Draft: func(n int) listings.Draft {
			return listings.Draft{UserID: int64(n + 1), Type: listings.Rent, Price: int64(n + 1)}
		},
		Others: []listings.Draft{
			{UserID: 2, Type: listings.Rent, Price: 1},
			{UserID: 1, Type: listings.Sale, Price: 1},
			{UserID: 1, Type: listings.Rent, Price: 2},
		},
		Times: func(l listings.Listing) (id, created, updated int64) { return l.ID, l.CreatedAt, l.UpdatedAt },
		NewDatabase: func(t *testing.T) creationtest.Open[listings.Draft, listings.Listing] {
			open := newDatabase(t)
			return func(now func() time.Time) (creationtest.Store[listings.Draft, listings.Listing], error) {
				s, err := open(now)
				return all{s}, err
			}
		},
	})
}

// all is a store for package creationtest.
type all struct{ listings.Store }

// All implements creationtest.Store.
func (s all) All(ctx context.Context, limit int64) ([]listings.Listing, error) {
	return s.List(ctx, listings.Query{Limit: limit})
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

// newestFirst returns rows in the order of a list.
func newestFirst(rows []listings.Listing) []listings.Listing {
	rows = slices.Clone(rows)
	slices.SortFunc(rows, func(a, b listings.Listing) int {
		return cmp.Or(cmp.Compare(b.CreatedAt, a.CreatedAt), cmp.Compare(b.ID, a.ID))
	})
	return rows
}

// of returns the rows of a user.
func of(userID int64, rows []listings.Listing) []listings.Listing {
	return slices.DeleteFunc(slices.Clone(rows), func(l listings.Listing) bool { return l.UserID != userID })
}

// same compares rows. nil and an empty slice are the same.
func same(t *testing.T, what string, got, want []listings.Listing) {
	t.Helper()
	if len(got) == 0 && len(want) == 0 || slices.Equal(got, want) {
		return
	}
	t.Errorf("%s:\n got %v\nwant %v", what, brief(got), brief(want))
}

// brief returns rows as short texts.
func brief(rows []listings.Listing) []string {
	out := make([]string, len(rows))
	for i, l := range rows {
		out[i] = fmt.Sprintf("%d:user%d@%d", l.ID, l.UserID, l.CreatedAt)
	}
	return out
}

func testEmpty(t *testing.T, d database) {
	s := d.store(t, creationtest.Still)
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
	s := d.store(t, creationtest.Ticking(time.Microsecond))
	for i, draft := range []listings.Draft{
		{UserID: 1, Type: listings.Rent, Price: 1},
		{UserID: 1, Type: listings.Sale, Price: math.MaxInt32},
		{UserID: 2, Type: listings.Sale, Price: math.MaxInt32 + 1},
		{UserID: 1<<53 + 1, Type: listings.Rent, Price: 1<<53 + 1}, // no float64 can hold it
		{UserID: math.MaxInt64, Type: listings.Sale, Price: math.MaxInt64},
	} {
		made := create(t, s, draft)
		// The clock steps by one microsecond: a store that rounds fails.
		at := creationtest.Noon.UnixMicro() + int64(i)
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

// inOrder checks rows that were created in this order.
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
			t.Errorf("id %d at %d was created after id %d at %d", l.ID, l.CreatedAt, before.ID, before.CreatedAt)
		}
	}
}

func testTies(t *testing.T, d database) {
	s := d.store(t, creationtest.Still)
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

// sample creates 30 rows of 3 users, in runs of the same time, and returns them in
// the order of a list.
func sample(t *testing.T, d database) (listings.Store, []listings.Listing) {
	t.Helper()
	calls := 0
	s := d.store(t, func() time.Time {
		calls++
		return creationtest.Noon.Add(time.Duration(calls/4) * time.Second)
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
		want  []int64 // users, in the order of the result
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

// testNewestOfMany reads the largest batch that the service allows.
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

func testCanceled(t *testing.T, d database) {
	s := d.store(t, creationtest.Still)
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
	// One more creation, after which any queued one would be visible too.
	next := create(t, s, listings.Draft{UserID: 1, Type: listings.Rent, Price: 2})
	same(t, "rows", list(t, s, listings.Query{Limit: 10}), []listings.Listing{next, made})
}

// callAll calls each method with a context and returns their errors.
func callAll(ctx context.Context, s listings.Store) map[string]error {
	errs := map[string]error{"ping": s.Ping(ctx)}
	_, _, errs["create with a key"] = s.Create(ctx, listings.Draft{UserID: 1, Type: listings.Sale, Price: 5}, "key")
	_, _, errs["position"] = s.Position(ctx, 0)
	_, _, errs["create"] = s.Create(ctx, listings.Draft{UserID: 1, Type: listings.Sale, Price: 5}, "")
	_, errs["get"] = s.Get(ctx, 1)
	_, errs["list"] = s.List(ctx, listings.Query{Limit: 10})
	_, errs["list of a user"] = s.List(ctx, listings.Query{Filter: listings.Filter{UserID: 1}, Limit: 10})
	_, errs["deep list"] = s.List(ctx, listings.Query{Offset: 1 << 40, Limit: 10})
	_, errs["newest of"] = s.OfUsers(ctx, []int64{1, 2}, listings.Query{Limit: 10})
	return errs
}

func testClose(t *testing.T, d database) {
	s, err := d.open(creationtest.Still)
	if err != nil {
		t.Fatal(err)
	}
	made := create(t, s, listings.Draft{UserID: 1, Type: listings.Rent, Price: 1})
	for range 2 {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		for name, err := range callAll(t.Context(), s) {
			// Unavailable, so that a client tries again elsewhere.
			if err == nil || apierror.KindOf(err) != apierror.Unavailable {
				t.Errorf("%s after close: error %v, want unavailable", name, err)
			}
		}
	}
	same(t, "rows", list(t, d.store(t, creationtest.Still), listings.Query{Limit: 10}), []listings.Listing{made})
}
