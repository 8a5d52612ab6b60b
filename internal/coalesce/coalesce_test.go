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

// fill has as many callers of 1 fly as may before the next one waits. They
// land when release is called.
func fill(g *Group[int, int], land func() (int, error)) (release func()) {
	started, end := make(chan struct{}), make(chan struct{})
	var callers sync.WaitGroup
	for range abreast {
		callers.Go(func() {
			_, _ = g.Do(context.Background(), 1, func(context.Context) (int, error) {
				started <- struct{}{}
				<-end
				return land()
			})
		})
		<-started
	}
	return func() {
		close(end)
		callers.Wait()
	}
}

func TestFailureStaysWithItsFlight(t *testing.T) {
	var g Group[int, int]
	release := fill(&g, func() (int, error) { return 0, errors.New("first") })
	// Three riders board the next flight, one of them leaves, and it panics.
	ctx, leave := context.WithCancel(context.Background())
	var boarded sync.WaitGroup
	results := make(chan error, 3)
	for i := range 3 {
		boarded.Add(1)
		c := context.Background()
		if i == 0 {
			c = ctx
		}
		go func() {
			boarded.Done()
			_, err := g.Do(c, 1, func(context.Context) (int, error) { panic("second") })
			results <- err
		}()
	}
	boarded.Wait()
	leave()
	if err := <-results; !errors.Is(err, context.Canceled) {
		t.Errorf("who left got %v", err)
	}
	release()
	for range 2 {
		if err := <-results; err == nil || err.Error()[:13] != "panic: second" {
			t.Errorf("rider got %v", err)
		}
	}
	if v, err := g.Do(context.Background(), 1, func(context.Context) (int, error) { return 7, nil }); v != 7 || err != nil {
		t.Errorf("after the failure: %d, %v", v, err)
	}
}

// Flights that hang do not hold up those who come after them: the first of
// them waits, the next ones find a flight that has landed since.
func TestHangingFlightIsOvertaken(t *testing.T) { synctest.Test(t, hangingFlightIsOvertaken) }

func hangingFlightIsOvertaken(t *testing.T) {
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
	if took := time.Since(start); took != patience {
		t.Errorf("group: three took %v", took)
	}
	release()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for range batchesInAir {
		wg.Go(func() { _, _ = b.Load(ctx, []int{0}) })
		<-hanging // before others come, so that it is alone
	}
	for i := 1; i < 4; i++ {
		if v, err := b.Load(context.Background(), []int{i}); v[i] != 1 || err != nil {
			t.Errorf("batch: %v, %v", v, err)
		}
	}
	cancel()
	wg.Wait()
}

// While flights carry one caller each, so many leave without a wait; riders
// wait for the one that left last, also when it carries many.
func TestWhoWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g Group[int, time.Duration]
		start := time.Now()
		left := make([]time.Duration, 8)
		var wg sync.WaitGroup
		for i := range left {
			time.Sleep(time.Millisecond)
			wg.Go(func() {
				left[i], _ = g.Do(t.Context(), 1, func(context.Context) (time.Duration, error) {
					since := time.Since(start)
					time.Sleep(2*time.Millisecond + patience/10) // six others come meanwhile
					return since, nil
				})
			})
		}
		wg.Wait()
		for i, at := range left {
			left[i] = at.Round(time.Millisecond)
		}
		const ms = time.Millisecond
		want := []time.Duration{1 * ms, 2 * ms, 9 * ms, 9 * ms, 9 * ms, 9 * ms, 9 * ms, 9 * ms}
		if !slices.Equal(left, want) {
			t.Errorf("their flights left at %v, want %v", left, want)
		}
	})
}

// Callers who are ready at the same moment share a flight that never waits.
func TestReadyCallersBoardFirst(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	const callers = 50
	var (
		g       Group[int, int]
		flights atomic.Int64
		wg      sync.WaitGroup
	)
	start := make(chan struct{})
	for range callers {
		wg.Go(func() {
			<-start
			v, err := g.Do(t.Context(), 1, func(context.Context) (int, error) { flights.Add(1); return 7, nil })
			if v != 7 || err != nil {
				t.Errorf("%d, %v", v, err)
			}
		})
	}
	runtime.Gosched() // all are at start
	close(start)
	wg.Wait()
	if n := flights.Load(); n > callers/5 {
		t.Errorf("%d callers took %d flights", callers, n)
	}
}

func ExampleGroup() {
	var g Group[string, string]
	v, err := g.Do(context.Background(), "question", func(context.Context) (string, error) { return "answer", nil })
	fmt.Println(v, err)
	// Output: answer <nil>
}
