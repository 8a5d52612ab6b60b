package sqlite

import (
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"zombiezen.com/go/sqlite"

	"github.com/veranda-go/veranda/backend/listings"
	"github.com/veranda-go/veranda/backend/listings/listingstest"
	"github.com/veranda-go/veranda/internal/sqlitedb"
)

func TestStore(t *testing.T) {
	listingstest.Store(t, func(t *testing.T) listingstest.Open {
		// The folder does not exist yet: the first start creates it.
		path := filepath.Join(t.TempDir(), "data", "listings.db")
		return func(now func() time.Time) (listings.Store, error) {
			s, err := Open(t.Context(), path)
			if err != nil {
				return nil, err
			}
			s.(*Store).Now = now
			return s, nil
		}
	})
}

// TestPlans checks SQLite's plan of each statement that the store's methods
// prepare: none may scan a table, and none may sort more rows than it returns.
func TestPlans(t *testing.T) {
	opened, err := Open(t.Context(), filepath.Join(t.TempDir(), "listings.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	s := opened.(*Store)
	const (
		// The index by time, from its newest end to the end of the page.
		walksPages = "SCAN l USING INDEX listings_by_time"
		// No more rows than the result has.
		sortsPage = "USE TEMP B-TREE FOR ORDER BY"
	)
	for _, call := range []struct {
		name string
		run  func() error
		// allowed is the one exception of this call.
		allowed string
	}{
		{"create", func() error {
			_, _, err := s.Create(t.Context(), listings.Draft{UserID: 1, Type: listings.Rent, Price: 1}, "")
			return err
		}, ""},
		{"create with a key", func() error {
			_, _, err := s.Create(t.Context(), listings.Draft{UserID: 1, Type: listings.Rent, Price: 1}, "key")
			return err
		}, ""},
		{"feed", func() error {
			_, err := listings.ReadFeed(t.Context(), s, 1, 0, 10)
			return err
		}, ""},
		{"feed of a user", func() error {
			_, err := listings.ReadFeed(t.Context(), s, 1, 1, 10)
			return err
		}, ""},
		{"get", func() error {
			_, err := s.Get(t.Context(), 1)
			return err
		}, ""},
		{"list", func() error {
			_, err := s.List(t.Context(), listings.Query{Limit: 10})
			return err
		}, walksPages},
		{"list of a user", func() error {
			_, err := s.List(t.Context(), listings.Query{Filter: listings.Filter{UserID: 1}, Limit: 10})
			return err
		}, ""},
		{"newest of", func() error {
			_, err := s.OfUsers(t.Context(), []int64{1, 2}, listings.Query{Limit: 10})
			return err
		}, sortsPage},
	} {
		t.Run(call.name, func(t *testing.T) {
			before := statements(t, s)
			if err := call.run(); err != nil {
				t.Fatal(err)
			}
			checked := 0
			for text := range statements(t, s) {
				if before[text] || !strings.HasPrefix(text, "SELECT") && !strings.HasPrefix(text, "INSERT") {
					continue
				}
				checked++
				if strings.Contains(text, "LIMIT ?") {
					t.Errorf("LIMIT without a plus, see sqlitedb.Rows:\n%s", text)
				}
				for _, step := range plan(t, s, text) {
					if step == call.allowed || strings.Contains(step, "VIRTUAL TABLE") { // the requested ids
						continue
					}
					if strings.HasPrefix(step, "SCAN") || strings.Contains(step, "TEMP B-TREE") {
						t.Errorf("%s\n%s", step, text)
					}
				}
			}
			if checked == 0 {
				t.Error("no statement found: is it prepared elsewhere?")
			}
		})
	}
}

// connections calls f with the writer and with the reader that serves all
// sequential calls.
func connections(t testing.TB, s *Store, f func(*sqlite.Conn) error) {
	t.Helper()
	if err := s.db.Write(f); err != nil {
		t.Fatal(err)
	}
	if err := s.db.Read(t.Context(), f); err != nil {
		t.Fatal(err)
	}
}

// statements returns the texts of the statements that the store's connections
// have prepared. The driver keeps them in an unexported field.
func statements(t testing.TB, s *Store) map[string]bool {
	t.Helper()
	texts := map[string]bool{}
	connections(t, s, func(c *sqlite.Conn) error {
		cache := reflect.ValueOf(c).Elem().FieldByName("stmts")
		if cache.Kind() != reflect.Map {
			return fmt.Errorf("the driver has no map stmts any more")
		}
		for _, text := range cache.MapKeys() {
			texts[text.String()] = true
		}
		return nil
	})
	return texts
}

// plan returns SQLite's plan of a statement, one text for each step.
func plan(t testing.TB, s *Store, text string) []string {
	t.Helper()
	var steps []string
	err := s.db.Write(func(c *sqlite.Conn) error {
		return sqlitedb.Rows(c, "EXPLAIN QUERY PLAN "+text, nil, func(row *sqlite.Stmt) {
			steps = append(steps, row.ColumnText(3))
		})
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	t.Log(text, "\n", strings.Join(steps, "\n "))
	return steps
}
