package nextflight

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
)

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
	hanging := make(chan struct{})
	b := NewBatch(10, func(ctx context.Context, keys []int) (map[int]int, error) {
		if keys[0] == 0 {
			hanging <- struct{}{}
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

func ExampleGroup() {
	var g Group[string, string]
	v, err := g.Do(context.Background(), "question", func(context.Context) (string, error) { return "answer", nil })
	fmt.Println(v, err)
	// Output: answer <nil>
}
