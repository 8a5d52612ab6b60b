package postgres

import (
	"fmt"
	"iter"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/veranda-go/veranda/backend/listings"
	"github.com/veranda-go/veranda/backend/listings/listingstest"
	"github.com/veranda-go/veranda/internal/need"
)

// BenchmarkStore is told of in docs/storage.md.
func BenchmarkStore(b *testing.B) {
	s := openFilled(b)
	defer s.Close()
	showPlans(b, s)
	listingstest.Bench(b, s)
}

func openFilled(b *testing.B) *Store {
	opened, err := Open(b.Context(), need.Postgres(b))
	if err != nil {
		b.Fatal(err)
	}
	s := opened.(*Store)
	start := time.Now()
	next, stop := iter.Pull(listingstest.BenchFill())
	defer stop()
	var last listings.Listing
	_, err = s.pool.CopyFrom(b.Context(), pgx.Identifier{"listings"},
		[]string{"id", "user_id", "listing_type", "price", "created_at", "updated_at"},
		pgx.CopyFromFunc(func() ([]any, error) {
			l, ok := next()
			if !ok {
				return nil, nil
			}
			last = l
			return []any{l.ID, l.UserID, string(l.Type), l.Price, l.CreatedAt, l.UpdatedAt}, nil
		}))
	if err != nil {
		b.Fatal(err)
	}
	for _, text := range []string{"VACUUM ANALYZE listings", "CHECKPOINT"} {
		if _, err := s.pool.Exec(b.Context(), text); err != nil {
			b.Fatal(err)
		}
	}
	if _, err := s.pool.Exec(b.Context(), "UPDATE listings_last SET id = $1, created_at = $2", last.ID, last.CreatedAt); err != nil {
		b.Fatal(err)
	}
	b.Logf("filled in %.0f s", time.Since(start).Seconds())
	return s
}

// showPlans prints, with -v, how PostgreSQL runs the questions from the
// seventh time on, when it has settled for a plan.
func showPlans(b *testing.B, s *Store) {
	if !testing.Verbose() {
		return
	}
	conn, err := s.pool.Acquire(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Release()
	listingstest.BenchPlans(s, func(name string, q listings.Query) {
		l := lookupOf(q)
		text := l.text(q)
		call := "EXECUTE asked ("
		for i, arg := range l.args {
			if i > 0 {
				call += ", "
			}
			call += fmt.Sprint(arg)
		}
		call += ")"
		statements := []string{"DEALLOCATE ALL", "PREPARE asked AS " + text, call, call, call, call, call, call}
		for _, statement := range statements {
			if _, err := conn.Exec(b.Context(), statement, pgx.QueryExecModeSimpleProtocol); err != nil {
				b.Fatal(err)
			}
		}
		rows, err := conn.Query(b.Context(), "EXPLAIN (ANALYZE, BUFFERS) "+call, pgx.QueryExecModeSimpleProtocol)
		if err != nil {
			b.Fatal(err)
		}
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			b.Fatal(err)
		}
		fmt.Printf("# %s: %s\n#   %s\n", name, strings.Join(strings.Fields(text), " "), strings.Join(lines, "\n#   "))
	})
}
