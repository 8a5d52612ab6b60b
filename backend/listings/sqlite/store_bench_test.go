package sqlite

import (
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/veranda-go/veranda/backend/listings"
	"github.com/veranda-go/veranda/backend/listings/listingstest"
)

// BenchmarkStore has its results in docs/storage.md, as has BenchmarkRatios.
func BenchmarkStore(b *testing.B) {
	s := openFilled(b, filepath.Join(b.TempDir(), "listings.db"))
	defer s.Close()
	showPlans(b, s)
	listingstest.Bench(b, s)
}

// BenchmarkRatios compares the store with the driver alone, which steps through
// the rows of the same statement and reads their columns: with as many connections
// as the store or one for each client, whichever is faster.
func BenchmarkRatios(b *testing.B) {
	const clients = 16
	connections := max(4, 2*runtime.GOMAXPROCS(0))
	path := filepath.Join(b.TempDir(), "listings.db")
	s := openFilled(b, path)
	defer s.Close()
	before := statements(b, s)
	if _, err := s.List(b.Context(), listings.Query{Limit: listingstest.RatioSize}); err != nil {
		b.Fatal(err)
	}
	var text string
	for statement := range statements(b, s) {
		if !before[statement] {
			text = statement
		}
	}
	bareBy := func(n int) func(int64, time.Duration) (listingstest.Measured, error) {
		var conns []*sqlite.Conn
		for range n {
			// The setting of the store's readers.
			c, err := sqlite.OpenConn(path, sqlite.OpenReadOnly)
			if err == nil {
				b.Cleanup(func() { c.Close() })
				err = sqlitex.ExecuteTransient(c, "PRAGMA cache_size = -8000", nil)
			}
			if err != nil {
				b.Fatal(err)
			}
			conns = append(conns, c)
		}
		return func(pages int64, span time.Duration) (listingstest.Measured, error) {
			next := 0
			return listingstest.Pace(n, pages, span, func() (func(int64) error, error) {
				c := conns[next]
				next++
				return func(page int64) error { return readBare(c, text, page) }, nil
			})
		}
	}
	few, many := bareBy(connections), bareBy(clients)
	listingstest.Ratios(b, s, "sqlite:"+path, clients, func(pages int64, span time.Duration) (listingstest.Measured, error) {
		by, err := few(pages, span)
		if err != nil {
			return by, err
		}
		other, err := many(pages, span)
		b.Logf("bare with %d connections %.0f, with %d %.0f", connections, by.PerSecond, clients, other.PerSecond)
		if other.PerSecond > by.PerSecond {
			by = other
		}
		return by, err
	})
}

func readBare(c *sqlite.Conn, text string, page int64) error {
	stmt := c.Prep(text)
	defer stmt.Reset()
	stmt.BindInt64(1, listingstest.RatioSize)
	stmt.BindInt64(2, listingstest.RatioSize*(page-1))
	for rows := 0; ; rows++ {
		if more, err := stmt.Step(); err != nil {
			return err
		} else if !more && rows != listingstest.RatioSize {
			return fmt.Errorf("%d rows", rows)
		} else if !more {
			return nil
		}
		for column := range stmt.ColumnCount() {
			if column == 2 {
				_ = stmt.ColumnText(column)
			} else {
				_ = stmt.ColumnInt64(column)
			}
		}
	}
}

func openFilled(b *testing.B, path string) *Store {
	opened, err := Open(b.Context(), path)
	if err != nil {
		b.Fatal(err)
	}
	s := opened.(*Store)
	start := time.Now()
	// In one transaction, but with all indexes, so that their pages are as full as
	// in a file that has grown.
	err = s.db.Write(func(c *sqlite.Conn) error {
		stmt := c.Prep("INSERT INTO listings (id, user_id, listing_type, price, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?)")
		for l := range listingstest.BenchFill() {
			stmt.BindInt64(1, l.ID)
			stmt.BindInt64(2, l.UserID)
			stmt.BindText(3, string(l.Type))
			stmt.BindInt64(4, l.Price)
			stmt.BindInt64(5, l.CreatedAt)
			stmt.BindInt64(6, l.UpdatedAt)
			if _, err := stmt.Step(); err != nil {
				return err
			}
			if err := stmt.Reset(); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Logf("filled in %.0f s", time.Since(start).Seconds())
	return s
}

// showPlans prints SQLite's plans, with -v.
func showPlans(b *testing.B, s *Store) {
	if !testing.Verbose() {
		return
	}
	show := func(name string, get func() error) {
		before := statements(b, s)
		if err := get(); err != nil {
			b.Fatal(err)
		}
		for text := range statements(b, s) {
			if !before[text] && strings.HasPrefix(text, "SELECT") {
				fmt.Printf("# %s: %s\n#   %s\n", name, strings.Join(strings.Fields(text), " "), strings.Join(plan(b, s, text), "\n#   "))
			}
		}
	}
	listingstest.BenchPlans(s, func(name string, q listings.Query) {
		show(name, func() error {
			_, err := s.List(b.Context(), q)
			return err
		})
	})
	show("of 100 users", func() error {
		_, err := s.OfUsers(b.Context(), []int64{1, 2}, listings.Query{Limit: 10})
		return err
	})
}
