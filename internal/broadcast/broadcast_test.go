package broadcast

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func TestLoad(t *testing.T) {
	t.Parallel()
	var v Value[int]
	value, first := v.Load()
	_, second := v.Load()
	if value != 0 || closed(first) {
		t.Errorf("zero Value: %d, changed %v", value, closed(first))
	}
	for n := 1; n <= 3; n++ {
		v.Publish(n)
		if !closed(first) || !closed(second) {
			t.Errorf("published %d, but a waiter was not woken", n)
		}
		if value, first = v.Load(); value != n || closed(first) {
			t.Errorf("loaded %d, changed %v, want %d", value, closed(first), n)
		}
		_, second = v.Load()
	}
}

func TestWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var v Value[int]
		ctx, cancel := context.WithCancel(t.Context())
		atLeast := func(n int) func(int) bool { return func(value int) bool { return value >= n } }
		if !v.Wait(ctx, atLeast(0)) {
			t.Error("waited for the value that is there")
		}
		results := map[int]chan bool{2: make(chan bool, 2), 5: make(chan bool, 2), 9: make(chan bool, 2)}
		for n, result := range results {
			for range 2 {
				go func() { result <- v.Wait(ctx, atLeast(n)) }()
			}
		}
		want := func(n int, counts ...int) {
			t.Helper()
			synctest.Wait()
			for i, waiter := range []int{2, 5, 9} {
				if got := len(results[waiter]); got != counts[i] {
					t.Errorf("value %d: %d waiters for %d have returned, want %d", n, got, waiter, counts[i])
				}
			}
		}
		want(0, 0, 0, 0)
		v.Publish(1)
		want(1, 0, 0, 0)
		v.Publish(3)
		want(3, 2, 0, 0)
		v.Publish(2) // a value may fall
		v.Publish(5)
		want(5, 2, 2, 0)
		cancel()
		want(5, 2, 2, 2)
		for n, result := range results {
			for range 2 {
				if got := <-result; got != (n != 9) {
					t.Errorf("waiter for %d: %v", n, got)
				}
			}
		}
		if v.Wait(ctx, atLeast(0)) {
			t.Error("ended context: want false, ready or not")
		}
	})
}

// TestNoLostWakeUp has each waiter publish what the next one waits for, with
// other publishers in between: a wake-up that got lost would leave a waiter
// asleep, and the test with it.
func TestNoLostWakeUp(t *testing.T) {
	t.Parallel()
	const waiters, rounds = 8, 500
	var (
		v       Value[int64]
		count   atomic.Int64
		running sync.WaitGroup
	)
	for w := range int64(waiters) {
		running.Go(func() {
			for round := range int64(rounds) {
				turn := round*waiters + w
				if !v.Wait(t.Context(), func(int64) bool { return count.Load() >= turn }) {
					t.Errorf("waiter %d was canceled", w)
				}
				v.Publish(count.Add(1))
			}
		})
	}
	running.Wait()
	if n := count.Load(); n != waiters*rounds {
		t.Errorf("%d turns, want %d", n, waiters*rounds)
	}
}

func TestSource(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		type producer struct {
			ctx     context.Context
			publish func(int)
		}
		var producers []producer
		s := NewSource(func(ctx context.Context, publish func(int)) {
			producers = append(producers, producer{ctx, publish})
			<-ctx.Done()
		})
		value := func() int {
			value, _ := s.Load()
			return value
		}
		synctest.Wait()
		if len(producers) != 0 {
			t.Error("a producer without a subscriber")
		}
		for round := 1; round <= 3; round++ {
			first, second := s.Subscribe(), s.Subscribe()
			synctest.Wait()
			if len(producers) != round {
				t.Fatalf("%d producers were started, want %d", len(producers), round)
			}
			if value() != 0 {
				t.Errorf("a new producer begins with the value %d of the one before", value())
			}
			now := producers[round-1]
			now.publish(round)
			first()
			synctest.Wait()
			if now.ctx.Err() != nil || value() != round {
				t.Errorf("with one subscriber left: %v, value %d", now.ctx.Err(), value())
			}
			second()
			if now.ctx.Err() == nil {
				t.Error("the producer outlives its subscribers")
			}
			now.publish(99)
			if value() == 99 {
				t.Error("an ended producer has published")
			}
		}
	})
}

// TestSourceAtOnce subscribes, waits and unsubscribes from many goroutines:
// each subscriber has a producer as long as it stays.
func TestSourceAtOnce(t *testing.T) {
	t.Parallel()
	s := NewSource(func(ctx context.Context, publish func(int)) {
		for n := 1; ctx.Err() == nil; n++ {
			publish(n)
		}
	})
	var subscribers sync.WaitGroup
	for range 8 {
		subscribers.Go(func() {
			for range 100 {
				unsubscribe := s.Subscribe()
				seen := 0
				if !s.Wait(t.Context(), func(n int) bool { seen = n; return n > 0 }) || seen == 0 {
					t.Error("no value came")
				}
				unsubscribe()
			}
		})
	}
	subscribers.Wait()
}
