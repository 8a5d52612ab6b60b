package creation

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/veranda-go/veranda/internal/apierror"
	"github.com/veranda-go/veranda/internal/idempotency"
)

type draft string

type row struct {
	name   string
	id, at int64
}

func (d draft) Digest() string           { return "digest of " + string(d) }
func (d draft) Created(id, at int64) row { return row{string(d), id, at} }

// table stands in for a database. It reports the size of each transaction and
// waits for permission.
type table struct {
	rows       []row
	keys       map[string]Key
	reserved   int64
	sizes      chan int
	permission chan error
}

func (tb *table) insert(n int, keys []string, now int64, decide func(firstID, at int64, known map[string]Key) ([]row, []Key)) error {
	tb.sizes <- n
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

// test has calls of Create in the order in which they were started.
type test struct {
	*testing.T
	*table
	creator *Creator[draft, row]
	returns []chan string
}

func run(t *testing.T, f func(t *test)) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tb := &table{keys: map[string]Key{}, sizes: make(chan int), permission: make(chan error)}
		c := New[draft](tb.insert)
		c.Now = func() time.Time { return time.UnixMicro(7) }
		defer c.Close()
		f(&test{T: t, table: tb, creator: c})
	})
}

func outcome(r row, replayed bool, err error) string {
	return fmt.Sprint(r.name, r.id, r.at, replayed, err)
}

// start calls Create and returns when the call waits.
func (t *test) start(ctx context.Context, d draft, key string) {
	returns := make(chan string, 1)
	t.returns = append(t.returns, returns)
	go func() { returns <- outcome(t.creator.Create(ctx, d, key)) }()
	synctest.Wait()
}

// want checks what the i-th call returns.
func (t *test) want(i int, r row, replayed bool, err error) {
	t.Helper()
	if got, want := <-t.returns[i], outcome(r, replayed, err); got != want {
		t.Errorf("call %d returned %s, want %s", i, got, want)
	}
}

// commit lets a transaction of n creations end with err.
func (t *test) commit(n int, err error) {
	t.Helper()
	if got := <-t.sizes; got != n {
		t.Errorf("%d creations in one transaction, want %d", got, n)
	}
	t.permission <- err
	synctest.Wait()
}

func (t *test) wantRows(names ...string) {
	t.Helper()
	var got []string
	for _, r := range t.rows {
		got = append(got, r.name)
	}
	if !slices.Equal(got, names) {
		t.Errorf("rows %v, want %v", got, names)
	}
}

// TestGrouping: a lone creation is committed at once; those that arrive
// meanwhile share the next transaction.
func TestGrouping(t *testing.T) {
	run(t, func(t *test) {
		for _, d := range []draft{"a", "b", "c", "d"} {
			t.start(t.Context(), d, "")
		}
		t.commit(1, nil)
		t.want(0, row{"a", 1, 7}, false, nil)
		t.start(t.Context(), "e", "")
		t.commit(3, nil)
		t.want(1, row{"b", 2, 7}, false, nil)
		t.want(2, row{"c", 3, 7}, false, nil)
		t.want(3, row{"d", 4, 7}, false, nil)
		t.commit(1, nil)
		t.want(4, row{"e", 5, 7}, false, nil)
		t.wantRows("a", "b", "c", "d", "e")
	})
}

// TestKeys has keys several times in one transaction, some of them with another
// draft.
func TestKeys(t *testing.T) {
	run(t, func(t *test) {
		t.start(t.Context(), "a", "key")
		for _, r := range []struct {
			draft draft
			key   string
		}{
			{"b", "other"}, {"a", "key"}, {"c", ""}, {"c", ""}, {"b", "other"}, {"x", "other"}, {"x", "key"}, {"d", "third"}, {"x", "third"}, {"d", "third"},
		} {
			t.start(t.Context(), r.draft, r.key)
		}
		t.commit(1, nil)
		t.commit(10, nil)
		for i, want := range []struct {
			row      row
			replayed bool
			err      error
		}{
			{row{"a", 1, 7}, false, nil},
			{row{"b", 2, 7}, false, nil},
			{row{"a", 1, 7}, true, nil},
			{row{"c", 3, 7}, false, nil},
			{row{"c", 4, 7}, false, nil},
			{row{"b", 2, 7}, true, nil},
			{row{}, false, idempotency.ErrMismatch},
			{row{}, false, idempotency.ErrMismatch},
			{row{"d", 5, 7}, false, nil},
			{row{}, false, idempotency.ErrMismatch},
			{row{"d", 5, 7}, true, nil},
		} {
			t.want(i, want.row, want.replayed, want.err)
		}
		t.wantRows("a", "b", "c", "c", "d")
		for i, key := range map[int]string{0: "key", 1: "other", 4: "third"} {
			r := t.rows[i]
			if got, want := t.keys[key], (Key{key, draft(r.name).Digest(), r.id, r.at}); got != want {
				t.Errorf("key %s is stored as %+v, want %+v", key, got, want)
			}
		}
	})
}

func TestErrorGoesToAll(t *testing.T) {
	run(t, func(t *test) {
		full := errors.New("disk full")
		t.start(t.Context(), "a", "key")
		t.start(t.Context(), "a", "key")
		t.start(t.Context(), "x", "key")
		t.start(t.Context(), "b", "")
		t.commit(1, nil)
		t.want(0, row{"a", 1, 7}, false, nil)
		t.commit(3, full)
		for i := 1; i <= 3; i++ {
			t.want(i, row{}, false, full)
		}
		// The next transaction is not affected.
		t.start(t.Context(), "c", "")
		t.commit(1, nil)
		t.want(4, row{"c", 5, 7}, false, nil)
		t.wantRows("a", "c")
	})
}

