package listings

import (
	"context"
	"slices"

	"github.com/veranda-go/veranda/internal/fault"
)

// Query asks for a run of listings.
type Query struct {
	// UserID keeps the listings of one user; 0 keeps all.
	UserID int64
	// Offset and Limit are in rows. Offset is at least 0, Limit at least 1.
	Offset, Limit int64
}

// Store keeps the listings. All methods may be called at once from many
// goroutines. After Close every method fails. A context that ends makes a
// method return early with the context's error.
type Store interface {
	// Create keeps a listing and returns it with its id and times. When it
	// returns, the listing survives a crash of the machine. Ids rise in the
	// order in which listings become visible, and created_at never falls from
	// one id to the next: who has seen an id has seen all before it.
	Create(ctx context.Context, d Draft) (Listing, error)
	// Get returns a listing by id, or a NotFound fault.
	Get(ctx context.Context, id int64) (Listing, error)
	// List returns what q asks for, newest first: created_at descending, then
	// id descending. No rows is an empty list, not an error.
	List(ctx context.Context, q Query) ([]Listing, error)
	// NewestOf returns the newest limit listings of each user, in the order of
	// userIDs, each user once; those without listings are left out.
	NewestOf(ctx context.Context, userIDs []int64, limit int64) ([]Listing, error)
	// Ping tells whether the database answers.
	Ping(ctx context.Context) error
	// Close ends the store after the writes under way.
	Close() error
}

// ErrNotFound is what Get returns for an id that no listing has.
var ErrNotFound = fault.New(fault.NotFound, "id: no such listing")

// InOrderOf sorts what a store found by the order in which users were asked
// for, keeping the order within a user.
func InOrderOf(userIDs []int64, found []Listing) []Listing {
	rank := make(map[int64]int, len(userIDs))
	for i, id := range userIDs {
		if _, ok := rank[id]; !ok {
			rank[id] = i
		}
	}
	slices.SortStableFunc(found, func(a, b Listing) int { return rank[a.UserID] - rank[b.UserID] })
	return found
}
