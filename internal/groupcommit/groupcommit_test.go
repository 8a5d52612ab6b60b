package groupcommit

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/veranda-go/veranda/internal/apierror"
)

// gate is a commit function that reports each group and waits for permission.
type gate struct {
	groups     chan []int
	permission chan error
}

func newGate() gate { return gate{make(chan []int), make(chan error)} }

// commit returns the double of each request.
func (g gate) commit(requests []int) ([]int, error) {
	g.groups <- slices.Clone(requests)
	if err := <-g.permission; err != nil {
		return nil, err
	}
	results := make([]int, len(requests))
	for i, n := range requests {
		results[i] = 2 * n
	}
	return results, nil
}

// calls are calls of Do in the order in which they were started.
type calls struct {
	t       *testing.T
	group   *Group[int, int]
	returns []chan returned
}

type returned struct {
	result int
	err    error
}

// start calls Do and returns when the call waits.
func (c *calls) start(ctx context.Context, n int) {
	returns := make(chan returned, 1)
	c.returns = append(c.returns, returns)
	go func() {
		result, err := c.group.Do(ctx, n)
		returns <- returned{result, err}
	}()
	synctest.Wait()
}

// want checks what the i-th call returns.
func (c *calls) want(i, result int, err error) {
	c.t.Helper()
	if got := <-c.returns[i]; got.result != result || !errors.Is(got.err, err) {
		c.t.Errorf("call %d: got %d, %v, want %d, %v", i, got.result, got.err, result, err)
	}
}

func wantGroup(t *testing.T, got []int, want ...int) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("committed %v together, want %v", got, want)
	}
}

func TestGrouping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := newGate()
		c := &calls{t: t, group: New(gate.commit)}
		defer c.group.Close()

		// A lone writer commits at once; those that arrive meanwhile share the next
		// commit.
		c.start(t.Context(), 1)
		wantGroup(t, <-gate.groups, 1)
		for n := 2; n <= 5; n++ {
			c.start(t.Context(), n)
		}
		gate.permission <- nil
		c.want(0, 2, nil)
		wantGroup(t, <-gate.groups, 2, 3, 4, 5)

		c.start(t.Context(), 6)
		gate.permission <- nil
		for i := 1; i <= 4; i++ {
			c.want(i, 2*(i+1), nil)
		}
		wantGroup(t, <-gate.groups, 6)
		gate.permission <- nil
		c.want(5, 12, nil)
	})
}

func TestErrorGoesToAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := newGate()
		c := &calls{t: t, group: New(gate.commit)}
		defer c.group.Close()
		full := errors.New("disk full")

		c.start(t.Context(), 1)
		<-gate.groups
		c.start(t.Context(), 2)
		c.start(t.Context(), 3)
		gate.permission <- nil
		c.want(0, 2, nil)
		<-gate.groups
		gate.permission <- full
		c.want(1, 0, full)
		c.want(2, 0, full)

		// The group goes on.
		c.start(t.Context(), 4)
		<-gate.groups
		gate.permission <- nil
		c.want(3, 8, nil)
	})
}

func TestCanceled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := newGate()
		c := &calls{t: t, group: New(gate.commit)}
		defer c.group.Close()
		ctx, cancel := context.WithCancel(t.Context())

		c.start(t.Context(), 1)
		<-gate.groups
		c.start(t.Context(), 2)
		c.start(ctx, 3)
		c.start(t.Context(), 4)
		cancel()
		c.want(2, 0, context.Canceled) // though the commit before it still runs
		c.start(ctx, 5)                // never enters the queue
		c.want(4, 0, context.Canceled)
		gate.permission <- nil
		wantGroup(t, <-gate.groups, 2, 4)
		gate.permission <- nil
		c.want(0, 2, nil)
		c.want(1, 4, nil)
		c.want(3, 8, nil)

		// A group without a waiting caller is not committed at all.
		ctx, cancel = context.WithCancel(t.Context())
		c.start(t.Context(), 6)
		<-gate.groups
		c.start(ctx, 7)
		cancel()
		c.want(6, 0, context.Canceled)
		gate.permission <- nil
		c.want(5, 12, nil)
		c.start(t.Context(), 8)
		wantGroup(t, <-gate.groups, 8)
		gate.permission <- nil
		c.want(7, 16, nil)
	})
}

func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := newGate()
		c := &calls{t: t, group: New(gate.commit)}
		c.start(t.Context(), 1)
		<-gate.groups
		c.start(t.Context(), 2)

		closed := make(chan struct{})
		go func() {
			c.group.Close()
			close(closed)
		}()
		wantOpen := func(what string) {
			t.Helper()
			synctest.Wait()
			select {
			case <-closed:
				t.Errorf("Close did not wait for %s", what)
			default:
			}
		}
		wantOpen("the commit in progress")
		c.start(t.Context(), 3)
		c.want(2, 0, ErrClosed)

		// The request in the queue was accepted before Close.
		gate.permission <- nil
		c.want(0, 2, nil)
		wantGroup(t, <-gate.groups, 2)
		wantOpen("the commit of the queue")
		gate.permission <- nil
		c.want(1, 4, nil)
		<-closed
		c.group.Close()
		if _, err := c.group.Do(t.Context(), 4); !errors.Is(err, ErrClosed) {
			t.Errorf("after Close: %v, want %v", err, ErrClosed)
		}
		if kind := apierror.KindOf(ErrClosed); kind != apierror.Unavailable {
			t.Errorf("ErrClosed is of kind %d, want unavailable", kind)
		}
		New(gate.commit).Close() // one that never committed
	})
}

// TestLimit fills the queue: no group passes the limit, and no request is lost.
func TestLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const extra = 10
		gate := newGate()
		c := &calls{t: t, group: New(gate.commit)}
		defer c.group.Close()
		c.start(t.Context(), 0)
		<-gate.groups
		for n := 1; n <= maxGroup+extra; n++ {
			c.start(t.Context(), n)
		}
		gate.permission <- nil
		total := 0
		for total < maxGroup+extra {
			group := <-gate.groups
			if len(group) > maxGroup {
				t.Errorf("%d requests in one group, want at most %d", len(group), maxGroup)
			}
			total += len(group)
			gate.permission <- nil
		}
		for n := range maxGroup + extra + 1 {
			c.want(n, 2*n, nil)
		}
	})
}

// TestRace is for the race detector: writers arrive, leave and find the group
// closed at the same time. A request with a result was committed, and once.
func TestRace(t *testing.T) {
	t.Parallel()
	committed := map[int]int{} // only commit writes it, never concurrently
	g := New(func(requests []int) ([]int, error) {
		for _, n := range requests {
			committed[n]++
		}
		return requests, nil
	})
	var (
		mu        sync.Mutex
		succeeded []int
		writing   sync.WaitGroup
	)
	half := make(chan struct{}, 1)
	for w := range 16 {
		writing.Go(func() {
			for i := range 500 {
				ctx, cancel := context.WithCancel(t.Context())
				if i%5 == 0 {
					go cancel()
				}
				n := w*1000 + i
				got, err := g.Do(ctx, n)
				cancel()
				switch {
				case err == nil && got == n:
					mu.Lock()
					succeeded = append(succeeded, n)
					mu.Unlock()
				case err == nil:
					t.Errorf("request %d got the result of %d", n, got)
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
	g.Close()
	writing.Wait()
	for _, n := range succeeded {
		if committed[n] != 1 {
			t.Errorf("request %d succeeded, and was committed %d times", n, committed[n])
		}
	}
}
