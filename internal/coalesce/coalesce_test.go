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
	for range maxLone {
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

// maxLone calls of a single caller start without a wait. Waiters wait for the
// call that started last, also when it has several callers.
func TestWaiters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g Group[int, time.Duration]
		start := time.Now()
		started := make([]time.Duration, 8)
		var wg sync.WaitGroup
		for i := range started {
			time.Sleep(time.Millisecond)
			wg.Go(func() {
				started[i], _ = g.Do(t.Context(), 1, func(context.Context) (time.Duration, error) {
					since := time.Since(start)
					time.Sleep(2*time.Millisecond + maxPending/10) // six others come meanwhile
					return since, nil
				})
			})
		}
		wg.Wait()
		for i, at := range started {
			started[i] = at.Round(time.Millisecond)
		}
		const ms = time.Millisecond
		want := []time.Duration{1 * ms, 2 * ms, 9 * ms, 9 * ms, 9 * ms, 9 * ms, 9 * ms, 9 * ms}
		if !slices.Equal(started, want) {
			t.Errorf("their calls started at %v, want %v", started, want)
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
