package sqlite

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"zombiezen.com/go/sqlite"

	"github.com/veranda-go/veranda/backend/listings"
	"github.com/veranda-go/veranda/backend/listings/listingstest"
)

// BenchmarkStore is told of in docs/storage.md.
func BenchmarkStore(b *testing.B) {
	opened, err := Open(b.Context(), filepath.Join(b.TempDir(), "listings.db"))
	if err != nil {
		b.Fatal(err)
	}
	defer opened.Close()
	s := opened.(*Store)
	start := time.Now()
	// In one transaction, but with all indexes there, so that their pages are
	// as full as in a file that has grown.
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
	showPlans(b, s)
	listingstest.Bench(b, s)
}

// showPlans prints how SQLite runs the questions, with -v.
func showPlans(b *testing.B, s *Store) {
	if !testing.Verbose() {
		return
	}
	show := func(name string, ask func() error) {
		before := statements(b, s)
		if err := ask(); err != nil {
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
