// Package publicapi is the core of the public layer: the rules of both public
// APIs, packages rest and graph, which call it. It calls the services over HTTP
// alone, through the clients of backend/listings and backend/users. Drafts, pages
// and arguments of connections are validated here and nowhere else in front of
// the services, so that both APIs refuse the same input with the same messages.
//
// Any implementation of the documented backend routes can stand behind it. What
// a backend lacks beyond those (see capability), the core does by documented
// routes or refuses as unsupported; it never guesses.
package publicapi

import (
	"context"
	"errors"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/veranda-go/veranda/backend/listings"
	"github.com/veranda-go/veranda/backend/users"
	"github.com/veranda-go/veranda/internal/apierror"
	"github.com/veranda-go/veranda/internal/broadcast"
	"github.com/veranda-go/veranda/internal/coalesce"
)

// Config has the settings of a core.
type Config struct {
	// MaxPageSize is the largest page in rows.
	MaxPageSize int64
	// UserCacheSize is the number of users that are kept for UserCacheTime; 0
	// keeps none. The documented services never change a user, so the time bounds
	// only how long a change made behind their backs goes unnoticed.
	UserCacheSize int
	UserCacheTime time.Duration
}

// API is a core over two backends. Make it with New.
type API struct {
	listings    *listings.Client
	users       *users.Client
	maxPageSize int64
	now         func() time.Time

	usersBatch    capability // GET /users/batch
	listingsBatch capability // GET /listings/batch
	listingByID   capability // GET /listings/{id}
	listingKeys   capability // Idempotency-Key of POST /listings
	userKeys      capability // Idempotency-Key of POST /users

	userBatches *coalesce.Batch[int64, *users.User] // of all requests
	userCache   *otter.Cache[int64, *users.User]    // nil if no users are kept

	feed *broadcast.Source[*feedWindow]
}

// New returns a core over two backends.
func New(l *listings.Client, u *users.Client, c Config) *API {
	a := &API{listings: l, users: u, maxPageSize: c.MaxPageSize, now: time.Now}
	for _, c := range []*capability{&a.usersBatch, &a.listingsBatch, &a.listingByID, &a.listingKeys, &a.userKeys} {
		c.now = func() time.Time { return a.now() }
	}
	a.userBatches = coalesce.NewBatch(users.MaxBatch, a.findUsers)
	a.feed = broadcast.NewSource(a.readFeed)
	if c.UserCacheSize > 0 {
		a.userCache = otter.Must(&otter.Options[int64, *users.User]{
			MaximumSize:      c.UserCacheSize,
			ExpiryCalculator: otter.ExpiryWriting[int64, *users.User](c.UserCacheTime),
		})
	}
	return a
}

// MaxPageSize returns the largest page in rows.
func (a *API) MaxPageSize() int64 { return a.maxPageSize }

// Ready returns nil if both backends respond, or an Unavailable error that names
// those that do not.
func (a *API) Ready(ctx context.Context) error {
	failed := make(chan error, 1)
	go func() { failed <- documented(a.users.Ping(ctx), userService) }()
	errs := []error{documented(a.listings.Ping(ctx), listingService), <-failed}
	var fields []apierror.FieldError
	for _, err := range errs {
		if err != nil {
			fields = append(fields, apierror.From(err).Fields...)
		}
	}
	if len(fields) == 0 {
		return nil
	}
	down := apierror.Wrap(apierror.Unavailable, "", errors.Join(errs...))
	down.Fields = fields
	return down
}
