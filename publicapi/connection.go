package publicapi

import (
	"context"
	"encoding/base64"
	"slices"
	"strconv"
	"strings"

	"github.com/veranda-go/veranda/backend/listings"
	"github.com/veranda-go/veranda/backend/users"
	"github.com/veranda-go/veranda/internal/apierror"
	"github.com/veranda-go/veranda/internal/httpapi"
	"github.com/veranda-go/veranda/internal/pagination"
)

// Window asks for a run of a list, as Relay connections do: First after a
// cursor, or Last before one. Nil is absent.
type Window struct {
	First, Last   *int64
	After, Before *string
}

// Connection is a run of listings (Relay Cursor Connections).
type Connection struct {
	Edges    []Edge
	Nodes    []listings.Listing
	PageInfo PageInfo
}

// Edge is a listing and its place.
type Edge struct {
	Cursor string
	Node   *listings.Listing
}

// PageInfo tells what lies before and behind a run.
type PageInfo struct {
	HasNextPage, HasPreviousPage bool
	// StartCursor and EndCursor are nil if the run is empty.
	StartCursor, EndCursor *string
}

// run is a window as the listing service is asked for it.
type run struct {
	query listings.Query
	// flipped says that the end of the list was asked for, with no cursor to
	// begin at: the query goes the other way from the other end.
	flipped bool
}

// read turns a window into a query, or says what is wrong with it.
func (w Window) read(filter listings.Filter, order listings.Order, maxSize int64) (run, error) {
	r := run{query: listings.Query{Filter: filter, Order: order, Limit: pagination.DefaultSize}}
	problem := func(param, message, other string) error {
		return apierror.FromFields([]apierror.FieldError{{Field: param, Message: message, Other: other}})
	}
	size, param := w.First, "first"
	switch {
	case w.First != nil && w.Last != nil:
		return r, problem("last", "not together with", "first")
	case w.After != nil && w.Before != nil:
		return r, problem("before", "not together with", "after")
	case w.After != nil && w.Last != nil:
		return r, problem("after", "only together with", "first")
	case w.Before != nil && w.First != nil:
		return r, problem("before", "only together with", "last")
	case w.Last != nil:
		size, param = w.Last, "last"
	}
	if size != nil {
		if err := apierror.FromFields(pagination.ValidateSize(param, *size, maxSize)); err != nil {
			return r, err
		}
		r.query.Limit = *size
	}
	for _, c := range []struct {
		param string
		text  *string
		to    **listings.Cursor
	}{{"after", w.After, &r.query.After}, {"before", w.Before, &r.query.Before}} {
		if c.text == nil {
			continue
		}
		cursor, err := listings.ParseCursor(*c.text)
		if err != nil {
			return r, problem(c.param, apierror.From(err).Fields[0].Message, "")
		}
		*c.to = &cursor
	}
	if err := apierror.FromFields(r.query.Validate()); err != nil {
		return r, err
	}
	if w.Last != nil && w.Before == nil {
		r.query.Order, r.flipped = reversed[order], true
	}
	return r, nil
}

