package users_test

import (
	"context"
	"log/slog"
	"net/http"
	"path/filepath"
	"testing"

	"github.com/veranda-go/veranda/backend/users"
	"github.com/veranda-go/veranda/backend/users/sqlite"
	"github.com/veranda-go/veranda/internal/backendclient"
	"github.com/veranda-go/veranda/internal/creation/creationtest"
	"github.com/veranda-go/veranda/internal/httpapi"
)

func TestIdempotencyKeys(t *testing.T) {
	creationtest.HTTP(t, creationtest.HTTPSuite[users.Draft, users.User]{
		Path:          "/users",
		Forms:         []string{"name=Suresh+S.", "name=%53uresh%20S."},
		Other:         "name=Suresh+S.1",
		Invalid:       "name=",
		InvalidFields: []string{"name"},
		Drafts:        [2]users.Draft{{Name: "A"}, {Name: "AB"}},
		Open: func(t *testing.T, before func()) (http.Handler, func() int) {
			store, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "users.db"))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { store.Close() })
			count := func() int {
				rows, err := store.List(t.Context(), users.Query{Limit: 100})
				if err != nil {
					t.Error(err)
				}
				return len(rows)
			}
			r := httpapi.NewRouter()
			users.NewHandler(slowStore{store, before}, maxPageSize, slog.New(slog.DiscardHandler)).Routes(r)
			return r, count
		},
		NewClient: func(c *backendclient.Client) creationtest.Client[users.Draft, users.User] { return users.NewClient(c) },
	})
}

// slowStore calls before, unless it is nil, before each creation.
type slowStore struct {
	users.Store
	before func()
}

func (s slowStore) Create(ctx context.Context, d users.Draft, key string) (users.User, bool, error) {
	if s.before != nil {
		s.before()
	}
	return s.Store.Create(ctx, d, key)
}
