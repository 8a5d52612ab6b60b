package postgres

import (
	"testing"
	"time"

	"github.com/veranda-go/veranda/backend/listings"
	"github.com/veranda-go/veranda/backend/listings/listingstest"
	"github.com/veranda-go/veranda/internal/testenv"
)

func TestStore(t *testing.T) {
	listingstest.Store(t, func(t *testing.T) listingstest.Open {
		url := testenv.Postgres(t)
		return func(now func() time.Time) (listings.Store, error) {
			s, err := Open(t.Context(), url)
			if err != nil {
				return nil, err
			}
			s.(*Store).Now = now
			return s, nil
		}
	})
}
