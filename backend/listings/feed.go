package listings

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/veranda-go/veranda/internal/broadcast"
	"github.com/veranda-go/veranda/internal/httpapi"
)

// Feed is a run of listings in the order in which they became visible. The next
// feed after LastID repeats none and misses none.
type Feed struct {
	Listings []Listing
	// LastID is how far the feed reaches: the id of the last listing, if there
	// are as many as the limit, else the highest id that was visible. It is never
	// below the id that the feed is after.
	LastID int64
}

// ReadFeed returns the listings in store with ids above after, of one user
// unless userID is 0, by rising id, at most limit. A negative after returns no
// listings, only where the feed ends now.
func ReadFeed(ctx context.Context, store Store, after, userID, limit int64) (Feed, error) {
	highest, createdAt, err := store.Position(ctx, after)
	feed := Feed{LastID: max(after, highest)}
	if err != nil || after < 0 || highest <= after {
		return feed, err
	}
	// created_at never falls from one id to the next, so this is the order of ids.
	feed.Listings, err = store.List(ctx, Query{
		Filter: Filter{UserID: userID}, Order: Oldest, After: &Cursor{Oldest, createdAt, after}, Limit: limit,
	})
	if n := int64(len(feed.Listings)); n == limit {
		feed.LastID = feed.Listings[n-1].ID
	} else if n > 0 { // it may have been created since
		feed.LastID = max(highest, feed.Listings[n-1].ID)
	}
	return feed, err
}

// MaxWait is the longest wait of a feed for new listings.
const MaxWait = httpapi.RequestTimeout

const (
	// responseTime is left before a request's deadline when a wait ends.
	responseTime = time.Second
	// pollInterval is how often the source looks for creations by other processes.
	pollInterval = 200 * time.Millisecond
)

func (h *Handler) feed(w http.ResponseWriter, r *http.Request) error {
	p := httpapi.Query(r)
	after, userID := p.IntOrZero("after", -1), p.Int("user_id", 0)
	size := p.PageSize(h.maxPageSize)
	wait := p.IntOrZero("wait", 0)
	if wait > MaxWait.Milliseconds() {
		p.AddError("wait", "must be at most "+strconv.FormatInt(MaxWait.Milliseconds(), 10))
	}
	if err := p.Err(); err != nil {
		return err
	}
	found, err := h.await(r.Context(), after, userID, size, time.Duration(wait)*time.Millisecond)
	if err != nil {
		return err
	}
	writeList(w, found.Listings, func(b []byte) []byte {
		return strconv.AppendInt(append(b, `,"last_id":`...), found.LastID, 10)
	})
	return nil
}

// await reads the feed until it has listings, wait has passed or the server
// begins to drain.
func (h *Handler) await(ctx context.Context, after, userID, size int64, wait time.Duration) (Feed, error) {
	if deadline, ok := ctx.Deadline(); ok {
		wait = min(wait, time.Until(deadline)-responseTime)
	}
	waiting, stop := context.WithTimeout(ctx, max(wait, 0))
	defer stop()
	defer context.AfterFunc(httpapi.Draining(ctx), stop)()
	for {
		found, err := ReadFeed(ctx, h.store, after, userID, size)
		if err != nil || after < 0 || len(found.Listings) > 0 || waiting.Err() != nil {
			return found, err
		}
		after = found.LastID // the listings of other users need not be read again
		unsubscribe := h.newest.Subscribe()
		created := h.newest.Wait(waiting, func(id int64) bool { return id > after })
		unsubscribe()
		if !created {
			return found, nil
		}
	}
}

// newestID returns a source of the highest id in store, for any number of
// waiting requests at the cost of one reader. Ids fall if rows are deleted by
// hand.
func newestID(store Store) *broadcast.Source[int64] {
	return broadcast.NewSource(func(ctx context.Context, publish func(int64)) {
		poll := time.NewTicker(pollInterval)
		defer poll.Stop()
		for newest := int64(0); ; {
			// Before the id is read, so that no creation after that is missed.
			changed := store.Changed()
			id, _, err := store.Position(ctx, 0)
			if err == nil && id != newest { // after an error the next try may succeed
				newest = id
				publish(id)
			}
			select {
			case <-changed:
			case <-poll.C:
			case <-ctx.Done():
				return
			}
		}
	})
}
