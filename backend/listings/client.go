package listings

import (
	"context"
	"net/url"
	"strconv"

	"github.com/veranda-go/veranda/internal/fault"
	"github.com/veranda-go/veranda/internal/page"
	"github.com/veranda-go/veranda/internal/wire"
)

// Client calls the listing service, one method for each route. It trusts the
// service's data but not its shape: an answer without the expected member is
// Unsupported, since some implementations answer unknown routes with 200.
type Client struct {
	wire *wire.Client
}

// NewClient calls the service through c.
func NewClient(c *wire.Client) *Client { return &Client{c} }

var errShape = fault.New(fault.Unsupported, "not supported by this listing service")

// Ping asks the documented GET /listings/ping.
func (c *Client) Ping(ctx context.Context) error { return c.wire.Ping(ctx, "/listings/ping") }

// List asks the documented GET /listings; userID 0 asks for all users'.
func (c *Client) List(ctx context.Context, pg page.Page, userID int64) ([]Listing, error) {
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
	q := wire.AppendIDs(nil, "user_id", userIDs)
	q = strconv.AppendInt(append(q, "&page_size="...), size, 10)
	return c.list(ctx, "/listings/batch", string(q))
}

func (c *Client) list(ctx context.Context, path, query string) ([]Listing, error) {
	var answer struct {
		Result   bool       `json:"result"`
		Listings *[]Listing `json:"listings"`
	}
	if err := c.wire.Get(ctx, path, query, &answer); err != nil {
		return nil, err
	}
	if !answer.Result || answer.Listings == nil {
		return nil, errShape
	}
	return *answer.Listings, nil
}

// Get asks our GET /listings/{id}.
func (c *Client) Get(ctx context.Context, id int64) (Listing, error) {
	var answer one
	if err := c.wire.Get(ctx, "/listings/"+strconv.FormatInt(id, 10), "", &answer); err != nil {
		return Listing{}, err
	}
	return answer.listing()
}

// Create asks the documented POST /listings.
func (c *Client) Create(ctx context.Context, d Draft) (Listing, error) {
	var answer one
	err := c.wire.PostForm(ctx, "/listings", url.Values{
		"user_id":      {strconv.FormatInt(d.UserID, 10)},
		"listing_type": {string(d.Type)},
		"price":        {strconv.FormatInt(d.Price, 10)},
	}, &answer)
	if err != nil {
		return Listing{}, err
	}
	return answer.listing()
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
