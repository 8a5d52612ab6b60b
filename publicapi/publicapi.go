// Package publicapi is the core of the public layer: what may be asked, at
// what size, which backend answers, and what is done when one does not. Both
// doors, packages rest and graph, call it, so they cannot drift apart; it
// calls the services through the clients of backend/listings and
// backend/users, over HTTP and nothing else.
//
// Any implementation of the documented backend routes will do. Where one of
// our own additions is missing, the core falls back to documented routes, or
// says that the question is not supported; it never guesses.
package publicapi

import (
	"context"
	"errors"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/veranda-go/veranda/backend/listings"
	"github.com/veranda-go/veranda/backend/users"
	"github.com/veranda-go/veranda/internal/apierror"
	"github.com/veranda-go/veranda/internal/backendclient"
	"github.com/veranda-go/veranda/internal/coalesce"
)

// Config is what a core needs to know.
type Config struct {
	// MaxPageSize is the largest page in rows.
	MaxPageSize int64
	// UserCacheSize is how many found users are kept for UserCacheTime. The
	// documented services never change a user, so within their contract nothing
	// gets old; the time bounds what is changed behind their back. 0 keeps none.
	UserCacheSize int
	UserCacheTime time.Duration
}

// API answers the public layer's questions. Make it with New.
type API struct {
	listings *listings.Client
	users    *users.Client
	// maxPageSize is in rows.
	maxPageSize int64
	now         func() time.Time

	usersBatch            route // GET /users/batch
	listingsBatch         route // GET /listings/batch
	listingByID           route // GET /listings/{id}
	listingKeys, userKeys route // Idempotency-Key

	// What many requests ask at the same moment is asked once.
	lists  coalesce.Group[list, []listings.Listing]
	owners *coalesce.Batch[int64, *users.User]
	kept   *otter.Cache[int64, *users.User] // nil if no users are kept

	feed feed
}

// New is a core over two backends.
func New(l *listings.Client, u *users.Client, c Config) *API {
	a := &API{listings: l, users: u, maxPageSize: c.MaxPageSize, now: time.Now}
	a.owners = coalesce.NewBatch(users.MaxBatch, a.findUsers)
	if c.UserCacheSize > 0 {
		a.kept = otter.Must(&otter.Options[int64, *users.User]{
			MaximumSize:      c.UserCacheSize,
			ExpiryCalculator: otter.ExpiryWriting[int64, *users.User](c.UserCacheTime),
		})
	}
	return a
}

// MaxPageSize is the largest page in rows.
func (a *API) MaxPageSize() int64 { return a.maxPageSize }

// Ready tells whether both backends answer, and which do not.
func (a *API) Ready(ctx context.Context) error {
	failed := make(chan error, 1)
	go func() { failed <- documented(a.users.Ping(ctx), userService) }()
	errs := []error{documented(a.listings.Ping(ctx), listingService), <-failed}
	cause := errors.Join(errs...)
	if cause == nil {
		return nil
	}
	down := apierror.Wrap(apierror.Unavailable, "", cause)
	down.Fields = nil
	for _, err := range errs {
		if err != nil {
			down.Fields = append(down.Fields, apierror.From(err).Fields...)
		}
	}
	return down
}

// documented judges the failure of a documented route. Every implementation
// has those, so "no such route" can only mean that something else answers at
// the service's address.
func documented(err error, service string) error {
	if err == nil {
		return nil
	}
	switch apierror.KindOf(err) {
	case apierror.NotFound, apierror.Unsupported:
		return apierror.Wrap(apierror.Unavailable, service+" unavailable", err)
	}
	return err
}

// missing tells whether a failure of a route of our own means that the
// backend does not have it. A backend that knows only /users/{id} takes
// /users/batch for an id, and finds it malformed or not there.
func missing(err error) bool { return backendclient.LacksRoute(err) }

// stumbles tells whether a failure of a route of our own may also mean that:
// a backend may take /users/batch for an id and break on it. One that does not
// answer at all is just not there.
func stumbles(err error) bool { return backendclient.Crashed(err) }

// fanOut is how many documented calls stand in for one batch at a time.
const fanOut = 16

// recheck is how long a route that was missing stays unasked. A backend that
// is upgraded is noticed after this at the latest.
const recheck = 5 * time.Second
