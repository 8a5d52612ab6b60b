// Package creationtest holds the tests of creation that both services share:
// [Stores] for their stores, over either database, and [HTTP] for their
// handlers and clients. The tests of backend/listings and backend/users run
// them.
package creationtest

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/veranda-go/veranda/internal/apierror"
	"github.com/veranda-go/veranda/internal/creation"
	"github.com/veranda-go/veranda/internal/idempotency"
)

// Noon is when the clocks of these tests start: with nanoseconds, so that a
// store that rounds up fails.
var Noon = time.Date(2023, 2, 8, 12, 0, 0, 123_456_999, time.UTC)

// Still returns the time of a clock that stands: all rows have the same time.
func Still() time.Time { return Noon }

// Ticking returns a clock, for one store only, that steps at each call.
func Ticking(step time.Duration) func() time.Time {
	next := Noon
	return func() time.Time {
		now := next
		next = next.Add(step)
		return now
	}
}

// Store is what the tests call.
type Store[D, Row any] interface {
	Create(ctx context.Context, d D, key string) (Row, bool, error)
	Get(ctx context.Context, id int64) (Row, error)
	// All returns at most limit rows, newest first.
	All(ctx context.Context, limit int64) ([]Row, error)
	Close() error
}

// Open opens one database, again at each call, with now as its clock. It may be
// called concurrently.
type Open[D, Row any] func(now func() time.Time) (Store[D, Row], error)

// Suite is the tests' input.
type Suite[D creation.Draft[Row], Row comparable] struct {
	// Draft returns a valid draft, another one for each n from 0.
	Draft func(n int) D
	// Others differ from Draft(0), each in another way.
	Others []D
	// Times returns the row's id, created_at and updated_at.
	Times func(Row) (id, created, updated int64)
	// NewDatabase makes an empty database, without a schema.
	NewDatabase func(t *testing.T) Open[D, Row]
}

// Stores runs the tests of a store.
func Stores[D creation.Draft[Row], Row comparable](t *testing.T, suite Suite[D, Row]) {
	for name, run := range map[string]func(database[D, Row]){
		"keys":             database[D, Row].testKeys,
		"keys expire":      database[D, Row].testKeysExpire,
		"keys reopen":      database[D, Row].testKeysReopen,
		"keys at once":     database[D, Row].testKeysAtOnce,
		"clock set back":   database[D, Row].testClockSetBack,
		"many writers":     database[D, Row].testManyWriters,
		"close under load": database[D, Row].testCloseUnderLoad,
		"reopen":           database[D, Row].testReopen,
		"open at once":     database[D, Row].testOpenAtOnce,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := database[D, Row]{T: t, Suite: suite, open: suite.NewDatabase(t)}
			run(d)
		})
	}
}

// database is one database of one test.
type database[D creation.Draft[Row], Row comparable] struct {
	*testing.T
	Suite[D, Row]
	open Open[D, Row]
}

