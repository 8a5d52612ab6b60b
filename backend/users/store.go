package users

import (
	"context"
	"slices"

	"github.com/veranda-go/veranda/internal/apierror"
)

// Query asks for a run of users, in rows: Offset is at least 0, Limit at
// least 1.
type Query struct {
	Offset, Limit int64
}

// Store keeps the users. All methods may be called at once from many
// goroutines. After Close every method fails. A context that ends makes a
// method return early with the context's error.
type Store interface {
	// Create keeps a user and returns them with id and times. When it returns,
	// the user survives a crash of the machine. Ids rise in the order in which
	// users become visible, and created_at never falls from one id to the next.
	//
	// key, unless "", is an idempotency key, kept with the user for idempotency.Keep.
	// A second call with it returns the first user as created and replayed
	// true, or idempotency.ErrMismatch if the draft is another.
	Create(ctx context.Context, d Draft, key string) (u User, replayed bool, err error)
	// Get returns a user by id, or a NotFound fault.
	Get(ctx context.Context, id int64) (User, error)
	// List returns what q asks for, newest first: created_at descending, then
	// id descending. No rows is an empty list, not an error.
	List(ctx context.Context, q Query) ([]User, error)
	// Batch returns the users that there are among ids, in the order of ids,
	// each once.
	Batch(ctx context.Context, ids []int64) ([]User, error)
	// Ping tells whether the database answers.
	Ping(ctx context.Context) error
	// Close ends the store after the writes under way.
	Close() error
}

// ErrNotFound is what Get returns for an id that no user has.
var ErrNotFound = apierror.New(apierror.NotFound, "id: no such user")

// InOrderOf sorts what a store found by the order in which it was asked for.
func InOrderOf(ids []int64, found []User) []User {
	rank := make(map[int64]int, len(ids))
	for i, id := range ids {
		if _, ok := rank[id]; !ok {
			rank[id] = i
		}
	}
	slices.SortFunc(found, func(a, b User) int { return rank[a.ID] - rank[b.ID] })
	return found
}
