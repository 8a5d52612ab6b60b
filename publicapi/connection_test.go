package publicapi_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/veranda-go/veranda/backend/listings"
	"github.com/veranda-go/veranda/backend/users"
	"github.com/veranda-go/veranda/internal/apierror"
	"github.com/veranda-go/veranda/publicapi"
)

func pointer[T any](v T) *T { return &v }

// Pages forward and backward, of all listings and of each user, join to the whole
// list in every order, and say whether there are more on either side.
func TestConnections(t *testing.T) {
	b := newFeedCore(t)
	var all []listings.Listing
	for i := range int64(23) {
		d := listings.Draft{UserID: i%3 + 1, Type: listings.Rent, Price: i%4 + 1}
		l, _, err := b.store.Create(t.Context(), d, "")
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, l)
	}
	for _, order := range []listings.Order{listings.Newest, listings.Oldest, listings.PriceAsc, listings.PriceDesc} {
		for _, userID := range []int64{0, 2} {
			var want []int64
			for _, l := range slices.SortedFunc(slices.Values(all), func(a, b listings.Listing) int { return order.Compare(&a, &b) }) {
				if userID == 0 || l.UserID == userID {
					want = append(want, l.ID)
				}
			}
			page := func(w publicapi.Window) *publicapi.Connection {
				t.Helper()
				if userID == 0 {
					c, err := b.ListingsConnection(t.Context(), listings.Filter{}, order, w)
					if err != nil {
						t.Fatal(err)
					}
					return c
				}
				connections, errs := b.ConnectionsOf(b.ctx(t), []*users.User{{ID: 99}, {ID: userID}}, listings.Filter{}, order, w)
				noErrors(t, errs)
				if c := connections[0]; len(c.Edges) != 0 || c.PageInfo.StartCursor != nil || c.PageInfo.EndCursor != nil {
					t.Errorf("a user without listings has %+v", c)
				}
				return connections[1]
			}
			for _, size := range []int64{1, 4, 7, int64(len(want)), 50} {
				t.Run(fmt.Sprint(order, " user ", userID, " size ", size), func(t *testing.T) {
					walk(t, want, size, page)
				})
			}
		}
	}
}

// walk reads pages from the start to the end, and from the end to the start.
func walk(t *testing.T, want []int64, size int64, page func(publicapi.Window) *publicapi.Connection) {
	for _, forward := range []bool{true, false} {
		var got []int64
		w := publicapi.Window{Last: &size}
		if forward {
			w = publicapi.Window{First: &size}
		}
		for number := range len(want) {
			c := page(w)
			ids := make([]int64, len(c.Edges))
			for i, e := range c.Edges {
				ids[i] = e.Node.ID
				if c.Nodes[i].ID != e.Node.ID {
					t.Errorf("node %d is not that of its edge", i)
				}
			}
			info := c.PageInfo
			more, behind := info.HasNextPage, info.HasPreviousPage
			if forward {
				got = append(got, ids...)
				w.After = info.EndCursor
			} else {
				got = append(ids, got...)
				w.Before = info.StartCursor
				more, behind = behind, more
			}
			if behind != (number > 0) {
				t.Errorf("page %d, forward %v: the other direction has more: %v", number, forward, behind)
			}
			if more != (len(got) < len(want)) {
				t.Errorf("page %d, forward %v: %d of %d listings and more is %v", number, forward, len(got), len(want), more)
			}
			if !more {
				break
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("forward %v: got %v, want %v", forward, got, want)
		}
	}
}

// Where a filter names a user, the others have no listings, even while the
// listing service is down.
func TestConnectionsOfAnotherUser(t *testing.T) {
	b := newFeedCore(t)
	b.create(t, 40)
	list := []*users.User{{ID: 1}, {ID: 2}, {ID: 1}}
	connections := func() ([]*publicapi.Connection, []error) {
		return b.ConnectionsOf(b.ctx(t), list, listings.Filter{UserID: 2}, listings.Oldest, publicapi.Window{})
	}
	found, errs := connections()
	noErrors(t, errs)
	if len(found[0].Edges) != 0 || len(found[1].Edges) == 0 || len(found[2].Edges) != 0 {
		t.Errorf("%d, %d and %d listings", len(found[0].Edges), len(found[1].Edges), len(found[2].Edges))
	}
	b.listings.Instead(http.NotFound)
	found, errs = connections()
	if found[0] == nil || errs[0] != nil || found[2] == nil || errs[2] != nil {
		t.Errorf("the other user has %v, %v", found[0], errs)
	}
	wantKind(t, errs[1], apierror.Unsupported, "listings of users by cursor: not supported by this backend")
}

// Fields of one request that load the same connections share a call, and
// others do not.
func TestConnectionsAreLoadedOnce(t *testing.T) {
	b := newFeedCore(t)
	b.create(t, 20)
	first, errs := b.ConnectionsOf(b.ctx(t), []*users.User{{ID: 1}}, listings.Filter{}, listings.Newest, publicapi.Window{})
	noErrors(t, errs)
	cursor := first[0].PageInfo.StartCursor
	zero := listings.Cursor{}.String()
	b.listings.Calls()
	ctx := b.ctx(t)
	for range 2 {
		for _, w := range []publicapi.Window{
			{}, {First: pointer[int64](3)}, {Last: pointer[int64](3)}, {After: cursor}, {Last: pointer[int64](3), Before: cursor},
			{After: &zero}, {Last: pointer[int64](3), Before: &zero},
		} {
			found, errs := b.ConnectionsOf(ctx, []*users.User{{ID: 1}, {ID: 2}, {ID: 1}}, listings.Filter{}, listings.Newest, w)
			noErrors(t, errs)
			if w.After == &zero && len(found[0].Edges) != 0 {
				t.Errorf("%d listings after the end", len(found[0].Edges))
			}
		}
	}
	wantRoutes(t, b.listings, "GET /listings/batch ×7")
}

func TestWindows(t *testing.T) {
	b := newFeedCore(t)
	size, cursor := pointer[int64](3), pointer(listings.Cursor{Order: listings.Oldest, Key: 1, ID: 1}.String())
	for _, test := range []struct {
		window publicapi.Window
		want   string
	}{
		{publicapi.Window{First: size, Last: size}, "last: not together with first"},
		{publicapi.Window{After: cursor, Before: cursor}, "before: not together with after"},
		{publicapi.Window{After: cursor, Last: size}, "after: only together with first"},
		{publicapi.Window{Before: cursor, First: size}, "before: only together with last"},
		{publicapi.Window{First: pointer[int64](0)}, "first: must be at least 1"},
		{publicapi.Window{Last: pointer[int64](maxPageSize + 1)}, "last: must be at most 100"},
		{publicapi.Window{After: pointer("")}, "after: is not a cursor of this service"},
		{publicapi.Window{Before: pointer("x")}, "before: is not a cursor of this service"},
		{publicapi.Window{After: cursor}, "after: belongs to another order"},
		{publicapi.Window{Before: cursor}, "before: belongs to another order"},
	} {
		_, err := b.ListingsConnection(t.Context(), listings.Filter{}, listings.Newest, test.window)
		wantKind(t, err, apierror.Invalid, test.want)
		_, errs := b.ConnectionsOf(b.ctx(t), []*users.User{{ID: 1}, {ID: 2}}, listings.Filter{}, listings.Newest, test.window)
		wantKind(t, errs[1], apierror.Invalid, test.want)
	}
	wantRoutes(t, b.listings)
}
