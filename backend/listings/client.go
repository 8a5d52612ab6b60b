package listings

import (
	"context"
	"net/url"
	"strconv"
	"time"

	"github.com/veranda-go/veranda/internal/apierror"
	"github.com/veranda-go/veranda/internal/backendclient"
	"github.com/veranda-go/veranda/internal/pagination"
)

// Client calls the listing service, with one method for each route. A response
// without the member that a method needs is Unsupported: some implementations
// respond to an unknown route with 200.
type Client struct {
	backend *backendclient.Client
}

// NewClient returns a client that calls the service through c.
func NewClient(c *backendclient.Client) *Client { return &Client{c} }

var errShape = apierror.New(apierror.Unsupported, "not supported by this listing service")

// Ping calls GET /listings/ping, which is documented.
func (c *Client) Ping(ctx context.Context) error { return c.backend.Ping(ctx, "/listings/ping", "") }

// List calls GET /listings with documented parameters. userID 0 selects the
// listings of all users.
func (c *Client) List(ctx context.Context, page pagination.Page, userID int64) ([]Listing, error) {
	q := page.AppendQuery(make([]byte, 0, 80))
	if userID != 0 {
		q = strconv.AppendInt(append(q, "&user_id="...), userID, 10)
	}
	return c.rows(ctx, "/listings", q)
}

// NewestOf calls GET /listings/batch, which is not documented, for the newest
// size listings of each of at most MaxBatch users.
func (c *Client) NewestOf(ctx context.Context, userIDs []int64, size int64) ([]Listing, error) {
	q := backendclient.AppendIDs(nil, "user_id", userIDs)
	return c.rows(ctx, "/listings/batch", strconv.AppendInt(append(q, "&page_size="...), size, 10))
}

func (c *Client) rows(ctx context.Context, path string, query []byte) ([]Listing, error) {
	l, err := c.get(ctx, 0, path, query)
	if err != nil {
		return nil, err
	}
	return *l.Listings, nil
}

// Find calls GET /listings with parameters that are not documented. more reports
// whether there are rows beyond the found ones, on the side that the query reads
// toward. q.Offset is a multiple of q.Limit. Unsupported where the service knows
// only the documented parameters.
func (c *Client) Find(ctx context.Context, q Query) (found []Listing, more bool, err error) {
	text := q.append(nil)
	if q.UserID != 0 {
		text = strconv.AppendInt(append(text, "&user_id="...), q.UserID, 10)
	}
	if q.Offset > 0 {
		text = strconv.AppendInt(append(text, "&page_num="...), q.Offset/q.Limit+1, 10)
	}
	l, err := c.get(ctx, 0, "/listings", text)
	if err == nil && l.HasMore == nil { // the parameters were ignored
		err = errShape
	}
	if err != nil {
		return nil, false, err
	}
	return *l.Listings, *l.HasMore, nil
}

// OfUsers calls GET /listings/batch for q.Limit listings of each of at most
// MaxBatch users. moreOf are the users with rows beyond theirs, as more is in
// Find. q has no UserID and no Offset. Unsupported as in Find.
func (c *Client) OfUsers(ctx context.Context, userIDs []int64, q Query) (found []Listing, moreOf []int64, err error) {
	l, err := c.get(ctx, 0, "/listings/batch", backendclient.AppendIDs(append(q.append(nil), '&'), "user_id", userIDs))
	if err == nil && l.MoreOf == nil {
		err = errShape
	}
	if err != nil {
		return nil, nil, err
	}
	return *l.Listings, *l.MoreOf, nil
}

// Feed calls GET /listings/feed, which is not documented, for at most limit
// listings with ids above after, of one user unless userID is 0. If there are
// none it waits for some, at most MaxWait. A negative after asks only where the
// feed ends now.
func (c *Client) Feed(ctx context.Context, after, userID, limit int64, wait time.Duration) (Feed, error) {
	q := strconv.AppendInt([]byte("page_size="), limit, 10)
	if after >= 0 {
		q = strconv.AppendInt(append(q, "&after="...), after, 10)
	}
	if userID != 0 {
		q = strconv.AppendInt(append(q, "&user_id="...), userID, 10)
	}
	if wait > 0 {
		q = strconv.AppendInt(append(q, "&wait="...), wait.Milliseconds(), 10)
	}
	l, err := c.get(ctx, wait, "/listings/feed", q)
	if err == nil && l.LastID == nil {
		err = errShape
	}
	if err != nil {
		return Feed{}, err
	}
	return Feed{*l.Listings, *l.LastID}, nil
}

// append appends q but for its users and its offset as a query string. The order
// is always in it, so that the response has the members that are not documented.
func (q *Query) append(b []byte) []byte {
	b = append(append(b, "order="...), q.Order.String()...)
	b = strconv.AppendInt(append(b, "&page_size="...), q.Limit, 10)
	if q.Type != "" {
		b = append(append(b, "&listing_type="...), url.QueryEscape(string(q.Type))...)
	}
	for _, n := range []struct {
		param string
		value int64
	}{
		{"&min_price=", q.MinPrice}, {"&max_price=", q.MaxPrice},
		{"&created_from=", q.CreatedFrom}, {"&created_before=", q.CreatedBefore},
	} {
		if n.value != 0 {
			b = strconv.AppendInt(append(b, n.param...), n.value, 10)
		}
	}
	if q.After != nil {
		b = append(append(b, "&after="...), q.After.String()...)
	}
	if q.Before != nil {
		b = append(append(b, "&before="...), q.Before.String()...)
	}
	return b
}

// get returns a list whose Listings is not nil.
func (c *Client) get(ctx context.Context, wait time.Duration, path string, query []byte) (list, error) {
	var l list
	if err := c.backend.GetLong(ctx, wait, path, string(query), &l); err != nil {
		return list{}, err
	}
	if !l.Result || l.Listings == nil {
		return list{}, errShape
	}
	return l, nil
}

// Get calls GET /listings/{id}, which is not documented.
func (c *Client) Get(ctx context.Context, id int64) (Listing, error) {
	var o object
	err := c.backend.Get(ctx, "/listings/"+strconv.FormatInt(id, 10), "", &o)
	return o.listing(err)
}

// HonorsKeys reports whether the service honors idempotency keys. A service that
// has only the documented routes ignores them.
func (c *Client) HonorsKeys(ctx context.Context) (bool, error) {
	return c.backend.HonorsKeys(ctx, "/listings/ping")
}

// Create calls POST /listings, which is documented. key, unless empty, is an
// idempotency key; replayed reports whether an earlier call with it created the
// listing. Errors beside Invalid: KeyMismatch for a key that was used with
// another draft, Conflict while it is in use.
func (c *Client) Create(ctx context.Context, d Draft, key string) (l Listing, replayed bool, err error) {
	var o object
	replayed, err = c.backend.PostForm(ctx, "/listings", url.Values{
		"user_id":      {strconv.FormatInt(d.UserID, 10)},
		"listing_type": {string(d.Type)},
		"price":        {strconv.FormatInt(d.Price, 10)},
	}, key, &o)
	l, err = o.listing(err)
	return l, replayed, err
}

// listing returns the listing of a response, unless err is an error.
func (o object) listing(err error) (Listing, error) {
	switch {
	case err != nil:
		return Listing{}, err
	case !o.Result || o.Listing == nil:
		return Listing{}, errShape
	}
	return *o.Listing, nil
}
