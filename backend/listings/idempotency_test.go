package listings_test

import (
	"context"
	"log/slog"
	"net/http"
	"path/filepath"
	"testing"

	"github.com/veranda-go/veranda/backend/listings"
	"github.com/veranda-go/veranda/backend/listings/sqlite"
	"github.com/veranda-go/veranda/internal/backendclient"
	"github.com/veranda-go/veranda/internal/creation/creationtest"
	"github.com/veranda-go/veranda/internal/httpapi"
)

func TestIdempotencyKeys(t *testing.T) {
	creationtest.HTTP(t, creationtest.HTTPSuite[listings.Draft, listings.Listing]{
		Path: "/listings",
		Forms: []string{
			"user_id=1&listing_type=sale&price=6000", "price=6000&listing_type=sale&user_id=1", "user_id=1&listing_type=%73ale&price=006000",
		},
		Other:         "user_id=1&listing_type=sale&price=60001",
		Invalid:       "user_id=1",
		InvalidFields: []string{"listing_type", "price"},
		Drafts: [2]listings.Draft{
			{UserID: 1, Type: listings.Rent, Price: 5},
			{UserID: 1, Type: listings.Rent, Price: 6},
		},
		Open: func(t *testing.T, before func()) (http.Handler, func() int) {
			store, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "listings.db"))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { store.Close() })
			count := func() int {
				rows, err := store.List(t.Context(), listings.Query{Limit: 100})
				if err != nil {
					t.Error(err)
				}
				return len(rows)
			}
			r := httpapi.NewRouter()
			listings.NewHandler(slowStore{store, before}, maxPageSize, slog.New(slog.DiscardHandler)).Routes(r)
			return r, count
		},
		NewClient: func(c *backendclient.Client) creationtest.Client[listings.Draft, listings.Listing] {
			return listings.NewClient(c)
		},
	})
}

// slowStore calls before, unless it is nil, before each creation.
type slowStore struct {
	listings.Store
	before func()
}

func (s slowStore) Create(ctx context.Context, d listings.Draft, key string) (listings.Listing, bool, error) {
	if s.before != nil {
		s.before()
	}
	return s.Store.Create(ctx, d, key)
}
