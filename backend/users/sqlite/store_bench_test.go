package sqlite

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"

	"github.com/veranda-go/veranda/backend/users"
)

// BenchmarkBatch reads 100 users by id. Its results are in docs/storage.md.
func BenchmarkBatch(b *testing.B) {
	const all, batch = 10_000, 100
	s, err := Open(b.Context(), filepath.Join(b.TempDir(), "users.db"))
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	var running sync.WaitGroup
	for i := range 100 {
		running.Go(func() {
			for j := range all / 100 {
				if _, _, err := s.Create(b.Context(), users.Draft{Name: fmt.Sprintf("User %d of %d", j, i)}, ""); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	running.Wait()
	random := rand.New(rand.NewPCG(1, 1))
	b.ReportAllocs()
	for b.Loop() {
		ids := make([]int64, batch)
		for i := range ids {
			ids[i] = 1 + random.Int64N(all)
		}
		if found, err := s.Batch(b.Context(), ids); err != nil || len(found) < batch*9/10 {
			b.Fatalf("%d rows, %v", len(found), err)
		}
	}
}
