package postgres

import (
	"fmt"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/veranda-go/veranda/backend/listings"
	"github.com/veranda-go/veranda/backend/listings/listingstest"
	"github.com/veranda-go/veranda/internal/testenv"
)

// BenchmarkStore has its results in docs/storage.md, as has BenchmarkRatios.
func BenchmarkStore(b *testing.B) {
	s := openFilled(b, testenv.Postgres(b))
	defer s.Close()
	showPlans(b, s)
	listingstest.Bench(b, s)
}

// BenchmarkRatios compares the store with pgbench, which runs the same prepared
// statement with as many connections.
func BenchmarkRatios(b *testing.B) {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/pgbench")
	if path, err := exec.LookPath("pgbench"); err == nil {
		found = append(found, path)
	}
	if len(found) == 0 {
		b.Skip("no pgbench")
	}
	url := testenv.Postgres(b)
	s := openFilled(b, url)
	defer s.Close()
	connections := int(s.db.Config().MaxConns)
	listingstest.Ratios(b, s, url, connections, func(pages int64, span time.Duration) (m listingstest.Measured, err error) {
		q := listings.Query{Limit: listingstest.RatioSize}
		if pages > 1 {
			q.Offset = 1
		}
		_, text := statement(q)
		text = strings.NewReplacer("$1", ":limit", "$2", ":offset", "\n", " ").Replace(text)
		script := filepath.Join(b.TempDir(), "script")
		if err := os.WriteFile(script, fmt.Appendf(nil, "\\set limit %d\n\\set offset %[1]d * (random(1, %d) - 1)\n%s;\n",
			listingstest.RatioSize, pages, text), 0o600); err != nil {
			return m, err
		}
		out, err := exec.CommandContext(b.Context(), found[len(found)-1], "-n", "-M", "prepared", "-c", strconv.Itoa(connections),
			"-j", strconv.Itoa(runtime.GOMAXPROCS(0)), "-T", strconv.Itoa(int(span.Seconds())), "-f", script, url).CombinedOutput()
		if err != nil {
			return m, fmt.Errorf("%w: %s", err, out)
		}
		_, rest, _ := strings.Cut(string(out), "tps = ")
		number, _, _ := strings.Cut(rest, " ")
		m.PerSecond, err = strconv.ParseFloat(number, 64)
		return m, err
	})
}

func openFilled(b *testing.B, url string) *Store {
	opened, err := Open(b.Context(), url)
	if err != nil {
		b.Fatal(err)
	}
	s := opened.(*Store)
	start := time.Now()
	next, stop := iter.Pull(listingstest.BenchFill())
	defer stop()
	var last listings.Listing
	_, err = s.db.CopyFrom(b.Context(), pgx.Identifier{"listings"},
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
		if _, err := s.db.Exec(b.Context(), text); err != nil {
			b.Fatal(err)
		}
	}
	if _, err := s.db.Exec(b.Context(), "UPDATE listings_last SET id = $1, created_at = $2", last.ID, last.CreatedAt); err != nil {
		b.Fatal(err)
	}
	b.Logf("filled in %.0f s", time.Since(start).Seconds())
	return s
}

// showPlans prints, with -v, the plans that PostgreSQL uses from the seventh
// execution on.
func showPlans(b *testing.B, s *Store) {
	if !testing.Verbose() {
		return
	}
	conn, err := s.db.Acquire(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Release()
	listingstest.BenchPlans(s, func(name string, q listings.Query) {
		l, text := statement(q)
		call := "EXECUTE page ("
		for i, arg := range l.Args {
			if i > 0 {
				call += ", "
			}
			call += fmt.Sprint(arg)
		}
		call += ")"
		statements := []string{"DEALLOCATE ALL", "PREPARE page AS " + text, call, call, call, call, call, call}
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
