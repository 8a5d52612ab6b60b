package publicapi

import "time"

// SetNow replaces the clock.
func (a *API) SetNow(now func() time.Time) { a.now = now }

// Recheck is how long a route that was missing stays unasked.
const Recheck = recheck
