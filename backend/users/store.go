package users

import (
	"context"

	"github.com/veranda-go/veranda/internal/apierror"
)

// Query selects a run of users. Offset is at least 0, Limit at least 1, both in
// rows.
type Query struct {
	Offset, Limit int64
}

// Store stores users. Its methods may be called concurrently. After Close they
// return errors of kind Unavailable, when their context ends early the context's
// error, and when the database does not answer errors of kind Unavailable.
type Store interface {
	// Create creates a user and returns it with its id and times. When it returns,
	// the user survives a crash of the machine. Ids rise in the order in which
	// users become visible, and created_at never falls from one id to the next.
	//
	// A key other than "" is an idempotency key, which is kept for
	// idempotency.Keep. Another call with it returns the user of the first call as
	// it was created and replayed true, or idempotency.ErrMismatch if the drafts
	// differ.
	Create(ctx context.Context, d Draft, key string) (u User, replayed bool, err error)
	// Get returns a user by id, or ErrNotFound.
	Get(ctx context.Context, id int64) (User, error)
	// List returns the users of q, newest first: by created_at and then id, both
	// descending. No users are no error.
	List(ctx context.Context, q Query) ([]User, error)
	// Batch returns the users with the given ids, in the order of ids and each
	// once. Unknown ids are left out.
	Batch(ctx context.Context, ids []int64) ([]User, error)
	// Ping returns an error unless the database answers.
	Ping(ctx context.Context) error
	// Close waits for the calls in progress and closes the database.
	Close() error
}

// ErrNotFound is returned by Get for an id that no user has.
var ErrNotFound = apierror.New(apierror.NotFound, "id: no such user")
