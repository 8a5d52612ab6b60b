package publicapi

import "time"

// SetNow replaces the clock.
func (a *API) SetNow(now func() time.Time) { a.now = now }

// What tests need to know of the rules.
const (
	FanOut  = fanOut
	Recheck = recheck
)
