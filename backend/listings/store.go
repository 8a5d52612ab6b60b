package listings

import (
	"context"

	"github.com/veranda-go/veranda/internal/apierror"
)

// Store stores listings. Its methods may be called concurrently. After Close
// they return errors of kind Unavailable, when their context ends early the
// context's error, and when the database does not answer errors of kind
// Unavailable.
type Store interface {
	// Create creates a listing and returns it with its id and times. When it
	// returns, the listing survives a crash of the machine. Ids rise in the order
	// in which listings become visible, and created_at never falls from one id to
	// the next: a reader that sees an id sees all lower ones too.
	//
	// A key other than "" is an idempotency key, which is kept for
	// idempotency.Keep. Another call with it returns the listing of the first call
	// as it was created and replayed true, or idempotency.ErrMismatch if the
	// drafts differ.
	Create(ctx context.Context, d Draft, key string) (l Listing, replayed bool, err error)
	// Get returns a listing by id, or ErrNotFound.
	Get(ctx context.Context, id int64) (Listing, error)
	// List returns the listings of q in q's order, also for q.Before: then the last
	// listing is the one next to the cursor. No listings are no error.
	//
	// An index serves each order, alone or for one user or one type, from any
	// cursor: only rows that are returned are read. Other filters are checked row
	// by row: the type beside a user, the price in an order by time, the time in
	// an order by price.
	List(ctx context.Context, q Query) ([]Listing, error)
	// OfUsers returns the listings of q for each user, at most q.Limit of each, in
	// the order of userIDs and each user once. q has no UserID and no Offset.
	OfUsers(ctx context.Context, userIDs []int64, q Query) ([]Listing, error)
	// Position returns the highest visible id, 0 if there is none, and created_at
	// of the listing with the given id or, if there is none, of the one before it;
	// 0 if there is no such listing.
	Position(ctx context.Context, id int64) (highest, createdAt int64, err error)
	// Changed returns a channel that is closed when this store creates listings
	// next. Creations by other stores in the same database do not close it.
	Changed() <-chan struct{}
	// Ping returns an error unless the database answers.
	Ping(ctx context.Context) error
	// Close waits for the calls in progress and closes the database.
	Close() error
}

// ErrNotFound is returned by Get for an id that no listing has.
var ErrNotFound = apierror.New(apierror.NotFound, "id: no such listing")
