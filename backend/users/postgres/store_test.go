package postgres

import (
	"testing"
	"time"

	"github.com/veranda-go/veranda/backend/users"
	"github.com/veranda-go/veranda/backend/users/userstest"
	"github.com/veranda-go/veranda/internal/testenv"
)

func TestStore(t *testing.T) {
	userstest.Store(t, func(t *testing.T) userstest.Open {
		url := testenv.Postgres(t)
		return func(now func() time.Time) (users.Store, error) {
			s, err := Open(t.Context(), url)
			if err != nil {
				return nil, err
			}
			s.(*Store).Now = now
			return s, nil
		}
	})
}
