package listingstest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/veranda-go/veranda/backend/listings"
	"github.com/veranda-go/veranda/internal/creation/creationtest"
)

var orders = []listings.Order{listings.Newest, listings.Oldest, listings.PriceAsc, listings.PriceDesc}

// sampleOfTies creates 60 rows of 3 users with few prices and few times, so that
// each order has many ties.
func sampleOfTies(t *testing.T, d database) (listings.Store, []listings.Listing) {
	t.Helper()
	calls := 0
	s := d.store(t, func() time.Time {
		calls++
		return creationtest.Noon.Add(time.Duration(calls/7) * time.Second)
	})
	var made []listings.Listing
	for i := range int64(60) {
		made = append(made, create(t, s, tiesDraft(i)))
	}
	return s, made
}

func tiesDraft(i int64) listings.Draft {
	d := listings.Draft{UserID: i%3 + 1, Type: listings.Rent, Price: 100 * (i*i%5 + 1)}
	if i%4 == 0 {
		d.Type = listings.Sale
	}
	return d
}

// filters returns filters that a store may each serve in another way.
func filters() []listings.Filter {
	from, before := creationtest.Noon.Add(2*time.Second).UnixMicro(), creationtest.Noon.Add(6*time.Second).UnixMicro()
	return []listings.Filter{
		{},
		{UserID: 2},
		{UserID: 99},
		{Type: listings.Sale},
		{UserID: 1, Type: listings.Rent},
		{MinPrice: 200},
		{MaxPrice: 200},
		{MinPrice: 200, MaxPrice: 200},
		{MinPrice: 101, MaxPrice: 199},
		{CreatedFrom: from},
		{CreatedBefore: before},
		{CreatedFrom: from, CreatedBefore: before},
		{UserID: 3, MinPrice: 200, CreatedBefore: before},
		{Type: listings.Rent, MaxPrice: 200, CreatedFrom: from},
		{UserID: 1, Type: listings.Rent, MinPrice: 200, MaxPrice: 500, CreatedFrom: from, CreatedBefore: before},
	}
}

// pick returns the result of a filter and an order without a limit.
func pick(rows []listings.Listing, f listings.Filter, order listings.Order) []listings.Listing {
	rows = slices.DeleteFunc(slices.Clone(rows), func(l listings.Listing) bool {
		return f.UserID != 0 && l.UserID != f.UserID ||
			f.Type != "" && l.Type != f.Type ||
			l.Price < f.MinPrice || f.MaxPrice != 0 && l.Price > f.MaxPrice ||
			l.CreatedAt < f.CreatedFrom || f.CreatedBefore != 0 && l.CreatedAt >= f.CreatedBefore
	})
	slices.SortFunc(rows, func(a, b listings.Listing) int { return order.Compare(&a, &b) })
	return rows
}

func cursor(l listings.Listing, order listings.Order) *listings.Cursor {
	c := listings.CursorOf(&l, order)
	return &c
}

// testOrders reads each order of each filter forwards, backwards and by page
// numbers.
func testOrders(t *testing.T, d database) {
	s, all := sampleOfTies(t, d)
	for _, order := range orders {
		for _, filter := range filters() {
			want := pick(all, filter, order)
			for _, size := range []int64{1, 7, 100} {
				q := listings.Query{Filter: filter, Order: order, Limit: size}
				what := fmt.Sprintf("%v %+v in pages of %d", order, filter, size)
				same(t, what+" after", walk(t, s, q), want)
				if len(want) > 0 {
					end := want[len(want)-1]
					q.Before = cursor(end, order)
					same(t, what+" before", append(walkBack(t, s, q), end), want)
				}
				q.Before = nil
				var got []listings.Listing
				for ; q.Offset <= int64(len(want)); q.Offset += size {
					got = append(got, list(t, s, q)...)
				}
				same(t, what+" by number", got, want)
			}
		}
	}
}

// walk reads page after page to the end, and calls between after each.
func walk(t *testing.T, s listings.Store, q listings.Query, between ...func()) []listings.Listing {
	t.Helper()
	var out []listings.Listing
	for {
		rows := list(t, s, q)
		if len(rows) == 0 {
			return out
		}
		out = append(out, rows...)
		q.After = cursor(rows[len(rows)-1], q.Order)
		for _, f := range between {
			f()
		}
	}
}

