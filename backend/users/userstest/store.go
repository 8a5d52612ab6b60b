// Package userstest holds the tests that every [users.Store] must pass.
// The tests of packages sqlite and postgres run it over their database.
package userstest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/veranda-go/veranda/backend/users"
	"github.com/veranda-go/veranda/internal/apierror"
	"github.com/veranda-go/veranda/internal/creation/creationtest"
)

// Open opens one database, again at each call, with now as its clock. It may be
// called concurrently.
type Open func(now func() time.Time) (users.Store, error)

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
		{"batch", testBatch},
		{"canceled", testCanceled},
		{"close", testClose},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.run(t, database{newDatabase(t)})
		})
	}
	creationtest.Stores(t, creationtest.Suite[users.Draft, users.User]{
		Draft:  func(n int) users.Draft { return users.Draft{Name: fmt.Sprint("User ", n)} },
		Others: []users.Draft{{Name: "user 0"}, {Name: "User 0 "}},
		Times:  func(u users.User) (id, created, updated int64) { return u.ID, u.CreatedAt, u.UpdatedAt },
		NewDatabase: func(t *testing.T) creationtest.Open[users.Draft, users.User] {
			open := newDatabase(t)
			return func(now func() time.Time) (creationtest.Store[users.Draft, users.User], error) {
				s, err := open(now)
				return all{s}, err
			}
		},
	})
}

// all is a store for package creationtest.
type all struct{ users.Store }

// All implements creationtest.Store.
func (s all) All(ctx context.Context, limit int64) ([]users.User, error) {
	return s.List(ctx, users.Query{Limit: limit})
}

// database is one database of one test.
type database struct {
	open Open
}

// store opens the database until the end of the test.
func (d database) store(t *testing.T, now func() time.Time) users.Store {
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

func create(t *testing.T, s users.Store, d users.Draft) users.User {
	t.Helper()
	u, _, err := s.Create(t.Context(), d, "")
	if err != nil {
		t.Fatalf("create %+v: %v", d, err)
	}
	return u
}

func list(t *testing.T, s users.Store, q users.Query) []users.User {
	t.Helper()
	found, err := s.List(t.Context(), q)
	if err != nil {
		t.Fatalf("list %+v: %v", q, err)
	}
	return found
}

// newestFirst returns rows in the order of a list.
func newestFirst(rows []users.User) []users.User {
	rows = slices.Clone(rows)
	slices.SortFunc(rows, func(a, b users.User) int {
		return cmp.Or(cmp.Compare(b.CreatedAt, a.CreatedAt), cmp.Compare(b.ID, a.ID))
	})
	return rows
}

// same compares rows. nil and an empty slice are the same.
func same(t *testing.T, what string, got, want []users.User) {
	t.Helper()
	if len(got) == 0 && len(want) == 0 || slices.Equal(got, want) {
		return
	}
	t.Errorf("%s:\n got %v\nwant %v", what, brief(got), brief(want))
}

// brief returns rows as short texts.
func brief(rows []users.User) []string {
	out := make([]string, len(rows))
	for i, u := range rows {
		out[i] = fmt.Sprintf("%d:%.20q@%d", u.ID, u.Name, u.CreatedAt)
	}
	return out
}

func testEmpty(t *testing.T, d database) {
	s := d.store(t, creationtest.Still)
	same(t, "all", list(t, s, users.Query{Limit: 10}), nil)
	for _, ids := range [][]int64{nil, {}, {1}, {1, 2, 1}} {
		found, err := s.Batch(t.Context(), ids)
		if err != nil {
			t.Errorf("batch %v: %v", ids, err)
		}
		same(t, fmt.Sprint("batch ", ids), found, nil)
	}
	if err := s.Ping(t.Context()); err != nil {
		t.Errorf("ping: %v", err)
	}
}

func testCreate(t *testing.T, d database) {
	s := d.store(t, creationtest.Ticking(time.Microsecond))
	for i, name := range []string{
		"Suresh Subramaniam",
		"Suresh Subramaniam", // two people may share a name
		"a",
		"A",
		" spaces  within and around ",
		"line\nbreak\ttab\r\n\u2028\x01\x7f",
		"a&user_id=2",
		"a=b%26c",
		"50% + tax",
		"名前",
		"e\u0301 is not \u00e9", // one letter in two encodings, neither of which is normalized
		"\U0001F469\u200D\U0001F469\u200D\U0001F467 🏡",
		"\ufeff\ufffd\uffff",
		"\u202eright to left",
		`"double", 'single' and \back\slash`,
		"'); DROP TABLE users; --",
		"$1 ? :name @name %s {}",
		"NULL",
		"0123",
		strings.Repeat("𠮷", users.MaxName), // four bytes each
	} {
		made := create(t, s, users.Draft{Name: name})
		// The clock steps by one microsecond: a store that rounds fails.
		at := creationtest.Noon.UnixMicro() + int64(i)
		want := users.User{ID: made.ID, Name: name, CreatedAt: at, UpdatedAt: at}
		if made != want {
			t.Errorf("created %+v, want %+v", made, want)
		}
		if got, err := s.Get(t.Context(), made.ID); err != nil || got != want {
			t.Errorf("get %d: %+v, %v, want %+v", made.ID, got, err, want)
		}
		same(t, "newest", list(t, s, users.Query{Limit: 1}), []users.User{want})
		if got, err := s.Batch(t.Context(), []int64{made.ID}); err != nil {
			t.Errorf("batch of %d: %v", made.ID, err)
		} else {
			same(t, "batch", got, []users.User{want})
		}
	}
}

// inOrder checks rows that were created in this order.
func inOrder(t *testing.T, made []users.User) {
	t.Helper()
	for i, u := range made {
		if u.ID < 1 {
			t.Errorf("id %d, want at least 1", u.ID)
		}
		if u.CreatedAt != u.UpdatedAt {
			t.Errorf("id %d: created_at %d, but updated_at %d", u.ID, u.CreatedAt, u.UpdatedAt)
		}
		if i == 0 {
			continue
		}
		if before := made[i-1]; u.ID <= before.ID || u.CreatedAt < before.CreatedAt {
			t.Errorf("id %d at %d was created after id %d at %d", u.ID, u.CreatedAt, before.ID, before.CreatedAt)
		}
	}
}

func testTies(t *testing.T, d database) {
	s := d.store(t, creationtest.Still)
	var made []users.User
	for range 12 {
		made = append(made, create(t, s, users.Draft{Name: "A"}))
	}
	inOrder(t, made)
	slices.Reverse(made)
	same(t, "all", list(t, s, users.Query{Limit: 20}), made)
}

// sample creates 30 rows, in runs of the same time, and returns them in the order
// of a list.
func sample(t *testing.T, d database) (users.Store, []users.User) {
	t.Helper()
	calls := 0
	s := d.store(t, func() time.Time {
		calls++
		return creationtest.Noon.Add(time.Duration(calls/4) * time.Second)
	})
	var made []users.User
	for i := range 30 {
		made = append(made, create(t, s, users.Draft{Name: fmt.Sprint("user ", i)}))
	}
	return s, newestFirst(made)
}

func testPaging(t *testing.T, d database) {
	s, all := sample(t, d)
	for _, size := range []int64{1, 3, 7, 10, 29, 30, 100} {
		var got []users.User
		for offset := int64(0); ; offset += size {
			rows := list(t, s, users.Query{Offset: offset, Limit: size})
			if len(rows) == 0 {
				break
			}
			got = append(got, rows...)
		}
		same(t, fmt.Sprint("in pages of ", size), got, all)
	}
	for _, offset := range []int64{int64(len(all)), 1000, math.MaxInt64 - 100, math.MaxInt64} {
		same(t, fmt.Sprint("from row ", offset), list(t, s, users.Query{Offset: offset, Limit: 100}), nil)
	}
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
		if got != (users.User{}) {
			t.Errorf("get %d: %+v beside the error", id, got)
		}
	}
}

