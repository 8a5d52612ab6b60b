package listings

import (
	"context"

	"github.com/veranda-go/veranda/internal/apierror"
)

// Feed is a run of listings in the order in which they became visible. To ask
// again after LastID misses none and repeats none.
type Feed struct {
	Listings []Listing
	// LastID is the highest id that was looked at: the last listing's, if
	// there were as many as asked for, else the highest that was visible. It
	// is never below the id that was asked after.
	LastID int64
}

// Store keeps the listings. All methods may be called at once from many
// goroutines. After Close every method fails. A context that ends makes a
// method return early with the context's error.
type Store interface {
	// Create keeps a listing and returns it with its id and times. When it
	// returns, the listing survives a crash of the machine. Ids rise in the
	// order in which listings become visible, and created_at never falls from
	// one id to the next: who has seen an id has seen all before it.
	//
	// key, unless "", is an idempotency key, kept with the listing for
	// idempotency.Keep. A second call with it returns the first listing as it was
	// created and replayed true, or idempotency.ErrMismatch if the draft is another.
	Create(ctx context.Context, d Draft, key string) (l Listing, replayed bool, err error)
	// Get returns a listing by id, or a NotFound fault.
	Get(ctx context.Context, id int64) (Listing, error)
	// List returns what q asks for, in q's order, q.Before too: then the last
	// row is the one next to the cursor. No rows is an empty list, not an error.
	//
	// An index serves every order, alone or for one user or one type, from
	// whatever cursor: rows read are rows answered. What else is filtered by is
	// looked at row by row: the type beside a user, the price in an order by
	// time, and the time in an order by price.
	List(ctx context.Context, q Query) ([]Listing, error)
	// OfUsers returns what q asks for of each user, at most q.Limit listings of
	// each, in the order of userIDs, each user once; those without listings are
	// left out. q has no UserID and no Offset.
	OfUsers(ctx context.Context, userIDs []int64, q Query) ([]Listing, error)
	// Feed returns listings with ids above after, of one user unless userID is
	// 0, by rising id, at most limit. A negative after asks for no rows, only
	// where the feed ends now.
	Feed(ctx context.Context, after, userID, limit int64) (Feed, error)
	// Changed is closed when this store, not another one on the same database,
	// creates listings next.
	Changed() <-chan struct{}
	// Ping tells whether the database answers.
	Ping(ctx context.Context) error
	// Close ends the store after the writes under way.
	Close() error
}

// ErrNotFound is what Get returns for an id that no listing has.
var ErrNotFound = apierror.New(apierror.NotFound, "id: no such listing")
