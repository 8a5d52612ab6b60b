package listings_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/veranda-go/veranda/backend/listings"
	"github.com/veranda-go/veranda/internal/apierror"
	"github.com/veranda-go/veranda/internal/httpapi"
)

const sale = "user_id=1&listing_type=sale&price=6000"

// post sends a creation with idempotency keys, each in a header of its own.
func (s service) post(t *testing.T, form string, keys ...string) (*http.Response, string) {
	t.Helper()
	return s.request(t, "POST", "/listings", form, http.Header{
		"Content-Type":    {"application/x-www-form-urlencoded"},
		"Idempotency-Key": keys,
	})
}

func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	s := serve(t)
	resp, body := s.post(t, sale, "a")
	if resp.StatusCode != 200 || resp.Header.Get("Idempotency-Replayed") != "" {
		t.Fatalf("first: %d %v %s", resp.StatusCode, resp.Header, body)
	}
	// In another order and escaped differently, it is the same creation.
	for _, form := range []string{sale, "price=6000&listing_type=sale&user_id=1", "user_id=1&listing_type=%73ale&price=006000"} {
		again, bodyAgain := s.post(t, form, "a")
		if again.StatusCode != 200 || again.Header.Get("Idempotency-Replayed") != "true" || bodyAgain != body {
			t.Errorf("%s again: %d %v\n got %s\nwant %s", form, again.StatusCode, again.Header, bodyAgain, body)
		}
	}
	for _, key := range []string{"b", "A", "!", "~", strings.Repeat("k", 255)} {
		resp, bodyOther := s.post(t, sale, key)
		if resp.StatusCode != 200 || resp.Header.Get("Idempotency-Replayed") != "" || bodyOther == body {
			t.Errorf("key %.20s: %d %v %s", key, resp.StatusCode, resp.Header, bodyOther)
		}
	}

	resp, body = s.post(t, sale+"1", "a")
	if want := `{"result":false,"errors":["Idempotency-Key: already used with other parameters"]}`; resp.StatusCode != 422 || body != want {
		t.Errorf("another price: %d %s", resp.StatusCode, body)
	}
	resp, body = s.post(t, "user_id=1", "a")
	wantErrors(t, resp, body, http.StatusBadRequest, "listing_type", "price")

	for _, keys := range [][]string{
		{""}, {" "}, {"a b"}, {"a\tb"}, {"ключ"}, {"\x80"}, {"\"a b\""}, {strings.Repeat("k", 256)}, {"a", "a"}, {"a", "b"},
	} {
		resp, body := s.post(t, sale, keys...)
		wantErrors(t, resp, body, http.StatusBadRequest, "Idempotency-Key")
	}
	rows, err := s.store.List(t.Context(), listings.Query{Limit: 100})
	if err != nil || len(rows) != 6 {
		t.Errorf("%d rows, %v, want 6", len(rows), err)
	}
}

// slowStore ends each creation on a signal.
type slowStore struct {
	listings.Store
	begun, end chan struct{}
}

func (s *slowStore) Create(ctx context.Context, d listings.Draft, key string) (listings.Listing, bool, error) {
	s.begun <- struct{}{}
	<-s.end
	return s.Store.Create(ctx, d, key)
}

func TestIdempotencyKeyInProgress(t *testing.T) {
	t.Parallel()
	s := serve(t)
	slow := &slowStore{s.store, make(chan struct{}), make(chan struct{})}
	r := httpapi.NewRouter()
	listings.NewHandler(slow, maxPageSize, slog.New(slog.DiscardHandler)).Routes(r)
	server := httptest.NewServer(r)
	defer server.Close()
	s.url = server.URL

	responses := make(chan string)
	send := func(keys ...string) {
		resp, body := s.post(t, sale, keys...)
		responses <- fmt.Sprint(resp.StatusCode, resp.Header.Get("Idempotency-Replayed"), body)
	}
	go send("a")
	<-slow.begun
	for range 2 {
		resp, body := s.post(t, sale, "a")
		want := `{"result":false,"errors":["Idempotency-Key: a request with this key is in progress"]}`
		if resp.StatusCode != 409 || resp.Header.Get("Retry-After") != "1" || body != want {
			t.Errorf("in progress: %d %v %s", resp.StatusCode, resp.Header, body)
		}
	}
	// Others are not in its way.
	go send("b")
	<-slow.begun
	go send()
	<-slow.begun
	for range 3 {
		slow.end <- struct{}{}
		if response := <-responses; !strings.HasPrefix(response, "200{") {
			t.Error(response)
		}
	}
	go send("a")
	<-slow.begun
	slow.end <- struct{}{}
	if response := <-responses; !strings.HasPrefix(response, "200true{") {
		t.Errorf("after it was done: %s", response)
	}
}

func TestIdempotencyKeyOfClient(t *testing.T) {
	t.Parallel()
	s, ctx := serve(t), t.Context()
	if honors, err := s.HonorsKeys(ctx); err != nil || !honors {
		t.Errorf("honors keys: %v, %v", honors, err)
	}
	draft := listings.Draft{UserID: 1, Type: listings.Rent, Price: 5}
	made, replayed, err := s.Create(ctx, draft, "a")
	if err != nil || replayed {
		t.Fatalf("create: %v, %v", replayed, err)
	}
	if got, replayed, err := s.Create(ctx, draft, "a"); err != nil || !replayed || got != made {
		t.Errorf("again: %+v, %v, %v, want %+v", got, replayed, err, made)
	}
	draft.Price++
	_, _, err = s.Create(ctx, draft, "a")
	if f := apierror.From(err); f.Kind != apierror.KeyMismatch || f.Messages()[0] != "Idempotency-Key: already used with other parameters" {
		t.Errorf("another draft: %v of kind %d", err, f.Kind)
	}

	// Responses of another implementation.
	status := http.StatusNotFound
	other := client(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = w.Write([]byte(`{"errors":["price: too low"]}`))
	})
	for _, status = range []int{200, 400, 404} {
		if honors, err := other.HonorsKeys(ctx); err != nil || honors {
			t.Errorf("status %d: honors keys %v, %v", status, honors, err)
		}
	}
	for _, status = range []int{500, 503} {
		if _, err := other.HonorsKeys(ctx); apierror.KindOf(err) != apierror.Unavailable {
			t.Errorf("status %d: %v", status, err)
		}
	}
	for _, test := range []struct {
		status int
		key    string
		want   apierror.Kind
	}{
		{409, "a", apierror.Conflict}, {422, "a", apierror.KeyMismatch}, {409, "", apierror.Unavailable}, {422, "", apierror.Unavailable},
	} {
		status = test.status
		if _, _, err := other.Create(ctx, draft, test.key); apierror.KindOf(err) != test.want {
			t.Errorf("status %d to key %q: %v", status, test.key, err)
		}
	}
}

func TestPingNamesFeatures(t *testing.T) {
	t.Parallel()
	resp, _ := serve(t).do(t, "GET", "/listings/ping", "", "")
	if got := resp.Header.Get("Veranda-Features"); got != "idempotency-key" {
		t.Errorf("features %q", got)
	}
}
