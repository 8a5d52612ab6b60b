package users

import (
	"context"
	"net/url"
	"strconv"

	"github.com/veranda-go/veranda/internal/apierror"
	"github.com/veranda-go/veranda/internal/backendclient"
	"github.com/veranda-go/veranda/internal/fastjson"
	"github.com/veranda-go/veranda/internal/httpapi"
	"github.com/veranda-go/veranda/internal/pagination"
)

// Client calls the user service, one method for each route. It trusts the
// service's data but not its shape: an answer without the expected member is
// Unsupported, since some implementations answer unknown routes with 200.
type Client struct {
	wire *backendclient.Client
}

// NewClient calls the service through c.
func NewClient(c *backendclient.Client) *Client { return &Client{c} }

var errShape = apierror.New(apierror.Unsupported, "not supported by this user service")

// Ping asks for a documented page of one row, since /users/ping is ours.
func (c *Client) Ping(ctx context.Context) error {
	return c.wire.Ping(ctx, "/users", "page_num=1&page_size=1")
}

// List asks the documented GET /users.
func (c *Client) List(ctx context.Context, pg pagination.Page) ([]User, error) {
	q := make([]byte, 0, 60)
	q = strconv.AppendInt(append(q, "page_num="...), pg.Num, 10)
	q = strconv.AppendInt(append(q, "&page_size="...), pg.Size, 10)
	return c.list(ctx, "/users", string(q))
}

// Batch asks our GET /users/batch for at most MaxBatch users.
func (c *Client) Batch(ctx context.Context, ids []int64) ([]User, error) {
	return c.list(ctx, "/users/batch", string(backendclient.AppendIDs(nil, "id", ids)))
}

func (c *Client) list(ctx context.Context, path, query string) ([]User, error) {
	var answer many
	if err := c.wire.Get(ctx, path, query, &answer); err != nil {
		return nil, err
	}
	if !answer.Result || answer.Users == nil {
		return nil, errShape
	}
	return *answer.Users, nil
}

// many is the envelope of several users.
type many struct {
	Result bool    `json:"result"`
	Users  *[]User `json:"users"`
}

// ScanJSON is part of fastjson.Scanned.
func (m *many) ScanJSON(s *fastjson.Scan) bool {
	s.Skip(`{"result":true,"users":[`)
	rows := fastjson.ScanList(s, (*User).scan)
	s.Skip("}")
	if !s.End() {
		return false
	}
	*m = many{true, &rows}
	return true
}

// scan reads what AppendJSON wrote.
func (u *User) scan(s *fastjson.Scan) {
	s.Skip(`{"id":`)
	u.ID = s.Int()
	s.Skip(`,"name":`)
	u.Name = s.Text()
	s.Skip(`,"created_at":`)
	u.CreatedAt = s.Int()
	s.Skip(`,"updated_at":`)
	u.UpdatedAt = s.Int()
	s.Skip("}")
}

// Get asks the documented GET /users/{id}.
func (c *Client) Get(ctx context.Context, id int64) (User, error) {
	var answer one
	if err := c.wire.Get(ctx, "/users/"+strconv.FormatInt(id, 10), "", &answer); err != nil {
		return User{}, err
	}
	return answer.user()
}

// HonoursKeys tells whether the service takes the idempotency key of a
// creation for what it is. One that knows only the documented ignores it.
func (c *Client) HonoursKeys(ctx context.Context) (bool, error) {
	return c.wire.Features(ctx, "/users/ping", httpapi.FeatureIdempotencyKey)
}

// Create asks the documented POST /users. key, unless "", is an idempotency
// key; replayed tells that the user was created by an earlier call with it.
// Faults: Mismatch for a key that was used with another draft, Conflict while
// it is being used.
func (c *Client) Create(ctx context.Context, d Draft, key string) (u User, replayed bool, err error) {
	var answer one
	if replayed, err = c.wire.PostForm(ctx, "/users", url.Values{"name": {d.Name}}, key, &answer); err != nil {
		return User{}, false, err
	}
	u, err = answer.user()
	return u, replayed, err
}

// one is the envelope of a single user.
type one struct {
	Result bool  `json:"result"`
	User   *User `json:"user"`
}

func (a one) user() (User, error) {
	if !a.Result || a.User == nil {
		return User{}, errShape
	}
	return *a.User, nil
}
