package listings_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/veranda-go/veranda/backend/listings"
	"github.com/veranda-go/veranda/internal/httpapi"
)

// pages is a store whose lists take ten milliseconds and have the number of the
// call. It records when each began and its deadline.
type pages struct {
	listings.Store
	mu     sync.Mutex
	since  time.Time
	began  []time.Duration
	limits []time.Duration
}

func (p *pages) List(ctx context.Context, q listings.Query) ([]listings.Listing, error) {
	p.mu.Lock()
	deadline, _ := ctx.Deadline()
	p.began, p.limits = append(p.began, time.Since(p.since)), append(p.limits, time.Until(deadline))
	id := int64(len(p.began))
	p.mu.Unlock()
	select {
	case <-time.After(10 * time.Millisecond):
		return []listings.Listing{{ID: id, UserID: q.UserID, Type: listings.Rent, Price: 1, CreatedAt: 1, UpdatedAt: 1}}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// TestEqualPagesAreCoalesced tests that requests for the same page share a call of
// the store that begins after all of them, and that outlives each of them.
func TestEqualPagesAreCoalesced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const ms = time.Millisecond
		store := &pages{since: time.Now()}
		r := httpapi.NewRouter()
		listings.NewHandler(store, maxPageSize, slog.New(slog.DiscardHandler)).Routes(r)
		do := func(target string, stays time.Duration) string {
			request := httptest.NewRequest(http.MethodGet, target, nil)
			ctx, leave := context.WithTimeout(t.Context(), stays)
			defer leave()
			response := httptest.NewRecorder()
			r.ServeHTTP(response, request.WithContext(ctx))
			return response.Body.String()
		}
		var wg sync.WaitGroup
		responses := make([]string, 9)
		for i := range responses {
			time.Sleep(ms)
			wg.Go(func() {
				switch stays := time.Minute; i {
				case 3: // the leader of the waiters is canceled during the call
					responses[i] = do("/listings?page_num=1", 12*ms)
				case 8:
					responses[i] = do("/listings?page_num=1&user_id=5", stays)
				default:
					responses[i] = do("/listings?page_num=1", stays)
				}
			})
		}
		wg.Wait()
		if want := []time.Duration{1 * ms, 2 * ms, 9 * ms, 11 * ms}; !slices.Equal(store.began, want) {
			t.Errorf("calls began at %v, want %v", store.began, want)
		}
		for i, limit := range store.limits {
			if limit <= 0 || limit > time.Minute {
				t.Errorf("call %d may take %v", i+1, limit)
			}
		}
		row := func(id, user string) string {
			return `{"result":true,"listings":[{"id":` + id + `,"user_id":` + user +
				`,"listing_type":"rent","price":1,"created_at":1,"updated_at":1}]}`
		}
		for i, got := range responses {
			want := row("4", "0")
			switch i {
			case 0, 1:
				want = row(string(rune('1'+i)), "0")
			case 3:
				want = `{"result":false,"errors":["deadline passed"]}`
			case 8:
				want = row("3", "5")
			}
			if got != want {
				t.Errorf("request %d got %s, want %s", i+1, got, want)
			}
		}
	})
}
