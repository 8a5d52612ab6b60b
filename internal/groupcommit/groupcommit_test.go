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

// gate is a commit function that reports each group and waits for leave.
type gate struct {
	groups chan []int
	leave  chan error
}

func newGate() gate { return gate{make(chan []int), make(chan error)} }

// commit answers each request with its double.
func (g gate) commit(asks []int) ([]int, error) {
	g.groups <- slices.Clone(asks)
	if err := <-g.leave; err != nil {
		return nil, err
	}
	answers := make([]int, len(asks))
	for i, a := range asks {
		answers[i] = 2 * a
	}
	return answers, nil
}

// asking is requests under way, in the order in which they were handed in.
type asking struct {
	t       *testing.T
	group   *Group[int, int]
	answers []chan result[int]
}

// ask hands in a request and returns when it waits for its answer.
func (a *asking) ask(ctx context.Context, n int) {
	answer := make(chan result[int], 1)
	a.answers = append(a.answers, answer)
	go func() {
		got, err := a.group.Do(ctx, n)
		answer <- result[int]{got, err}
	}()
	synctest.Wait()
}

// want checks the answer to the i-th request.
func (a *asking) want(i, answer int, err error) {
	a.t.Helper()
	if got := <-a.answers[i]; got.answer != answer || !errors.Is(got.err, err) {
		a.t.Errorf("request %d: got %d, %v, want %d, %v", i, got.answer, got.err, answer, err)
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
		a := &asking{t: t, group: New(gate.commit)}
		defer a.group.Close()

		// A lone writer goes at once; who comes meanwhile goes together, next.
		a.ask(t.Context(), 1)
		wantGroup(t, <-gate.groups, 1)
		for n := 2; n <= 5; n++ {
			a.ask(t.Context(), n)
		}
		gate.leave <- nil
		a.want(0, 2, nil)
		wantGroup(t, <-gate.groups, 2, 3, 4, 5)

		a.ask(t.Context(), 6)
		gate.leave <- nil
		for i := 1; i <= 4; i++ {
			a.want(i, 2*(i+1), nil)
		}
		wantGroup(t, <-gate.groups, 6)
		gate.leave <- nil
		a.want(5, 12, nil)
	})
}

func TestErrorGoesToAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := newGate()
		a := &asking{t: t, group: New(gate.commit)}
		defer a.group.Close()
		full := errors.New("disk full")

		a.ask(t.Context(), 1)
		<-gate.groups
		a.ask(t.Context(), 2)
		a.ask(t.Context(), 3)
		gate.leave <- nil
		a.want(0, 2, nil)
		<-gate.groups
		gate.leave <- full
		a.want(1, 0, full)
		a.want(2, 0, full)

		// The group goes on.
		a.ask(t.Context(), 4)
		<-gate.groups
		gate.leave <- nil
		a.want(3, 8, nil)
	})
}

func TestCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := newGate()
		a := &asking{t: t, group: New(gate.commit)}
		defer a.group.Close()
		ctx, cancel := context.WithCancel(t.Context())

		a.ask(t.Context(), 1)
		<-gate.groups
		a.ask(t.Context(), 2)
		a.ask(ctx, 3)
		a.ask(t.Context(), 4)
		cancel()
		a.want(2, 0, context.Canceled) // though the commit before it still runs
		a.ask(ctx, 5)                  // is refused without a place in the queue
		a.want(4, 0, context.Canceled)
		gate.leave <- nil
		wantGroup(t, <-gate.groups, 2, 4)
		gate.leave <- nil
		a.want(0, 2, nil)
		a.want(1, 4, nil)
		a.want(3, 8, nil)

		// A group whose callers have all left is not committed at all.
		ctx, cancel = context.WithCancel(t.Context())
		a.ask(t.Context(), 6)
		<-gate.groups
		a.ask(ctx, 7)
		cancel()
		a.want(6, 0, context.Canceled)
		gate.leave <- nil
		a.want(5, 12, nil)
		a.ask(t.Context(), 8)
		wantGroup(t, <-gate.groups, 8)
		gate.leave <- nil
		a.want(7, 16, nil)
	})
}

func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := newGate()
		a := &asking{t: t, group: New(gate.commit)}
		a.ask(t.Context(), 1)
		<-gate.groups
		a.ask(t.Context(), 2)

		closed := make(chan struct{})
		go func() {
			a.group.Close()
			close(closed)
		}()
		synctest.Wait()
		select {
		case <-closed:
			t.Error("Close did not wait for the commit under way")
		default:
		}
		a.ask(t.Context(), 3)
		a.want(2, 0, ErrClosed)

		// The request in the queue is either committed or refused, and told so.
		gate.leave <- nil
		a.want(0, 2, nil)
		synctest.Wait()
		select {
		case <-gate.groups:
			gate.leave <- nil
			a.want(1, 4, nil)
		default:
			a.want(1, 0, ErrClosed)
		}
		<-closed
		a.group.Close()
		if _, err := a.group.Do(t.Context(), 4); !errors.Is(err, ErrClosed) {
			t.Errorf("after Close: %v, want %v", err, ErrClosed)
		}
		if kind := apierror.KindOf(ErrClosed); kind != apierror.Unavailable {
			t.Errorf("ErrClosed is of kind %d, want unavailable", kind)
		}
	})
}

// TestChanged waits for commits: one that fails has changed nothing, and who
// waits is told before the callers are.
func TestChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := newGate()
		a := &asking{t: t, group: New(gate.commit)}
		defer a.group.Close()
		first := a.group.Changed()
		told := func() bool {
			select {
			case <-first:
				return true
			default:
				return false
			}
		}
		a.ask(t.Context(), 1)
		<-gate.groups
		gate.leave <- errors.New("disk full")
		<-a.answers[0]
		if told() {
			t.Error("told of a commit that failed")
		}
		a.ask(t.Context(), 2)
		<-gate.groups
		gate.leave <- nil
		a.want(1, 4, nil)
		if !told() {
			t.Error("not told of a commit whose caller has the answer")
		}
		select {
		case <-a.group.Changed():
			t.Error("told of a commit that was before the question")
		default:
		}
	})
}

// TestLimit fills the queue: no group passes the limit, and nobody is lost.
func TestLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const extra = 10
		gate := newGate()
		a := &asking{t: t, group: New(gate.commit)}
		defer a.group.Close()
		a.ask(t.Context(), 0)
		<-gate.groups
		for n := 1; n <= maxGroup+extra; n++ {
			a.ask(t.Context(), n)
		}
		gate.leave <- nil
		total := 0
		for total < maxGroup+extra {
			group := <-gate.groups
			if len(group) > maxGroup {
				t.Errorf("%d requests in one group, want at most %d", len(group), maxGroup)
			}
			total += len(group)
			gate.leave <- nil
		}
		for n := range maxGroup + extra + 1 {
			a.want(n, 2*n, nil)
		}
	})
}

// TestRace is for the race detector: writers come, leave and find the group
// closed, all at once. Who got an answer was committed, and once.
func TestRace(t *testing.T) {
	t.Parallel()
	committed := map[int]int{} // only commit touches it, never twice at once
	g := New(func(asks []int) ([]int, error) {
		for _, a := range asks {
			committed[a]++
		}
		return asks, nil
	})
	var (
		mu       sync.Mutex
		answered []int
		writing  sync.WaitGroup
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
					answered = append(answered, n)
					mu.Unlock()
				case err == nil:
					t.Errorf("asked %d, got the answer to %d", n, got)
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
	for _, n := range answered {
		if committed[n] != 1 {
			t.Errorf("request %d was answered, and committed %d times", n, committed[n])
		}
	}
}
