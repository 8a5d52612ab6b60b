package publicapi

import "time"

// SetNow replaces the clock.
func (a *API) SetNow(now func() time.Time) { a.now = now }

// What tests need to know of the rules.
const (
	// Recheck is how long a route that was missing stays unasked.
	Recheck = recheck
	// FeedMemory is how many listings are kept for subscribers.
	FeedMemory = feedMemory
)
