package listings

import (
	"context"
	"net/url"
	"strconv"
	"time"

	"github.com/veranda-go/veranda/internal/apierror"
	"github.com/veranda-go/veranda/internal/backendclient"
	"github.com/veranda-go/veranda/internal/fastjson"
	"github.com/veranda-go/veranda/internal/httpapi"
	"github.com/veranda-go/veranda/internal/pagination"
)

// Client calls the listing service, one method for each route. It trusts the
// service's data but not its shape: an answer without the expected member is
// Unsupported, since some implementations answer unknown routes with 200.
type Client struct {
	wire *backendclient.Client
}

// NewClient calls the service through c.
func NewClient(c *backendclient.Client) *Client { return &Client{c} }

var errShape = apierror.New(apierror.Unsupported, "not supported by this listing service")

// Ping asks the documented GET /listings/ping.
func (c *Client) Ping(ctx context.Context) error { return c.wire.Ping(ctx, "/listings/ping", "") }

// List asks the documented GET /listings; userID 0 asks for all users'.
func (c *Client) List(ctx context.Context, pg pagination.Page, userID int64) ([]Listing, error) {
	q := make([]byte, 0, 80)
	q = strconv.AppendInt(append(q, "page_num="...), pg.Num, 10)
	q = strconv.AppendInt(append(q, "&page_size="...), pg.Size, 10)
	if userID != 0 {
		q = strconv.AppendInt(append(q, "&user_id="...), userID, 10)
	}
	return c.list(ctx, "/listings", string(q))
}

// NewestOf asks our GET /listings/batch for the newest size listings of each
// of at most MaxBatch users.
func (c *Client) NewestOf(ctx context.Context, userIDs []int64, size int64) ([]Listing, error) {
	q := backendclient.AppendIDs(nil, "user_id", userIDs)
	q = strconv.AppendInt(append(q, "&page_size="...), size, 10)
	return c.list(ctx, "/listings/batch", string(q))
}

func (c *Client) list(ctx context.Context, path, query string) ([]Listing, error) {
	answer, err := c.ask(ctx, path, query)
	if err != nil {
		return nil, err
	}
	return *answer.Listings, nil
}

// Find asks GET /listings with our parameters. more tells whether there are
// rows beyond the found ones, in the direction of travel. q.Offset is a
// multiple of q.Limit. Unsupported where the service knows only the
// documented parameters.
func (c *Client) Find(ctx context.Context, q Query) (found []Listing, more bool, err error) {
	text := q.append(nil)
	if q.UserID != 0 {
		text = strconv.AppendInt(append(text, "&user_id="...), q.UserID, 10)
	}
	if q.Offset > 0 {
		text = strconv.AppendInt(append(text, "&page_num="...), q.Offset/q.Limit+1, 10)
	}
	answer, err := c.ask(ctx, "/listings", string(text))
	if err != nil {
		return nil, false, err
	}
	if answer.HasMore == nil { // our parameters were ignored
		return nil, false, errShape
	}
	return *answer.Listings, *answer.HasMore, nil
}

// OfUsers asks our GET /listings/batch with all our parameters for a page of
// q.Limit listings of each of at most MaxBatch users. moreOf are the users
// with rows beyond theirs, in the direction of travel. q has no UserID and no
// Offset. Unsupported as in Find.
func (c *Client) OfUsers(ctx context.Context, userIDs []int64, q Query) (found []Listing, moreOf []int64, err error) {
	text := backendclient.AppendIDs(append(q.append(nil), '&'), "user_id", userIDs)
	answer, err := c.ask(ctx, "/listings/batch", string(text))
	if err != nil {
		return nil, nil, err
	}
	if answer.MoreOf == nil {
		return nil, nil, errShape
	}
	return *answer.Listings, *answer.MoreOf, nil
}

// Feed asks our GET /listings/feed for at most limit listings with ids above
// after, of one user unless userID is 0. When there are none it waits for
// some, at most MaxWait. A negative after asks only where the feed ends now.
// Unsupported where an answer does not say how far it goes.
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
	var answer many
	if err := c.wire.GetLong(ctx, wait, "/listings/feed", string(q), &answer); err != nil {
		return Feed{}, err
	}
	if !answer.Result || answer.Listings == nil || answer.LastID == nil {
		return Feed{}, errShape
	}
	return Feed{*answer.Listings, *answer.LastID}, nil
}

