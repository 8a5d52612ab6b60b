package coalesce

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// fill starts as many calls for key 1 as may be in flight before the next one
// waits. They return what end returns, after release is called.
func fill(g *Group[int, int], end func() (int, error)) (release func()) {
	started, released := make(chan struct{}), make(chan struct{})
	var callers sync.WaitGroup
	for range maxUnshared {
		callers.Go(func() {
			_, _ = g.Do(context.Background(), 1, func(context.Context) (int, error) {
				started <- struct{}{}
				<-released
				return end()
			})
		})
		<-started
	}
	return func() {
		close(released)
		callers.Wait()
	}
}

func TestErrorsStayWithTheirCall(t *testing.T) {
	var g Group[int, int]
	release := fill(&g, func() (int, error) { return 0, errors.New("first") })
	// The pending call has three callers. One of them leaves, and the call panics.
	ctx, leave := context.WithCancel(context.Background())
	var waiting sync.WaitGroup
	results := make(chan error, 3)
	for i := range 3 {
		waiting.Add(1)
		c := context.Background()
		if i == 0 {
			c = ctx
		}
		go func() {
			waiting.Done()
			_, err := g.Do(c, 1, func(context.Context) (int, error) { panic("second") })
			results <- err
		}()
	}
	waiting.Wait()
	leave()
	if err := <-results; !errors.Is(err, context.Canceled) {
		t.Errorf("the caller that left got %v", err)
	}
	release()
	for range 2 {
		if err := <-results; err == nil || err.Error()[:13] != "panic: second" {
			t.Errorf("a waiter got %v", err)
		}
	}
	if v, err := g.Do(context.Background(), 1, func(context.Context) (int, error) { return 7, nil }); v != 7 || err != nil {
		t.Errorf("after the failure: %d, %v", v, err)
	}
}

// Calls that hang do not hold up later callers: the first of those waits for a
// bounded time, the others find a call that has ended.
func TestHangingCallIsOvertaken(t *testing.T) { synctest.Test(t, hangingCallIsOvertaken) }

func hangingCallIsOvertaken(t *testing.T) {
	var g Group[int, int]
	hanging := make(chan struct{})
	b := NewBatch(10, func(ctx context.Context, keys []int) (map[int]int, error) {
		if keys[0] == 0 {
			hanging <- struct{}{}
			<-ctx.Done()
			return nil, ctx.Err()
		}
		return map[int]int{keys[0]: 1}, nil
	})
	release := fill(&g, func() (int, error) { return 0, errors.New("late") })
	start := time.Now()
	for range 3 {
		if v, err := g.Do(context.Background(), 1, func(context.Context) (int, error) { return 7, nil }); v != 7 || err != nil {
			t.Errorf("group: %d, %v", v, err)
		}
	}
	if took := time.Since(start); took != maxPending {
		t.Errorf("group: three took %v", took)
	}
	release()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for range maxBatches {
		wg.Go(func() { _, _ = b.Load(ctx, []int{0}) })
		<-hanging // before others come, so that it has a single caller
	}
	for i := 1; i < 4; i++ {
		if v, err := b.Load(context.Background(), []int{i}); v[i] != 1 || err != nil {
			t.Errorf("batch: %v, %v", v, err)
		}
	}
	cancel()
	wg.Wait()
}

// maxUnshared calls of a single caller start without a wait. Callers that come
// then, or while a shared call is in flight, wait for the end of a call and share
// the next one.
func TestWaiters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const ms = time.Millisecond
		var g Group[int, time.Duration]
		begin := time.Now()
		started := make([]time.Duration, 6)
		var wg sync.WaitGroup
		for i := range started {
			time.Sleep(2 * ms)
			wg.Go(func() {
				started[i], _ = g.Do(t.Context(), 1, func(context.Context) (time.Duration, error) {
					since := time.Since(begin)
					time.Sleep(7 * ms)
					return since, nil
				})
			})
		}
		wg.Wait()
		want := []time.Duration{2 * ms, 4 * ms, 9 * ms, 9 * ms, 16 * ms, 16 * ms}
		if !slices.Equal(started, want) {
			t.Errorf("the calls started at %v, want %v", started, want)
		}
	})
}

// However long calls take, not more than so many are started in a time: each one
// that waits for maxPending overtakes one. When they are fast again, few are in
// flight.
func TestSlowCallsAreOvertakenOneByOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g Group[int, int]
		var calls, inFlight, most atomic.Int64
		slow := true
		load := func() {
			_, _ = g.Do(t.Context(), 1, func(context.Context) (int, error) {
				calls.Add(1)
				n := inFlight.Add(1)
				defer inFlight.Add(-1)
				most.Store(max(most.Load(), n))
				if slow {
					time.Sleep(10 * maxPending)
				} else {
					time.Sleep(time.Millisecond)
				}
				return 1, nil
			})
		}
		run := func() {
			var wg sync.WaitGroup
			for i := range 30 {
				wg.Go(func() {
					time.Sleep(time.Duration(i) * time.Millisecond)
					for end := time.Now().Add(20 * maxPending); time.Now().Before(end); {
						load()
					}
				})
			}
			wg.Wait()
		}
		run()
		if most.Load() > 11 {
			t.Errorf("%d slow calls were in flight, want one for each maxPending", most.Load())
		}
		slow = false
		most.Store(0)
		run()
		if most.Load() > maxUnshared {
			t.Errorf("%d fast calls were in flight", most.Load())
		}
	})
}

// Callers that are ready at the same moment share a call that never blocks.
func TestReadyCallersShare(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	const callers = 50
	var (
		g     Group[int, int]
		calls atomic.Int64
		wg    sync.WaitGroup
	)
	start := make(chan struct{})
	for range callers {
		wg.Go(func() {
			<-start
			v, err := g.Do(t.Context(), 1, func(context.Context) (int, error) { calls.Add(1); return 7, nil })
			if v != 7 || err != nil {
				t.Errorf("%d, %v", v, err)
			}
		})
	}
	runtime.Gosched() // all are at start
	close(start)
	wg.Wait()
	if n := calls.Load(); n > callers/5 {
		t.Errorf("%d callers took %d calls", callers, n)
	}
}

func ExampleGroup() {
	var g Group[string, string]
	v, err := g.Do(context.Background(), "key", func(context.Context) (string, error) { return "value", nil })
	fmt.Println(v, err)
	// Output: value <nil>
}
