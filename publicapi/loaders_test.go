package publicapi

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
)

// Each level makes one call for the ids that no earlier level has loaded, also
// while other levels load theirs. An error is that of the ids without a value.
func TestLoader(t *testing.T) {
	var mu sync.Mutex
	var batches [][]int64
	failed := errors.New("unavailable")
	l := newLoader(func(_ context.Context, ids []int64) (map[int64]string, error) {
		mu.Lock()
		defer mu.Unlock()
		batches = append(batches, slices.Clone(ids))
		if slices.Contains(ids, 13) {
			return map[int64]string{14: "o"}, failed
		}
		values := map[int64]string{}
		for _, id := range ids {
			if id != 9 {
				values[id] = string(rune('a' + id))
			}
		}
		return values, nil
	})
	values, errs := l.load(t.Context(), []int64{1, 2, 1, 9})
	if !slices.Equal(values, []string{"b", "c", "b", ""}) || errs != nil {
		t.Errorf("%q %v", values, errs)
	}
	values, errs = l.load(t.Context(), []int64{2, 3, 9})
	if !slices.Equal(values, []string{"c", "d", ""}) || errs != nil {
		t.Errorf("%q %v", values, errs)
	}
	values, errs = l.load(t.Context(), []int64{1, 13, 14})
	if !slices.Equal(values, []string{"b", "", "o"}) || !slices.Equal(errs, []error{nil, failed, nil}) {
		t.Errorf("%q %v, want an error for the second id alone", values, errs)
	}
	if values, errs = l.load(t.Context(), nil); len(values) != 0 || errs != nil {
		t.Errorf("%q %v for no ids", values, errs)
	}
	if len(batches) != 3 || len(batches[0]) != 3 || len(batches[1]) != 1 || len(batches[2]) != 2 {
		t.Errorf("batches %v", batches)
	}

	batches = nil
	var wg sync.WaitGroup
	for level := range 50 {
		wg.Go(func() {
			var ids []int64
			for id := range 40 {
				ids = append(ids, int64(100+(id+level)%60))
			}
			if _, errs := l.load(t.Context(), ids); errs != nil {
				t.Error(errs)
			}
		})
	}
	wg.Wait()
	seen := map[int64]int{}
	for _, ids := range batches {
		for _, id := range ids {
			seen[id]++
		}
	}
	if len(seen) != 60 {
		t.Errorf("%d ids were loaded, want 60", len(seen))
	}
	for id, n := range seen {
		if n != 1 {
			t.Errorf("id %d was loaded %d times", id, n)
		}
	}
}
