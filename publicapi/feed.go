package publicapi

import (
	"context"
	"slices"
	"sort"
	"time"

	"github.com/veranda-go/veranda/backend/listings"
	"github.com/veranda-go/veranda/internal/apierror"
)

// ListingCreated is one event of the feed.
type ListingCreated struct {
	// Cursor is that of the feed after this event.
	Cursor  string
	Listing *listings.Listing
}

const (
	// feedMemory is the number of newest listings kept for subscribers. A
	// subscriber that is further behind reads from the backend.
	feedMemory = 1024
	feedPage   = 100
	// feedWait is how long a call waits for new listings.
	feedWait = 10 * time.Second
	// feedPause is between two calls when the first one failed.
	feedPause = 500 * time.Millisecond
)

// Follow prepares to follow the listings created after a cursor, or from now on
// if it is "". userID 0 selects the listings of all users. The returned function
// calls send, with at least one event, until ctx ends or send returns an error,
// and returns that error.
//
// The listing service assigns ids in the order in which listings become visible,
// so a cursor is the highest id seen, and valid in every process.
//
// Errors are of kind Invalid for a cursor of something else, Unsupported for a
// backend without a feed, and Unavailable.
func (a *API) Follow(ctx context.Context, userID int64, after string) (func(context.Context, func([]ListingCreated) error) error, error) {
	start, err := a.feedStart(ctx, after)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, send func([]ListingCreated) error) error {
		return a.follow(ctx, userID, start, send)
	}, nil
}

func (a *API) follow(ctx context.Context, userID, at int64, send func([]ListingCreated) error) error {
	defer a.feed.Subscribe()()
	for {
		newest, changed := a.feed.Load()
		behind := newest != nil && at < newest.after
		next := newest.since(at)
		if behind {
			var err error
			next, err = a.listings.Feed(ctx, at, userID, a.feedPage(), 0)
			// Without progress, the listing service has fewer listings than before, as
			// after a restored backup. It may reach the cursor again.
			if err != nil || next.LastID <= at {
				if !pause(ctx, err) {
					return ctx.Err()
				}
				continue
			}
		}
		var events []ListingCreated
		for i := range next.Listings {
			if l := &next.Listings[i]; userID == 0 || l.UserID == userID {
				events = append(events, ListingCreated{feedCursor(l.ID), l})
			}
		}
		if len(events) > 0 {
			if err := send(events); err != nil {
				return err
			}
		}
		at = max(at, next.LastID)
		if behind {
			continue
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		}
	}
}

// FeedEnd returns the cursor at which the feed ends now.
func (a *API) FeedEnd(ctx context.Context) (string, error) {
	id, err := a.feedStart(ctx, "")
	return feedCursor(id), err
}

// feedStart returns the id that the cursor after stands for.
func (a *API) feedStart(ctx context.Context, after string) (int64, error) {
	start := int64(-1)
	if after != "" {
		id, ok := parseOpaqueID(feedPrefix, after)
		if !ok || id < 0 {
			return 0, apierror.Invalidf("after", "is not a cursor of this feed")
		}
		start = id
	}
	// This call also finds out whether the backend has a feed with pages of this
	// size.
	f, err := a.listings.Feed(ctx, -1, 0, a.feedPage(), 0)
	if err != nil {
		return 0, extension(err, "listingCreated")
	}
	if start < 0 {
		start = f.LastID
	}
	return start, nil
}

// feedPage returns the number of listings that one call requests.
func (a *API) feedPage() int64 { return min(feedPage, a.maxPageSize) }

// feedPrefix is the kind and version of a cursor.
const feedPrefix = "feed1:"

func feedCursor(id int64) string { return opaqueID(feedPrefix, id) }

// pause waits after a call that failed with err or, if err is nil, made no
// progress. It reports false when ctx has ended.
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

// feedWindow holds the newest listings: all those with ids above after, up to
// LastID. It never changes.
type feedWindow struct {
	after int64
	listings.Feed
}

// since returns the listings after at, which is not below w.after. A nil window
// has none.
func (w *feedWindow) since(at int64) listings.Feed {
	if w == nil {
		return listings.Feed{LastID: at}
	}
	i := sort.Search(len(w.Listings), func(i int) bool { return w.Listings[i].ID > at })
	return listings.Feed{Listings: w.Listings[i:], LastID: w.LastID}
}

// with returns the window that next extends.
func (w *feedWindow) with(next listings.Feed) *feedWindow {
	if w == nil {
		return &feedWindow{next.LastID, next}
	}
	after, all := w.after, slices.Concat(w.Listings, next.Listings)
	if over := len(all) - feedMemory; over > 0 {
		after, all = all[over-1].ID, all[over:]
	}
	return &feedWindow{after, listings.Feed{Listings: all, LastID: next.LastID}}
}

// readFeed follows the listing service, once for all subscribers. The window is
// nil until the first response.
func (a *API) readFeed(ctx context.Context, publish func(*feedWindow)) {
	var window *feedWindow
	for at := int64(-1); ctx.Err() == nil; {
		next, err := a.listings.Feed(ctx, at, 0, a.feedPage(), feedWait)
		if err != nil {
			pause(ctx, err)
			continue
		}
		if window == nil || next.LastID != at {
			window = window.with(next)
			publish(window)
		}
		at = next.LastID
	}
}
