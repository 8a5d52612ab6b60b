package publicapi

import (
	"context"
	"slices"

	"github.com/veranda-go/veranda/backend/listings"
	"github.com/veranda-go/veranda/backend/users"
	"github.com/veranda-go/veranda/internal/apierror"
	"github.com/veranda-go/veranda/internal/pagination"
)

// Window has the arguments of a connection: First after a cursor, or Last
// before one. Nil is absent.
type Window struct {
	First, Last   *int64
	After, Before *string
}

// Connection is a page of listings by cursor (Relay Cursor Connections
// Specification).
type Connection struct {
	Edges    []Edge
	Nodes    []listings.Listing
	PageInfo PageInfo
}

// Edge is a listing and its cursor.
type Edge struct {
	Cursor string
	Node   *listings.Listing
}

// PageInfo tells whether there are listings before and after a page.
type PageInfo struct {
	HasNextPage, HasPreviousPage bool
	// StartCursor and EndCursor are nil if the page is empty.
	StartCursor, EndCursor *string
}

// window is a Window as the listing service serves it.
type window struct {
	query listings.Query
	// reversed is set for the end of a list without a cursor: the query reads the
	// reverse order from its start.
	reversed bool
}

// read validates the arguments of a connection.
func (w Window) read(filter listings.Filter, order listings.Order, maxSize int64) (window, error) {
	r := window{query: listings.Query{Filter: filter, Order: order, Limit: pagination.DefaultSize}}
	invalid := func(field, message, other string) error {
		return apierror.FromFields([]apierror.FieldError{{Field: field, Message: message, Other: other}})
	}
	size, field := w.First, "first"
	switch {
	case w.First != nil && w.Last != nil:
		return r, invalid("last", "not together with", "first")
	case w.After != nil && w.Before != nil:
		return r, invalid("before", "not together with", "after")
	case w.After != nil && w.Last != nil:
		return r, invalid("after", "only together with", "first")
	case w.Before != nil && w.First != nil:
		return r, invalid("before", "only together with", "last")
	case w.Last != nil:
		size, field = w.Last, "last"
	}
	if size != nil {
		if err := apierror.FromFields(pagination.ValidateSize(field, *size, maxSize)); err != nil {
			return r, err
		}
		r.query.Limit = *size
	}
	for _, c := range []struct {
		field string
		text  *string
		to    **listings.Cursor
	}{{"after", w.After, &r.query.After}, {"before", w.Before, &r.query.Before}} {
		if c.text == nil {
			continue
		}
		cursor, err := listings.ParseCursor(*c.text)
		if err != nil {
			return r, invalid(c.field, apierror.From(err).Fields[0].Message, "")
		}
		*c.to = &cursor
	}
	if err := apierror.FromFields(r.query.Validate()); err != nil {
		return r, err
	}
	if w.Last != nil && w.Before == nil {
		r.query.Order, r.reversed = reverseOf[order], true
	}
	return r, nil
}

// connection returns the connection of the listings that were found. more
// reports whether more follow in the order of the query.
func (r window) connection(found []listings.Listing, more bool) *Connection {
	order := r.query.Order
	backward := r.query.Before != nil
	if r.reversed {
		slices.Reverse(found)
		order, backward = reverseOf[order], true
	}
	c := &Connection{Nodes: found, Edges: make([]Edge, len(found))}
	for i := range found {
		c.Edges[i] = Edge{listings.CursorOf(&found[i], order).String(), &found[i]}
	}
	if backward {
		c.PageInfo.HasPreviousPage, c.PageInfo.HasNextPage = more, r.query.Before != nil
	} else {
		c.PageInfo.HasNextPage, c.PageInfo.HasPreviousPage = more, r.query.After != nil
	}
	if len(found) > 0 {
		c.PageInfo.StartCursor, c.PageInfo.EndCursor = &c.Edges[0].Cursor, &c.Edges[len(found)-1].Cursor
	}
	return c
}

// reverseOf has the reverse of each order.
var reverseOf = [...]listings.Order{
	listings.Newest: listings.Oldest, listings.Oldest: listings.Newest,
	listings.PriceAsc: listings.PriceDesc, listings.PriceDesc: listings.PriceAsc,
}

// ListingsConnection returns a page of all listings.
func (a *API) ListingsConnection(ctx context.Context, filter listings.Filter, order listings.Order, w Window) (*Connection, error) {
	r, err := w.read(filter, order, a.maxPageSize)
	if err != nil {
		return nil, err
	}
	found, more, err := a.find(ctx, r.query)
	if err != nil {
		return nil, err
	}
	return r.connection(found, more), nil
}

// ConnectionsOf returns a page of each user's listings, in the order of list,
// with at most one backend call.
func (a *API) ConnectionsOf(ctx context.Context, list []*users.User, filter listings.Filter, order listings.Order, w Window) ([]*Connection, []error) {
	r, err := w.read(filter, order, a.maxPageSize)
	if err != nil {
		return make([]*Connection, len(list)), slices.Repeat([]error{err}, len(list))
	}
	// A filter may name one user: the others then have no listings.
	only := r.query.UserID
	r.query.UserID = 0
	ids := make([]int64, 0, len(list))
	for _, u := range list {
		if only == 0 || only == u.ID {
			ids = append(ids, u.ID)
		}
	}
	found, errs := loaderOf(ctx, r.kind(), func(ctx context.Context, ids []int64) (map[int64]*Connection, error) {
		return a.fetchConnections(ctx, ids, r)
	}).load(ctx, ids)
	if len(ids) == len(list) {
		return found, errs
	}
	connections, failures := make([]*Connection, len(list)), make([]error, len(list))
	for i, u := range list {
		if u.ID != only {
			connections[i] = r.connection(nil, false)
			continue
		}
		connections[i], found = found[0], found[1:]
		if errs != nil {
			failures[i], errs = errs[0], errs[1:]
		}
	}
	return connections, failures
}

// connectionKind is the kind of a loader of connections: equal for equal
// arguments alone.
type connectionKind struct {
	query         listings.Query // without cursors
	after, before listings.Cursor
	reversed      bool
}

func (r window) kind() connectionKind {
	k := connectionKind{query: r.query, reversed: r.reversed}
	k.query.After, k.query.Before = nil, nil
	if r.query.After != nil {
		k.after = *r.query.After
	}
	if r.query.Before != nil {
		k.before = *r.query.Before
	}
	return k
}

// fetchConnections returns a page of listings for each of distinct users.
func (a *API) fetchConnections(ctx context.Context, ids []int64, r window) (map[int64]*Connection, error) {
	found := make(map[int64][]listings.Listing, len(ids))
	more := map[int64]bool{}
	for chunk := range slices.Chunk(ids, listings.MaxBatch) {
		list, moreOf, err := a.listings.OfUsers(ctx, chunk, r.query)
		if err != nil {
			return nil, extension(err, "listings of users by cursor")
		}
		for _, l := range list {
			found[l.UserID] = append(found[l.UserID], l)
		}
		for _, id := range moreOf {
			more[id] = true
		}
	}
	connections := make(map[int64]*Connection, len(ids))
	for _, id := range ids {
		connections[id] = r.connection(found[id], more[id])
	}
	return connections, nil
}