// walkBack reads from q.Before to the beginning.
func walkBack(t *testing.T, s listings.Store, q listings.Query, between ...func()) []listings.Listing {
	t.Helper()
	var out []listings.Listing
	for {
		rows := list(t, s, q)
		if len(rows) == 0 {
			return out
		}
		out = append(rows, out...)
		q.Before = cursor(rows[0], q.Order)
		for _, f := range between {
			f()
		}
	}
}

// testCursorsWithoutRow starts from cursors that no row has, and from rows that
// the filter leaves out.
func testCursorsWithoutRow(t *testing.T, d database) {
	s, all := sampleOfTies(t, d)
	for _, order := range orders {
		for _, filter := range filters() {
			want := pick(all, filter, order)
			for _, place := range []listings.Cursor{
				{Order: order},
				{Order: order, Key: 150, ID: 1 << 40},
				{Order: order, Key: 200},
				{Order: order, Key: creationtest.Noon.UnixMicro() - 1, ID: 5},
				{Order: order, Key: 1 << 62, ID: 1 << 62},
				{Order: order, Key: -5, ID: -5},
				listings.CursorOf(&all[20], order),
			} {
				// The position of a listing with the cursor's key and id.
				at := listings.Listing{ID: place.ID, Price: place.Key, CreatedAt: place.Key}
				n, found := slices.BinarySearchFunc(want, at, func(a, b listings.Listing) int { return order.Compare(&a, &b) })
				what := fmt.Sprintf("%v %+v, cursor %d %d", order, filter, place.Key, place.ID)
				q := listings.Query{Filter: filter, Order: order, Limit: 100, Before: &place}
				same(t, what+" before", list(t, s, q), want[:n])
				if found {
					n++
				}
				q.Before, q.After = nil, &place
				same(t, what+" after", list(t, s, q), want[n:])
			}
		}
	}
}

// testOfUsersQueries compares OfUsers with List for each user.
func testOfUsersQueries(t *testing.T, d database) {
	s, all := sampleOfTies(t, d)
	users := []int64{3, 99, 1, 3}
	for _, order := range orders {
		for _, filter := range filters() {
			if filter.UserID != 0 {
				continue
			}
			for _, q := range []listings.Query{
				{Limit: 3},
				{Limit: 100},
				{Limit: 4, After: cursor(all[30], order)},
				{Limit: 4, Before: cursor(all[30], order)},
			} {
				q.Filter, q.Order = filter, order
				got, err := s.OfUsers(t.Context(), users, q)
				if err != nil {
					t.Fatalf("of users %+v: %v", q, err)
				}
				var want []listings.Listing
				for _, user := range []int64{3, 1} {
					each := q
					each.UserID = user
					want = append(want, list(t, s, each)...)
				}
				same(t, fmt.Sprintf("of users, %v %+v %v %v", order, filter, q.After, q.Before), got, want)
			}
		}
	}
}

// testRowsWhilePaging creates rows between pages: the rows that existed before
// still appear once each and in order.
func testRowsWhilePaging(t *testing.T, d database) {
	s, all := sampleOfTies(t, d)
	for _, order := range orders {
		for _, back := range []bool{false, true} {
			want := pick(all, listings.Filter{}, order)
			existed := map[int64]bool{}
			for _, l := range all {
				existed[l.ID] = true
			}
			created := int64(0)
			meanwhile := func() {
				// Not without end: a walk upwards reads the new rows too.
				if created < 20 {
					all = append(all, create(t, s, tiesDraft(created)))
					created++
				}
			}
			q := listings.Query{Order: order, Limit: 9}
			var got []listings.Listing
			if back {
				end := want[len(want)-1]
				q.Before = cursor(end, order)
				got = append(walkBack(t, s, q, meanwhile), end)
			} else {
				got = walk(t, s, q, meanwhile)
			}
			got = slices.DeleteFunc(got, func(l listings.Listing) bool { return !existed[l.ID] })
			same(t, fmt.Sprintf("%v, back %v: rows that existed before", order, back), got, want)
		}
	}
}
