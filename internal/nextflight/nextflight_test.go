package nextflight

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// store is something to read that also counts who reads it.
type store struct {
	value   atomic.Int64
	reads   atomic.Int64
	flights atomic.Int64
}

func (s *store) read(context.Context) (int64, error) {
	s.flights.Add(1)
	v := s.value.Load() // what is read is read early …
	time.Sleep(time.Duration(rand.IntN(300)) * time.Microsecond)
	return v, nil // … and handed out late, which is what makes joining stale
}

// hammer lets many goroutines write and then read, and counts reads that do
// not see a write which was acknowledged before they began.
func hammer(do func(*store) int64, s *store) (stale int64) {
	var wg sync.WaitGroup
	var bad atomic.Int64
	for range 32 {
		wg.Go(func() {
			for range 200 {
				wrote := s.value.Add(1)
				s.reads.Add(1)
				if do(s) < wrote {
					bad.Add(1)
				}
			}
		})
	}
	wg.Wait()
	return bad.Load()
}

func TestGroupIsFresh(t *testing.T) {
	var g Group[string, int64]
	s := &store{}
	stale := hammer(func(s *store) int64 {
		v, err := g.Do(context.Background(), "same", s.read)
		if err != nil {
			t.Error(err)
		}
		return v
	}, s)
	if stale > 0 {
		t.Errorf("%d of %d reads were stale", stale, s.reads.Load())
	}
	if s.flights.Load()*2 > s.reads.Load() {
		t.Errorf("%d flights for %d reads: nothing was shared", s.flights.Load(), s.reads.Load())
	}
	t.Logf("%d reads, %d flights", s.reads.Load(), s.flights.Load())
	remembered := func() int {
		g.mu.Lock()
		defer g.mu.Unlock()
		return len(g.lines)
	}
	// The riders have their answer a moment before the flight is over.
	for range 1000 {
		if remembered() == 0 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if n := remembered(); n != 0 {
		t.Errorf("%d questions are remembered after the last answer", n)
	}
}

// The same check catches the usual way of joining, so it can fail.
func TestCheckCatchesTheNaiveJoin(t *testing.T) {
	type call struct {
		done chan struct{}
		v    int64
	}
	var mu sync.Mutex
	var inAir *call
	s := &store{}
	stale := hammer(func(s *store) int64 {
		mu.Lock()
		if c := inAir; c != nil {
			mu.Unlock()
			<-c.done
			return c.v
		}
		c := &call{done: make(chan struct{})}
		inAir = c
		mu.Unlock()
		c.v, _ = s.read(context.Background())
		mu.Lock()
		inAir = nil
		mu.Unlock()
		close(c.done)
		return c.v
	}, s)
	if stale == 0 {
		t.Error("joining a call under way was taken for fresh")
	}
	t.Logf("%d of %d reads were stale", stale, s.reads.Load())
}

func TestBatchIsFreshAndWhole(t *testing.T) {
	var values [50]atomic.Int64
	var calls, keysAsked atomic.Int64
	b := NewBatch(20, func(_ context.Context, keys []int) (map[int]int64, error) {
		calls.Add(1)
		keysAsked.Add(int64(len(keys)))
		out := make(map[int]int64, len(keys))
		for _, k := range keys {
			out[k] = values[k].Load()
		}
		time.Sleep(time.Duration(rand.IntN(300)) * time.Microsecond)
		return out, nil
	})
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			for range 100 {
				keys := rand.Perm(len(values))[:1+rand.IntN(5)]
				wrote := values[keys[0]].Add(1)
				got, err := b.Load(context.Background(), keys)
				if err != nil {
					t.Error(err)
				}
				for _, k := range keys {
					if _, ok := got[k]; !ok {
						t.Errorf("key %d was not fetched", k)
					}
				}
				if got[keys[0]] < wrote {
					t.Errorf("stale: %d, wrote %d", got[keys[0]], wrote)
				}
			}
		})
	}
	wg.Wait()
	if calls.Load() >= 3200 {
		t.Error("nothing was joined")
	}
	t.Logf("3200 loads, %d calls", calls.Load())
}

func TestFailureStaysWithItsFlight(t *testing.T) {
	var g Group[int, int]
	inAir, release := make(chan struct{}), make(chan struct{})
	go g.Do(context.Background(), 1, func(context.Context) (int, error) {
		close(inAir)
		<-release
		return 0, errors.New("first")
	})
	<-inAir
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
	close(release)
	for range 2 {
		if err := <-results; err == nil || err.Error()[:13] != "panic: second" {
			t.Errorf("rider got %v", err)
		}
	}
	if v, err := g.Do(context.Background(), 1, func(context.Context) (int, error) { return 7, nil }); v != 7 || err != nil {
		t.Errorf("after the failure: %d, %v", v, err)
	}
}

// A flight that hangs does not hold up those who come after it.
func TestHangingFlightIsOvertaken(t *testing.T) {
	var g Group[int, int]
	b := NewBatch(10, func(ctx context.Context, keys []int) (map[int]int, error) {
		if keys[0] == 0 {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		return map[int]int{keys[0]: 1}, nil
	})
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	started := make(chan struct{})
	wg.Go(func() {
		_, _ = g.Do(ctx, 1, func(ctx context.Context) (int, error) { close(started); <-ctx.Done(); return 0, ctx.Err() })
	})
	<-started
	if v, err := g.Do(context.Background(), 1, func(context.Context) (int, error) { return 7, nil }); v != 7 || err != nil {
		t.Errorf("group: %d, %v", v, err)
	}
	wg.Go(func() { _, _ = b.Load(ctx, []int{0}) })
	for i := 1; i < 4; i++ {
		if v, err := b.Load(context.Background(), []int{i}); v[i] != 1 || err != nil {
			t.Errorf("batch: %v, %v", v, err)
		}
	}
	cancel()
	wg.Wait()
}

func ExampleGroup() {
	var g Group[string, string]
	v, err := g.Do(context.Background(), "question", func(context.Context) (string, error) { return "answer", nil })
	fmt.Println(v, err)
	// Output: answer <nil>
}