// append appends all of q but the users and the offset as a query string. The
// order is always there, so the answer says more than a documented one.
func (q *Query) append(b []byte) []byte {
	b = append(append(b, "order="...), q.Order.String()...)
	b = strconv.AppendInt(append(b, "&page_size="...), q.Limit, 10)
	if q.Type != "" {
		b = append(append(b, "&listing_type="...), url.QueryEscape(string(q.Type))...)
	}
	for _, n := range []struct {
		name  string
		value int64
	}{
		{"min_price", q.MinPrice}, {"max_price", q.MaxPrice},
		{"created_from", q.CreatedFrom}, {"created_before", q.CreatedBefore},
	} {
		if n.value != 0 {
			b = append(append(append(b, '&'), n.name...), '=')
			b = strconv.AppendInt(b, n.value, 10)
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

// many is the envelope of several listings. What a service does not say is
// nil.
type many struct {
	Result   bool       `json:"result"`
	Listings *[]Listing `json:"listings"`
	HasMore  *bool      `json:"has_more"`
	MoreOf   *[]int64   `json:"more_of"`
	LastID   *int64     `json:"last_id"`
}

// ScanJSON is part of fastjson.Scanned.
func (m *many) ScanJSON(s *fastjson.Scan) bool {
	s.Skip(`{"result":true,"listings":[`)
	rows := fastjson.ScanList(s, (*Listing).scan)
	s.Skip("}")
	if !s.End() {
		return false
	}
	*m = many{Result: true, Listings: &rows}
	return true
}

// scan reads what AppendJSON wrote.
func (l *Listing) scan(s *fastjson.Scan) {
	s.Skip(`{"id":`)
	l.ID = s.Int()
	s.Skip(`,"user_id":`)
	l.UserID = s.Int()
	s.Skip(`,"listing_type":`)
	switch { // spares a copy of the word for each row
	case s.Try(`"rent"`):
		l.Type = Rent
	case s.Try(`"sale"`):
		l.Type = Sale
	default:
		l.Type = Type(s.Text())
	}
	s.Skip(`,"price":`)
	l.Price = s.Int()
	s.Skip(`,"created_at":`)
	l.CreatedAt = s.Int()
	s.Skip(`,"updated_at":`)
	l.UpdatedAt = s.Int()
	s.Skip("}")
}

func (c *Client) ask(ctx context.Context, path, query string) (many, error) {
	var answer many
	if err := c.wire.Get(ctx, path, query, &answer); err != nil {
		return many{}, err
	}
	if !answer.Result || answer.Listings == nil {
		return many{}, errShape
	}
	return answer, nil
}

// Get asks our GET /listings/{id}.
func (c *Client) Get(ctx context.Context, id int64) (Listing, error) {
	var answer one
	if err := c.wire.Get(ctx, "/listings/"+strconv.FormatInt(id, 10), "", &answer); err != nil {
		return Listing{}, err
	}
	return answer.listing()
}

// HonoursKeys tells whether the service takes the idempotency key of a
// creation for what it is. One that knows only the documented ignores it.
func (c *Client) HonoursKeys(ctx context.Context) (bool, error) {
	return c.wire.Features(ctx, "/listings/ping", httpapi.FeatureIdempotencyKey)
}

// Create asks the documented POST /listings. key, unless "", is an idempotency
// key; replayed tells that the listing was created by an earlier call with it.
// Faults: Mismatch for a key that was used with another draft, Conflict while
// it is being used.
func (c *Client) Create(ctx context.Context, d Draft, key string) (l Listing, replayed bool, err error) {
	var answer one
	replayed, err = c.wire.PostForm(ctx, "/listings", url.Values{
		"user_id":      {strconv.FormatInt(d.UserID, 10)},
		"listing_type": {string(d.Type)},
		"price":        {strconv.FormatInt(d.Price, 10)},
	}, key, &answer)
	if err != nil {
		return Listing{}, false, err
	}
	l, err = answer.listing()
	return l, replayed, err
}

// one is the envelope of a single listing.
type one struct {
	Result  bool     `json:"result"`
	Listing *Listing `json:"listing"`
}

func (a one) listing() (Listing, error) {
	if !a.Result || a.Listing == nil {
		return Listing{}, errShape
	}
	return *a.Listing, nil
}
