package creation

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/veranda-go/veranda/internal/idempotency"
)

type draft string

type row struct {
	name   string
	id, at int64
}

func (d draft) Digest() string           { return "digest of " + string(d) }
func (d draft) Created(id, at int64) row { return row{string(d), id, at} }

// table stands in for a database. Each transaction waits for permission.
type table struct {
	rows       []row
	keys       map[string]Key
	reserved   int64
	permission chan error
}

func (tb *table) insert(n int, keys []string, now int64, decide func(firstID, at int64, known map[string]Key) ([]row, []Key)) error {
	first := tb.reserved + 1
	tb.reserved += int64(n)
	known := map[string]Key{}
	for _, key := range keys {
		if k, ok := tb.keys[key]; ok {
			known[key] = k
		}
	}
	rows, added := decide(first, now, known)
	if err := <-tb.permission; err != nil {
		return err
	}
	tb.rows = append(tb.rows, rows...)
	for _, k := range added {
		tb.keys[k.Key] = k
	}
	return nil
}

func newTable() (*table, *Creator[draft, row]) {
	tb := &table{keys: map[string]Key{}, permission: make(chan error)}
	c := New[draft](tb.insert)
	c.Now = func() time.Time { return time.UnixMicro(7) }
	return tb, c
}

// TestGroup has a key several times in one transaction, some of them with
// another draft.
func TestGroup(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tb, c := newTable()
		defer c.Close()
		var (
			returns = make(map[int]string)
			mu      sync.Mutex
			calls   sync.WaitGroup
		)
		create := func(i int, d draft, key string) {
			calls.Go(func() {
				got, replayed, err := c.Create(t.Context(), d, key)
				mu.Lock()
				defer mu.Unlock()
				returns[i] = fmt.Sprintf("%v %v %v", got, replayed, err)
			})
			synctest.Wait()
		}
		create(0, "a", "key")
		for i, request := range []struct {
			draft draft
			key   string
		}{
			{"b", "other"}, {"a", "key"}, {"c", ""}, {"c", ""}, {"b", "other"}, {"x", "other"}, {"x", "key"}, {"d", "third"}, {"x", "third"}, {"d", "third"},
		} {
			create(i+1, request.draft, request.key)
		}
		tb.permission <- nil
		tb.permission <- nil
		calls.Wait()
		mismatch := fmt.Sprintf("%v %v %v", row{}, false, idempotency.ErrMismatch)
		for i, want := range []string{
			"{a 1 7} false <nil>", "{b 2 7} false <nil>", "{a 1 7} true <nil>", "{c 3 7} false <nil>", "{c 4 7} false <nil>", "{b 2 7} true <nil>",
			mismatch, mismatch, "{d 5 7} false <nil>", mismatch, "{d 5 7} true <nil>",
		} {
			if got := returns[i]; got != want {
				t.Errorf("creation %d returned %s, want %s", i, got, want)
			}
		}
		if want := []row{{"a", 1, 7}, {"b", 2, 7}, {"c", 3, 7}, {"c", 4, 7}, {"d", 5, 7}}; !slices.Equal(tb.rows, want) {
			t.Errorf("rows %v, want %v", tb.rows, want)
		}
		for _, key := range []string{"key", "other", "third"} {
			k := tb.keys[key]
			if i := slices.IndexFunc(tb.rows, func(r row) bool { return r.id == k.ID }); i < 0 ||
				(k != Key{key, draft(tb.rows[i].name).Digest(), k.ID, 7}) {
				t.Errorf("key %s is kept as %+v", key, k)
			}
		}
	})
}

// TestChanged waits for commits: one that fails changes nothing, and waiters are
// woken before Create returns.
func TestChanged(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tb, c := newTable()
		defer c.Close()
		changed := c.Changed()
		woken := func() bool {
			select {
			case <-changed:
				return true
			default:
				return false
			}
		}
		full := errors.New("disk full")
		create := func(want error) {
			go func() { tb.permission <- want }()
			if _, _, err := c.Create(t.Context(), "a", ""); !errors.Is(err, want) {
				t.Errorf("error %v, want %v", err, want)
			}
		}
		create(full)
		if woken() {
			t.Error("woken by a commit that failed")
		}
		create(nil)
		if !woken() {
			t.Error("not woken by a commit before Create returned")
		}
		changed = c.Changed()
		if woken() {
			t.Error("woken by a commit before the call of Changed")
		}
	})
}
