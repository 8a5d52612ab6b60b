package publicapi

import (
	"context"
	"sort"
	"sync"
	"time"

	"github.com/veranda-go/veranda/backend/listings"
	"github.com/veranda-go/veranda/internal/apierror"
)

// ListingCreated is one event of the feed.
type ListingCreated struct {
	// Cursor is where to begin again.
	Cursor  string
	Listing *listings.Listing
}

// Sizes and times of the feed.
const (
	// feedMemory is how many of the newest listings are kept for subscribers.
	// One that falls behind further reads from the backend until it is near.
	feedMemory = 1024
	feedPage   = 100
	// feedWait is how long one call waits for news.
	feedWait = 10 * time.Second
	// feedPause is between calls while the listing service does not answer.
	feedPause = 500 * time.Millisecond
)

// Follow makes ready to follow the listings created after a cursor, or from
// now on if it is "", or says why that cannot be. userID 0 keeps those of all
// users. The returned function calls send until ctx ends or send fails, with
// the listings of one moment together.
//
// The listing service gives ids in the order in which listings become visible,
// so the highest id seen is all that must be remembered, by whichever process.
func (a *API) Follow(ctx context.Context, userID int64, after string) (func(context.Context, func([]ListingCreated) error) error, error) {
	at, err := a.feedStart(ctx, after)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, send func([]ListingCreated) error) error {
		a.feed.join(a)
		defer a.feed.leave()
		for {
			found, to, news := a.feed.since(at)
			if news == nil {
				// Too far behind for the memory.
				f, err := a.listings.Feed(ctx, at, userID, a.feedPage(), 0)
				if err != nil {
					if !pause(ctx, err) {
						return ctx.Err()
					}
					continue
				}
				found, to = f.Listings, f.LastID
				if to <= at && !pause(ctx, nil) {
					// The listing service has less than it had: its data is that of
					// an earlier day. It may get there again.
					return ctx.Err()
				}
			}
			var events []ListingCreated
			for i := range found {
				if l := &found[i]; userID == 0 || l.UserID == userID {
					events = append(events, ListingCreated{feedCursor(l.ID), l})
				}
			}
			if len(events) > 0 {
				if err := send(events); err != nil {
					return err
				}
			}
			at = max(at, to)
			if news == nil {
				continue
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-news:
			}
		}
	}, nil
}

// FeedEnd is the cursor of where the feed ends now.
func (a *API) FeedEnd(ctx context.Context) (string, error) {
	id, err := a.feedStart(ctx, "")
	return feedCursor(id), err
}

// feedStart is the id after which to begin.
func (a *API) feedStart(ctx context.Context, after string) (int64, error) {
	start := int64(-1)
	if after != "" {
		id, ok := parseOpaqueID(feedPrefix, after)
		if !ok || id < 0 {
			return 0, apierror.Invalidf("after", "is not a cursor of this feed")
		}
		start = id
	}
	// This also tells whether there is a feed at all, with pages of this size.
	f, err := a.listings.Feed(ctx, -1, 0, a.feedPage(), 0)
	if err != nil {
		return 0, extension(err, "listingCreated")
	}
	if start < 0 {
		start = f.LastID
	}
	return start, nil
}

// feedPage is how many listings one call asks for.
func (a *API) feedPage() int64 { return min(feedPage, a.maxPageSize) }

// feedPrefix tells the version and the kind of a cursor.
const feedPrefix = "feed1:"

func feedCursor(id int64) string { return opaqueID(feedPrefix, id) }

// pause waits a little after a call that failed, or without err one that was
// of no use. It is false when ctx has ended.
func pause(ctx context.Context, err error) bool {
	if ctx.Err() != nil {
		return false
	}
	wait := feedPause
	if err != nil {
		wait = max(wait, apierror.From(err).RetryAfter)
	}
	select {
	case <-ctx.Done():
		return false
	case <-time.After(wait):
		return true
	}
}

// feed follows the listing service once for all subscribers of this process,
// as long as there are any.
type feed struct {
	mu          sync.Mutex
	subscribers int
	stop        context.CancelFunc
	memory      *feedState // nil until the first answer
	news        chan struct{}
}

// feedState are the listings with ids above from, up to to.
type feedState struct {
	from, to int64
	listings []listings.Listing // by id
}

func (f *feed) join(a *API) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.subscribers++
	if f.subscribers > 1 {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	f.stop, f.memory, f.news = cancel, nil, make(chan struct{})
	go f.follow(ctx, a)
}

func (f *feed) leave() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.subscribers--
	if f.subscribers == 0 {
		f.stop()
	}
}

// since gives what the memory holds after an id, up to where, and what to
// wait on for more. A nil channel says that the memory does not reach back so
// far.
func (f *feed) since(at int64) (found []listings.Listing, to int64, news <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	m := f.memory
	switch {
	case m == nil:
		return nil, at, f.news
	case at < m.from:
		return nil, at, nil
	case at >= m.to:
		return nil, at, f.news
	}
	i := sort.Search(len(m.listings), func(i int) bool { return m.listings[i].ID > at })
	// What is handed out is never written again: grow makes a new slice.
	return m.listings[i:], m.to, f.news
}

// follow asks for news until ctx ends.
func (f *feed) follow(ctx context.Context, a *API) {
	at := int64(-1)
	for ctx.Err() == nil {
		answer, err := a.listings.Feed(ctx, at, 0, a.feedPage(), feedWait)
		if err != nil {
			pause(ctx, err)
			continue
		}
		f.grow(ctx, at < 0, answer)
		at = answer.LastID
	}
}

func (f *feed) grow(ctx context.Context, first bool, answer listings.Feed) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if ctx.Err() != nil {
		return // the next round of subscribers has a memory of its own
	}
	if first {
		f.memory = &feedState{from: answer.LastID, to: answer.LastID}
	} else if len(answer.Listings) == 0 && answer.LastID == f.memory.to {
		return
	} else {
		m := *f.memory
		kept := m.listings
		if over := len(kept) + len(answer.Listings) - feedMemory; over > 0 {
			m.from = kept[over-1].ID
			kept = kept[over:]
		}
		m.listings = append(append(make([]listings.Listing, 0, feedMemory), kept...), answer.Listings...)
		m.to = answer.LastID
		f.memory = &m
	}
	close(f.news)
	f.news = make(chan struct{})
}
