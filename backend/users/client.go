package users

import (
	"context"
	"net/url"
	"strconv"

	"github.com/veranda-go/veranda/internal/apierror"
	"github.com/veranda-go/veranda/internal/backendclient"
	"github.com/veranda-go/veranda/internal/pagination"
)

// Client calls the user service, with one method for each route. A response
// without the member that a method needs is Unsupported: some implementations
// respond to an unknown route with 200.
type Client struct {
	backend *backendclient.Client
}

// NewClient returns a client that calls the service through c.
func NewClient(c *backendclient.Client) *Client { return &Client{c} }

var errShape = apierror.New(apierror.Unsupported, "not supported by this user service")

// Ping calls GET /users for a page of one row, since /users/ping is not
// documented.
func (c *Client) Ping(ctx context.Context) error {
	return c.backend.Ping(ctx, "/users", "page_num=1&page_size=1")
}

// List calls GET /users, which is documented.
func (c *Client) List(ctx context.Context, page pagination.Page) ([]User, error) {
	return c.rows(ctx, "/users", page.AppendQuery(make([]byte, 0, 60)))
}

// Batch calls GET /users/batch, which is not documented, for at most MaxBatch
// users.
func (c *Client) Batch(ctx context.Context, ids []int64) ([]User, error) {
	return c.rows(ctx, "/users/batch", backendclient.AppendIDs(nil, "id", ids))
}

func (c *Client) rows(ctx context.Context, path string, query []byte) ([]User, error) {
	var l list
	if err := c.backend.Get(ctx, path, string(query), &l); err != nil {
		return nil, err
	}
	if !l.Result || l.Users == nil {
		return nil, errShape
	}
	return *l.Users, nil
}

// Get calls GET /users/{id}, which is documented.
func (c *Client) Get(ctx context.Context, id int64) (User, error) {
	var o object
	err := c.backend.Get(ctx, "/users/"+strconv.FormatInt(id, 10), "", &o)
	return o.user(err)
}

// HonorsKeys reports whether the service honors idempotency keys. A service that
// has only the documented routes ignores them.
func (c *Client) HonorsKeys(ctx context.Context) (bool, error) {
	return c.backend.HonorsKeys(ctx, "/users/ping")
}

// Create calls POST /users, which is documented. key, unless empty, is an
// idempotency key; replayed reports whether an earlier call with it created the
// user. Errors beside Invalid: KeyMismatch for a key that was used with another
// draft, Conflict while it is in use.
func (c *Client) Create(ctx context.Context, d Draft, key string) (u User, replayed bool, err error) {
	var o object
	replayed, err = c.backend.PostForm(ctx, "/users", url.Values{"name": {d.Name}}, key, &o)
	u, err = o.user(err)
	return u, replayed, err
}

// user returns the user of a response, unless err is an error.
func (o object) user(err error) (User, error) {
	switch {
	case err != nil:
		return User{}, err
	case !o.Result || o.User == nil:
		return User{}, errShape
	}
	return *o.User, nil
}
