package publicapi

import "time"

// SetNow replaces the clock.
func (a *API) SetNow(now func() time.Time) { a.now = now }

// Constants that tests need.
const (
	// Recheck is how long a missing route is not tried again.
	Recheck = recheck
	// FeedMemory is how many listings are kept for subscribers.
	FeedMemory = feedMemory
)