func testBatch(t *testing.T, d database) {
	s, all := sample(t, d)
	byID := map[int64]users.User{}
	for _, u := range all {
		byID[u.ID] = u
	}
	first, last := all[len(all)-1].ID, all[0].ID
	for _, test := range []struct {
		ids  []int64
		want []int64
	}{
		{[]int64{first}, []int64{first}},
		{[]int64{first, last}, []int64{first, last}},
		{[]int64{last, first}, []int64{last, first}},
		{[]int64{last, last, first, last, first}, []int64{last, first}},
		{[]int64{math.MaxInt64, last, last + 1, first, 0, -1, math.MinInt64}, []int64{last, first}},
		{[]int64{last + 1}, nil},
	} {
		var want []users.User
		for _, id := range test.want {
			want = append(want, byID[id])
		}
		got, err := s.Batch(t.Context(), test.ids)
		if err != nil {
			t.Errorf("batch %v: %v", test.ids, err)
		}
		same(t, fmt.Sprint("batch ", test.ids), got, want)
	}

	// The largest batch that the service allows, newest id first.
	ids := make([]int64, users.MaxBatch)
	for i := range ids {
		ids[i] = last + 100 - int64(i)
	}
	got, err := s.Batch(t.Context(), ids)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "batch of 1000", got, all)
}

func testCanceled(t *testing.T, d database) {
	s := d.store(t, creationtest.Still)
	made := create(t, s, users.Draft{Name: "A"})
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
	next := create(t, s, users.Draft{Name: "B"})
	same(t, "rows", list(t, s, users.Query{Limit: 10}), []users.User{next, made})
}

// callAll calls each method with a context and returns their errors.
func callAll(ctx context.Context, s users.Store) map[string]error {
	errs := map[string]error{"ping": s.Ping(ctx)}
	_, _, errs["create with a key"] = s.Create(ctx, users.Draft{Name: "C"}, "key")
	_, _, errs["create"] = s.Create(ctx, users.Draft{Name: "C"}, "")
	_, errs["get"] = s.Get(ctx, 1)
	_, errs["list"] = s.List(ctx, users.Query{Limit: 10})
	_, errs["deep list"] = s.List(ctx, users.Query{Offset: 1 << 40, Limit: 10})
	_, errs["batch"] = s.Batch(ctx, []int64{1, 2})
	return errs
}

func testClose(t *testing.T, d database) {
	s, err := d.open(creationtest.Still)
	if err != nil {
		t.Fatal(err)
	}
	made := create(t, s, users.Draft{Name: "A"})
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
	same(t, "rows", list(t, d.store(t, creationtest.Still), users.Query{Limit: 10}), []users.User{made})
}
