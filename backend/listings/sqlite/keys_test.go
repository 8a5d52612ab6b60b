package sqlite

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/veranda-go/veranda/backend/listings"
	"github.com/veranda-go/veranda/internal/idempotency"
)

// TestExpiredKeysAreDeleted counts the keys in the table.
func TestExpiredKeysAreDeleted(t *testing.T) {
	opened, err := Open(t.Context(), filepath.Join(t.TempDir(), "listings.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	s := opened.(*Store)
	now := time.Date(2023, 2, 8, 12, 0, 0, 0, time.UTC)
	s.Now = func() time.Time { return now }
	create := func(key string) {
		t.Helper()
		if _, _, err := s.Create(t.Context(), listings.Draft{UserID: 1, Type: listings.Rent, Price: 1}, key); err != nil {
			t.Fatal(err)
		}
	}
	kept := func(want int64) {
		t.Helper()
		err := s.db.Read(t.Context(), func(c *sqlite.Conn) error {
			n, err := sqlitex.ResultInt64(c.Prep("SELECT count(*) FROM listings_keys"))
			if err == nil && n != want {
				err = fmt.Errorf("%d keys, want %d", n, want)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
	for i := range 10 {
		create(fmt.Sprint("old ", i))
		kept(int64(i + 1))
	}
	now = now.Add(idempotency.Keep)
	create("")
	kept(10) // a creation without a key deletes none
	for i := range int64(4) {
		create(fmt.Sprint("new ", i))
		kept(10 - (i + 1)) // one new, two deleted
	}
	create("new 0")
	kept(6)
	create("new 5")
	kept(5)
	create("new 6")
	kept(6)
}
