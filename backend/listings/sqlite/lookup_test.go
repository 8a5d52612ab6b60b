package sqlite

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/veranda-go/veranda/backend/listings"
)

// TestPlansOfOrders checks SQLite's plans of a page from a cursor, in each order
// and both directions: they must seek to the cursor, by its key and its id, and
// read on from there without sorting.
func TestPlansOfOrders(t *testing.T) {
	opened, err := Open(t.Context(), filepath.Join(t.TempDir(), "listings.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	s := opened.(*Store)
	for order := listings.Newest; order <= listings.PriceDesc; order++ {
		byPrice := order == listings.PriceAsc || order == listings.PriceDesc
		for _, test := range []struct {
			filter          listings.Filter
			byTime, byPrice string // the index
			equal           string // the first part of the index
		}{
			{listings.Filter{}, "by_time", "by_price", ""},
			{listings.Filter{UserID: 1}, "by_user", "by_user_price", "user_id=? AND "},
			{listings.Filter{Type: listings.Sale}, "by_type", "by_type_price", "listing_type=? AND "},
			{listings.Filter{UserID: 1, Type: listings.Sale}, "by_user", "by_user_price", "user_id=? AND "},
			{listings.Filter{CreatedFrom: 1, CreatedBefore: 1 << 62, MinPrice: 1, MaxPrice: 1 << 62}, "by_time", "by_price", ""},
			{listings.Filter{UserID: 1, CreatedFrom: 1, MinPrice: 1}, "by_user", "by_user_price", "user_id=? AND "},
		} {
			for _, back := range []bool{false, true} {
				q := listings.Query{Filter: test.filter, Order: order, Limit: 10}
				place := &listings.Cursor{Order: order, Key: 5000, ID: 7}
				if q.After = place; back {
					q.After, q.Before = nil, place
				}
				before := statements(t, s)
				if _, err := s.List(t.Context(), q); err != nil {
					t.Fatal(err)
				}
				index, key := test.byTime, "created_at"
				if byPrice {
					index, key = test.byPrice, "price"
				}
				start := "SEARCH l USING INDEX listings_" + index + " (" + test.equal + "(" + key + ",rowid)"
				for text := range statements(t, s) {
					if before[text] || !strings.HasPrefix(text, "SELECT") {
						continue
					}
					steps := plan(t, s, text)
					if len(steps) != 1 || !strings.HasPrefix(steps[0], start) {
						t.Errorf("%v %+v back %v: %s\n is run as %q\n want one step %s…", order, test.filter, back, text, steps, start)
					}
				}
			}
		}
	}
}