// store opens the database until the end of the test.
func (t database[D, Row]) store(now func() time.Time) Store[D, Row] {
	t.Helper()
	s, err := t.open(now)
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

// first creates with "" or with a key that has created nothing yet.
func (t database[D, Row]) first(s Store[D, Row], d D, key string) Row {
	t.Helper()
	row, replayed, err := s.Create(t.Context(), d, key)
	if err != nil || replayed {
		t.Fatalf("first creation with key %.20q: %+v, replayed %v, %v", key, row, replayed, err)
	}
	return row
}

// again creates with a key that has created want.
func (t database[D, Row]) again(s Store[D, Row], d D, key string, want Row) {
	t.Helper()
	if got, replayed, err := s.Create(t.Context(), d, key); err != nil || !replayed || got != want {
		t.Errorf("again with key %.20q: %+v, replayed %v, %v, want %+v", key, got, replayed, err, want)
	}
}

// wantRows compares all rows with want, which is in the order of creation.
func (t database[D, Row]) wantRows(s Store[D, Row], want ...Row) {
	t.Helper()
	got, err := s.All(t.Context(), math.MaxInt32)
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(got)
	if len(got)+len(want) > 0 && !slices.Equal(got, want) {
		t.Errorf("rows:\n got %+v\nwant %+v", got, want)
	}
}

// wantOrder checks rows that were created in this order.
func (t database[D, Row]) wantOrder(rows []Row) {
	t.Helper()
	var lastID, lastTime int64
	for _, row := range rows {
		id, created, updated := t.Times(row)
		if created != updated {
			t.Errorf("id %d: created_at %d, but updated_at %d", id, created, updated)
		}
		if id <= lastID || created < lastTime {
			t.Errorf("id %d at %d was created after id %d at %d", id, created, lastID, lastTime)
		}
		lastID, lastTime = id, created
	}
}

func (t database[D, Row]) sortByID(rows []Row) {
	slices.SortFunc(rows, func(a, b Row) int {
		x, _, _ := t.Times(a)
		y, _, _ := t.Times(b)
		return cmp.Compare(x, y)
	})
}

func (t database[D, Row]) testKeys() {
	s := t.store(Ticking(time.Second))
	draft, long := t.Draft(0), strings.Repeat("~", 255)
	a, b := t.first(s, draft, "a"), t.first(s, draft, long)
	none := t.first(s, draft, "")
	upper := t.first(s, draft, "A")
	for range 3 {
		t.again(s, draft, "a", a)
		t.again(s, draft, long, b)
	}
	for _, other := range t.Others {
		var zero Row
		row, replayed, err := s.Create(t.Context(), other, "a")
		if err != idempotency.ErrMismatch || apierror.KindOf(err) != apierror.KeyMismatch || replayed || row != zero {
			t.Errorf("key of another draft: %+v, replayed %v, %v", row, replayed, err)
		}
	}
	// Another process knows the keys too.
	other := t.store(Ticking(time.Second))
	t.again(other, draft, "a", a)
	next := t.first(other, draft, "b")
	t.again(s, draft, "b", next)
	t.wantRows(s, a, b, none, upper, next)
}

func (t database[D, Row]) testKeysExpire() {
	now := Noon
	s := t.store(func() time.Time { return now })
	a := t.first(s, t.Draft(0), "a")
	now = Noon.Add(idempotency.Keep - time.Microsecond)
	t.again(s, t.Draft(0), "a", a)
	now = Noon.Add(idempotency.Keep)
	b := t.first(s, t.Draft(1), "a")
	t.again(s, t.Draft(1), "a", b)
	t.wantRows(s, a, b)
}

func (t database[D, Row]) testKeysReopen() {
	var a Row
	for i := range 3 {
		s, err := t.open(time.Now)
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			a = t.first(s, t.Draft(0), "a")
		}
		t.again(s, t.Draft(0), "a", a)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// testKeysAtOnce sends creations with few keys many times at once to two stores,
// as two processes would, among others without keys.
func (t database[D, Row]) testKeysAtOnce() {
	const keys, each = 4, 16
	stores := []Store[D, Row]{t.store(time.Now), t.store(time.Now)}
	var (
		mu      sync.Mutex
		firsts  = map[string]int{}
		made    = map[string]Row{}
		refused int
		sending sync.WaitGroup
	)
	for i := range keys * each {
		key, draft := fmt.Sprint("key ", i%keys), t.Draft(i%keys)
		sending.Go(func() {
			row, replayed, err := stores[i/keys%2].Create(t.Context(), draft, key)
			if err != nil {
				t.Errorf("%s: %v", key, err)
				return
			}
			id, created, _ := t.Times(row)
			if want := draft.Created(id, created); row != want {
				t.Errorf("%s: %+v, want %+v", key, row, want)
			}
			mu.Lock()
			defer mu.Unlock()
			if !replayed {
				firsts[key]++
			}
			if before, ok := made[key]; ok && before != row {
				t.Errorf("%s made %+v and %+v", key, before, row)
			}
			made[key] = row
		})
		sending.Go(func() {
			draft := t.Draft(keys + i)
			if _, replayed, err := stores[i%2].Create(t.Context(), draft, ""); err != nil || replayed {
				t.Errorf("without a key: replayed %v, %v", replayed, err)
			}
			// All drafts use the same key: one wins.
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
			t.Errorf("%s had %d first creations", key, firsts[key])
		}
	}
	if want := keys*each - 1; refused != want {
		t.Errorf("%d creations lost the contested key, want %d", refused, want)
	}
	rows, err := stores[0].All(t.Context(), 1000)
	if want := keys + keys*each + 1; err != nil || len(rows) != want {
		t.Errorf("%d rows, %v, want %d", len(rows), err, want)
	}
}

func (t database[D, Row]) testClockSetBack() {
	s := t.store(Ticking(-time.Hour))
	var made []Row
	for range 5 {
		made = append(made, t.first(s, t.Draft(0), ""))
	}
	// Another process, whose clock is behind from the start.
	other := t.store(func() time.Time { return Noon.AddDate(-1, 0, 0) })
	made = append(made, t.first(other, t.Draft(0), ""))
	t.wantOrder(made)
	t.wantRows(s, made...)
}

// testManyWriters lets two stores, as two processes would, write to one database
// while a third one reads.
func (t database[D, Row]) testManyWriters() {
	const writers, each = 8, 12
	stores := []Store[D, Row]{t.store(time.Now), t.store(time.Now)}
	reader := t.store(time.Now)

	done := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		seen, highest := map[int64]bool{}, int64(0)
		for last := false; !last; {
			select {
			case <-done:
				last = true // read all rows once more
			default:
			}
			rows, err := reader.All(t.Context(), 1000)
			if err != nil {
				t.Errorf("read: %v", err)
				return
			}
			before := highest
			for _, row := range rows {
				id, _, _ := t.Times(row)
				if !seen[id] && id < before {
					t.Errorf("id %d became visible after id %d", id, before)
				}
				seen[id] = true
				highest = max(highest, id)
			}
			if len(rows) < len(seen) {
				t.Errorf("%d rows, after %d were seen", len(rows), len(seen))
			}
		}
	})

	var (
		mu      sync.Mutex
		made    []Row
		writing sync.WaitGroup
	)
	for w := range writers {
		writing.Go(func() {
			own, other := stores[w%2], stores[1-w%2]
			for i := range each {
				draft := t.Draft(w*each + i)
				row, _, err := own.Create(t.Context(), draft, "")
				if err != nil {
					t.Errorf("create: %v", err)
					return
				}
				id, created, _ := t.Times(row)
				if want := draft.Created(id, created); row != want {
					t.Errorf("created %+v, want %+v", row, want) // another writer's row
				}
				if got, err := other.Get(t.Context(), id); err != nil || got != row {
					t.Errorf("the other store has %+v, %v, want %+v", got, err, row)
				}
				mu.Lock()
				made = append(made, row)
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
	t.sortByID(made)
	t.wantOrder(made)
	t.wantRows(reader, made...)
}

// testCloseUnderLoad closes a store while it writes: acknowledged rows are
// there, refused ones are not.
func (t database[D, Row]) testCloseUnderLoad() {
	s, err := t.open(time.Now)
	if err != nil {
		t.Fatal(err)
	}
	var (
		mu      sync.Mutex
		made    []Row
		writing sync.WaitGroup
	)
	begun := make(chan struct{}, 1)
	for w := range 8 {
		writing.Go(func() {
			for {
				row, _, err := s.Create(t.Context(), t.Draft(w), "")
				if err != nil {
					if apierror.KindOf(err) != apierror.Unavailable {
						t.Errorf("create during close: %v", err)
					}
					return
				}
				mu.Lock()
				made = append(made, row)
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
	t.sortByID(made)
	t.wantRows(t.store(Still), made...)
}

func (t database[D, Row]) testReopen() {
	var made []Row
	for i := range 3 {
		s, err := t.open(time.Now)
		if err != nil {
			t.Fatal(err)
		}
		made = append(made, t.first(s, t.Draft(i), ""))
		t.wantOrder(made)
		t.wantRows(s, made...)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// testOpenAtOnce starts several services on a database without a schema.
func (t database[D, Row]) testOpenAtOnce() {
	const services = 4
	stores := make([]Store[D, Row], services)
	errs := make([]error, services)
	var opening sync.WaitGroup
	for i := range services {
		opening.Go(func() { stores[i], errs[i] = t.open(time.Now) })
	}
	opening.Wait()
	var made []Row
	for i, s := range stores {
		if errs[i] != nil {
			t.Errorf("open: %v", errs[i])
			continue
		}
		defer s.Close()
		made = append(made, t.first(s, t.Draft(i), ""))
	}
	t.wantOrder(made)
	for i, s := range stores {
		if errs[i] == nil {
			t.wantRows(s, made...)
		}
	}
}