func TestCanceled(t *testing.T) {
	run(t, func(t *test) {
		ctx, cancel := context.WithCancel(t.Context())
		t.start(t.Context(), "a", "")
		t.start(t.Context(), "b", "")
		t.start(ctx, "c", "")
		t.start(t.Context(), "d", "")
		cancel()
		t.want(2, row{}, false, context.Canceled) // though the commit before it still runs
		t.start(ctx, "e", "")                     // never enters the queue
		t.want(4, row{}, false, context.Canceled)
		t.commit(1, nil)
		t.commit(2, nil)
		t.want(0, row{"a", 1, 7}, false, nil)
		t.want(1, row{"b", 2, 7}, false, nil)
		t.want(3, row{"d", 3, 7}, false, nil)

		// A group without a waiting caller is not committed at all.
		ctx, cancel = context.WithCancel(t.Context())
		t.start(t.Context(), "f", "")
		t.start(ctx, "g", "")
		cancel()
		t.want(6, row{}, false, context.Canceled)
		t.commit(1, nil)
		t.want(5, row{"f", 4, 7}, false, nil)
		t.start(t.Context(), "h", "")
		t.commit(1, nil)
		t.want(7, row{"h", 5, 7}, false, nil)
		t.wantRows("a", "b", "d", "f", "h")
	})
}

func TestClose(t *testing.T) {
	run(t, func(t *test) {
		t.start(t.Context(), "a", "")
		t.start(t.Context(), "b", "")
		closed := make(chan struct{})
		go func() {
			t.creator.Close()
			close(closed)
		}()
		wantWaiting := func(what string) {
			t.Helper()
			synctest.Wait()
			select {
			case <-closed:
				t.Errorf("Close did not wait for %s", what)
			default:
			}
		}
		wantWaiting("the commit in progress")
		t.start(t.Context(), "c", "")
		t.want(2, row{}, false, ErrClosed)

		// The creation in the queue was accepted before Close.
		t.commit(1, nil)
		t.want(0, row{"a", 1, 7}, false, nil)
		wantWaiting("the commit of the queue")
		t.commit(1, nil)
		t.want(1, row{"b", 2, 7}, false, nil)
		<-closed
		t.creator.Close()
		t.start(t.Context(), "d", "")
		t.want(3, row{}, false, ErrClosed)
		if kind := apierror.KindOf(ErrClosed); kind != apierror.Unavailable {
			t.Errorf("ErrClosed is of kind %d, want unavailable", kind)
		}
		t.wantRows("a", "b")
	})
}

// TestChanged: a commit that fails changes nothing, and waiters are woken before
// Create returns.
func TestChanged(t *testing.T) {
	run(t, func(t *test) {
		changed := t.creator.Changed()
		woken := func() bool {
			select {
			case <-changed:
				return true
			default:
				return false
			}
		}
		full := errors.New("disk full")
		t.start(t.Context(), "a", "")
		t.commit(1, full)
		t.want(0, row{}, false, full)
		if woken() {
			t.Error("woken by a commit that failed")
		}
		t.start(t.Context(), "b", "")
		go t.commit(1, nil)
		t.want(1, row{"b", 2, 7}, false, nil)
		if !woken() {
			t.Error("not woken when Create had returned")
		}
		changed = t.creator.Changed()
		if woken() {
			t.Error("woken by a commit before the call of Changed")
		}
	})
}

// TestLimit fills the queue: no transaction passes the limit, and no creation is
// lost.
func TestLimit(t *testing.T) {
	run(t, func(t *test) {
		const extra = 10
		for range 1 + maxGroup + extra {
			t.start(t.Context(), "a", "")
		}
		t.commit(1, nil)
		t.commit(maxGroup, nil)
		t.commit(extra, nil)
		for i := range 1 + maxGroup + extra {
			t.want(i, row{"a", int64(i + 1), 7}, false, nil)
		}
	})
}

// TestRace is for the race detector: callers arrive, leave and find the creator
// closed at the same time. A creation that succeeded was committed, and once.
func TestRace(t *testing.T) {
	t.Parallel()
	committed := map[string]int{} // only insert writes it, never concurrently
	c := New[draft](func(_ int, _ []string, now int64, decide func(int64, int64, map[string]Key) ([]row, []Key)) error {
		rows, _ := decide(1, now, map[string]Key{})
		for _, r := range rows {
			committed[r.name]++
		}
		return nil
	})
	var (
		mu        sync.Mutex
		succeeded []string
		creating  sync.WaitGroup
	)
	half := make(chan struct{}, 1)
	for w := range 16 {
		creating.Go(func() {
			for i := range 500 {
				ctx, cancel := context.WithCancel(t.Context())
				if i%5 == 0 {
					go cancel()
				}
				name := fmt.Sprint(w, " ", i)
				got, _, err := c.Create(ctx, draft(name), "")
				cancel()
				switch {
				case err == nil && got.name == name:
					mu.Lock()
					succeeded = append(succeeded, name)
					mu.Unlock()
				case err == nil:
					t.Errorf("%s got the row of %s", name, got.name)
				case errors.Is(err, ErrClosed):
					return
				case !errors.Is(err, context.Canceled):
					t.Error(err)
				}
				if i == 250 {
					select {
					case half <- struct{}{}:
					default:
					}
				}
			}
		})
	}
	<-half
	c.Close()
	creating.Wait()
	for _, name := range succeeded {
		if committed[name] != 1 {
			t.Errorf("%s succeeded, and was committed %d times", name, committed[name])
		}
	}
}
