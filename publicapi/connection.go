package publicapi

import (
	"context"
	"math"
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
	// fromEnd is set for the last rows of a list: the query then has the list's end
	// as its cursor.
	fromEnd bool
}

// read validates the arguments of a connection.
func (w Window) read(filter listings.Filter, order listings.Order, maxSize int64) (r window, err error) {
	q := listings.Query{Filter: filter, Order: order, Limit: pagination.DefaultSize}
	exclusive := func(field, message, other string) (window, error) {
		return r, apierror.FromFields([]apierror.FieldError{{Field: field, Message: message, Other: other}})
	}
	size, field := w.First, "first"
	switch {
	case w.First != nil && w.Last != nil:
		return exclusive("last", "not together with", "first")
	case w.After != nil && w.Before != nil:
		return exclusive("before", "not together with", "after")
	case w.After != nil && w.Last != nil:
		return exclusive("after", "only together with", "first")
	case w.Before != nil && w.First != nil:
		return exclusive("before", "only together with", "last")
	case w.Last != nil:
		size, field = w.Last, "last"
	}
	if size != nil {
		q.Limit = *size
	}
	if err := apierror.FromFields(pagination.ValidateSize(field, q.Limit, maxSize)); err != nil {
		return r, err
	}
	if q.After, err = parseCursor("after", w.After); err != nil {
		return r, err
	}
	if q.Before, err = parseCursor("before", w.Before); err != nil {
		return r, err
	}
	if err := apierror.FromFields(q.Validate()); err != nil {
		return r, err
	}
	fromEnd := w.Last != nil && w.Before == nil
	if fromEnd {
		q.Before = endOf(order)
	}
	return window{q, fromEnd}, nil
}

// parseCursor returns nil if text is nil.
func parseCursor(field string, text *string) (*listings.Cursor, error) {
	if text == nil {
		return nil, nil
	}
	c, err := listings.ParseCursor(*text)
	if err != nil {
		return nil, apierror.Invalidf(field, "%s", apierror.From(err).Fields[0].Message)
	}
	return &c, nil
}

// endOf returns the position behind every listing. Keys and ids are at least 1.
func endOf(order listings.Order) *listings.Cursor {
	if order == listings.Newest || order == listings.PriceDesc {
		return &listings.Cursor{Order: order}
	}
	return &listings.Cursor{Order: order, Key: math.MaxInt64, ID: math.MaxInt64}
}

// connection returns the connection of the listings that were found. more
// reports whether more follow in the direction of the query.
func (r window) connection(found []listings.Listing, more bool) *Connection {
	c := &Connection{Nodes: found, Edges: make([]Edge, len(found))}
	for i := range found {
		c.Edges[i] = Edge{listings.CursorOf(&found[i], r.query.Order).String(), &found[i]}
	}
	if r.query.Before != nil {
		c.PageInfo.HasPreviousPage, c.PageInfo.HasNextPage = more, !r.fromEnd
	} else {
		c.PageInfo.HasNextPage, c.PageInfo.HasPreviousPage = more, r.query.After != nil
	}
	if len(found) > 0 {
		c.PageInfo.StartCursor, c.PageInfo.EndCursor = &c.Edges[0].Cursor, &c.Edges[len(found)-1].Cursor
	}
	return c
}

// ListingsConnection returns a page of all listings.
func (a *API) ListingsConnection(ctx context.Context, filter listings.Filter, order listings.Order, w Window) (*Connection, error) {
	r, err := w.read(filter, order, a.maxPageSize)
	if err != nil {
		return nil, err
	}
	found, more, err := a.FindListings(ctx, r.query)
	if err != nil {
		return nil, err
	}
	return r.connection(found, more), nil
}

// connectionKind is the kind of a loader of connections: equal for equal
// arguments alone.
type connectionKind struct {
	window        // without cursors
	after, before string
}

// ConnectionsOf returns a page of each user's listings, in the order of list,
// with at most one backend call.
func (a *API) ConnectionsOf(ctx context.Context, list []*users.User, filter listings.Filter, order listings.Order, w Window) ([]*Connection, []error) {
	r, err := w.read(filter, order, a.maxPageSize)
	if err != nil {
		return make([]*Connection, len(list)), slices.Repeat([]error{err}, len(list))
	}
	kind := connectionKind{window: r}
	kind.query.After, kind.query.Before = nil, nil
	if w.After != nil {
		kind.after = *w.After
	}
	if w.Before != nil {
		kind.before = *w.Before
	}
	return load(ctx, kind, idsOf(list, userID), func(ctx context.Context, ids []int64) (map[int64]*Connection, error) {
		return a.fetchConnections(ctx, ids, r)
	})
}

// fetchConnections returns a page of listings for each of distinct users. A
// filter may name one user: the others then have no listings, whatever the
// listing service responds.
func (a *API) fetchConnections(ctx context.Context, ids []int64, r window) (map[int64]*Connection, error) {
	connections := make(map[int64]*Connection, len(ids))
	selected := make([]int64, 0, len(ids))
	for _, id := range ids {
		if only := r.query.UserID; only == 0 || only == id {
			selected = append(selected, id)
		} else {
			connections[id] = r.connection(nil, false)
		}
	}
	r.query.UserID = 0
	for chunk := range slices.Chunk(selected, listings.MaxBatch) {
		list, moreOf, err := a.listings.OfUsers(ctx, chunk, r.query)
		if err != nil {
			return connections, extension(err, "listings of users by cursor")
		}
		found := make(map[int64][]listings.Listing, len(chunk))
		for _, l := range list {
			found[l.UserID] = append(found[l.UserID], l)
		}
		for _, id := range chunk {
			connections[id] = r.connection(found[id], slices.Contains(moreOf, id))
		}
	}
	return connections, nil
}