// connection makes the answer of what was found. more tells that the list
// goes on in the direction of travel.
func (r run) connection(found []listings.Listing, more bool) *Connection {
	order := r.query.Order
	backward := r.query.Before != nil
	if r.flipped {
		slices.Reverse(found)
		order, backward = reversed[order], true
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

// reversed gives each order's other direction.
var reversed = [...]listings.Order{
	listings.Newest: listings.Oldest, listings.Oldest: listings.Newest,
	listings.PriceAsc: listings.PriceDesc, listings.PriceDesc: listings.PriceAsc,
}

// FindListings returns a run of listings that were filtered or sorted, or
// begin at a cursor, and whether more follow.
func (a *API) FindListings(ctx context.Context, q listings.Query) ([]listings.Listing, bool, error) {
	problems := append(pagination.ValidateSize("page_size", q.Limit, a.maxPageSize), q.Validate()...)
	if err := apierror.FromFields(problems); err != nil {
		return nil, false, err
	}
	found, more, err := a.listings.Find(ctx, q)
	return found, more, notMissing(err, listingService)
}

// notMissing judges the failure of a route that has parameters of our own:
// a backend that ignores them is not asked to guess.
func notMissing(err error, service string) error {
	if err != nil && apierror.KindOf(err) == apierror.NotFound {
		return documented(err, service)
	}
	return err
}

// ListingsConnection returns a run of all listings.
func (a *API) ListingsConnection(ctx context.Context, filter listings.Filter, order listings.Order, w Window) (*Connection, error) {
	r, err := w.read(filter, order, a.maxPageSize)
	if err != nil {
		return nil, err
	}
	found, more, err := a.listings.Find(ctx, r.query)
	if err != nil {
		return nil, notMissing(err, listingService)
	}
	return r.connection(found, more), nil
}

// ConnectionsOf returns a run of each user's listings, in the order of list,
// from at most one backend call.
func (a *API) ConnectionsOf(ctx context.Context, list []*users.User, filter listings.Filter, order listings.Order, w Window) ([]*Connection, []error) {
	r, err := w.read(filter, order, a.maxPageSize)
	if err != nil {
		return make([]*Connection, len(list)), slices.Repeat([]error{err}, len(list))
	}
	// A filter may name a user itself: all others then have none.
	only := r.query.UserID
	r.query.UserID = 0
	ids := make([]int64, 0, len(list))
	for _, u := range list {
		if only == 0 || only == u.ID {
			ids = append(ids, u.ID)
		}
	}
	l := loadersOf(ctx)
	found, errs := loaderFor(l, &l.connections, w.key(filter, order), func(ctx context.Context, ids []int64) (map[int64]*Connection, error) {
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

// key is equal for equal questions only.
func (w Window) key(f listings.Filter, order listings.Order) string {
	var b strings.Builder
	for _, n := range []*int64{w.First, w.Last, &f.UserID, &f.MinPrice, &f.MaxPrice, &f.CreatedFrom, &f.CreatedBefore} {
		if n != nil {
			b.WriteString(strconv.FormatInt(*n, 10))
		}
		b.WriteByte(',')
	}
	for _, s := range []*string{w.After, w.Before} {
		if s != nil {
			b.WriteString(strconv.Quote(*s))
		}
		b.WriteByte(',')
	}
	for _, s := range []string{string(f.Type), order.String()} {
		b.WriteString(strconv.Quote(s))
	}
	return b.String()
}

// fetchConnections is the loader's batch: a run for each of distinct users.
func (a *API) fetchConnections(ctx context.Context, ids []int64, r run) (map[int64]*Connection, error) {
	found := make(map[int64][]listings.Listing, len(ids))
	more := map[int64]bool{}
	for chunk := range slices.Chunk(ids, listings.MaxBatch) {
		list, moreOf, err := a.listings.OfUsers(ctx, chunk, r.query)
		switch {
		case err != nil && missing(err):
			return nil, apierror.New(apierror.Unsupported, "listings of users by cursor: not supported by this backend")
		case err != nil:
			return nil, err
		}
		for _, l := range list {
			found[l.UserID] = append(found[l.UserID], l)
		}
		for _, id := range moreOf {
			more[id] = true
		}
	}
	runs := make(map[int64]*Connection, len(ids))
	for _, id := range ids {
		runs[id] = r.connection(found[id], more[id])
	}
	return runs, nil
}

// Node is any object that Node gives: a *listings.Listing or a *users.User.
type Node any

// ListingNodeID is the id of a listing among all objects.
func ListingNodeID(l *listings.Listing) string { return nodeID("Listing", l.ID) }

// UserNodeID is the id of a user among all objects.
func UserNodeID(u *users.User) string { return nodeID("User", u.ID) }

func nodeID(kind string, id int64) string { return opaque(kind+":", id) }

// opaque is a text that nobody is tempted to take apart.
func opaque(prefix string, id int64) string {
	return base64.RawURLEncoding.EncodeToString(strconv.AppendInt([]byte(prefix), id, 10))
}

// Node returns an object by its id among all objects, nil if there is none.
func (a *API) Node(ctx context.Context, text string) (Node, error) {
	raw, err := base64.RawURLEncoding.DecodeString(text)
	kind, number, _ := strings.Cut(string(raw), ":")
	id, numErr := httpapi.ParseInt(number)
	if err != nil || numErr != nil || id < 1 || nodeID(kind, id) != text {
		return nil, errNode
	}
	switch kind {
	case "Listing":
		l, err := a.Listing(ctx, id)
		if l == nil {
			return nil, err
		}
		return l, err
	case "User":
		u, err := a.User(ctx, id)
		if u == nil {
			return nil, err
		}
		return u, err
	}
	return nil, errNode
}

var errNode = apierror.Invalidf("id", "is not a nodeId of this server")
