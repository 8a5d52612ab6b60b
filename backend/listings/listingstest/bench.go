package listingstest

import (
	"context"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/go-chi/chi/v5"

	"github.com/veranda-go/veranda/backend/listings"
)

// The size of the store that Bench measures. Each listing's user is random, so
// the listings of a user are spread over the whole table.
const (
	BenchRows  = 1_000_000
	BenchUsers = 10_000
)

// BenchFill returns the listings of the store that Bench measures, by rising id
// from 1. They are always the same. One in eight has the time of the one before.
func BenchFill() iter.Seq[listings.Listing] {
	return func(yield func(listings.Listing) bool) {
		random := rand.New(rand.NewPCG(2023, 2))
		now := int64(1_475_820_997_000_000)
		for id := range int64(BenchRows) {
			if id%8 != 0 {
				now += 1 + random.Int64N(100_000_000)
			}
			if !yield(benchDraft(random).Created(id+1, now)) {
				return
			}
		}
	}
}

func benchDraft(random *rand.Rand) listings.Draft {
	d := listings.Draft{UserID: 1 + random.Int64N(BenchUsers), Type: listings.Rent, Price: 1 + random.Int64N(10_000)}
	if random.IntN(2) == 0 {
		d.Type, d.Price = listings.Sale, d.Price*1000
	}
	return d
}

// Bench measures a store that holds the listings of BenchFill: first reads, then
// creations, which stay in the store.
func Bench(b *testing.B, s listings.Store) {
	query := func(name string, rows int, q listings.Query) {
		read(b, name, rows, func(*rand.Rand) ([]listings.Listing, error) { return s.List(b.Context(), q) })
	}
	const size = 20
	for _, page := range []int64{1, 1000, 50_000} {
		query("page="+strconv.FormatInt(page, 10), size, listings.Query{Offset: size * (page - 1), Limit: size})
	}
	for order := listings.Newest; order <= listings.PriceDesc; order++ {
		query("keyset=first/order="+order.String(), size, listings.Query{Order: order, Limit: size + 1})
		middle, err := s.List(b.Context(), listings.Query{Order: order, Offset: BenchRows / 2, Limit: 1})
		if err != nil || len(middle) != 1 {
			b.Fatalf("%d rows, %v", len(middle), err)
		}
		place := listings.CursorOf(&middle[0], order)
		query("keyset=middle/order="+order.String(), size, listings.Query{Order: order, After: &place, Limit: size + 1})
	}
	read(b, "user", size, func(random *rand.Rand) ([]listings.Listing, error) {
		return s.List(b.Context(), listings.Query{Filter: listings.Filter{UserID: 1 + random.Int64N(BenchUsers)}, Limit: size})
	})
	for _, users := range []int{2, 10, 100, 1000} {
		read(b, fmt.Sprintf("users=%d", users), 10*users, func(random *rand.Rand) ([]listings.Listing, error) {
			ids := make([]int64, users)
			for i, id := range random.Perm(BenchUsers)[:users] {
				ids[i] = int64(id) + 1
			}
			return s.OfUsers(b.Context(), ids, listings.Query{Limit: 10})
		})
	}
	read(b, "get", 1, func(random *rand.Rand) ([]listings.Listing, error) {
		l, err := s.Get(b.Context(), 1+random.Int64N(BenchRows))
		return []listings.Listing{l}, err
	})
	overHTTP(b, s)
	for _, writers := range []int{1, 16, 128} {
		for _, keyed := range []bool{false, true} {
			writeAtOnce(b, s, writers, keyed)
		}
	}
}

// BenchPlans calls show for each kind of query with a plan of its own.
func BenchPlans(s listings.Store, show func(name string, q listings.Query)) {
	show("page 1", listings.Query{Limit: 20})
	show("page 1,000", listings.Query{Offset: 20 * 999, Limit: 20})
	for _, order := range []listings.Order{listings.Newest, listings.PriceAsc} {
		q := listings.Query{Order: order, Offset: BenchRows / 2, Limit: 1}
		if middle, err := s.List(context.Background(), q); err == nil && len(middle) == 1 {
			place := listings.CursorOf(&middle[0], order)
			show("after 500,000 rows, "+order.String(), listings.Query{Order: order, After: &place, Limit: 21})
		}
	}
	show("of a user", listings.Query{Filter: listings.Filter{UserID: 7}, Limit: 20})
}

// read measures sequential calls of f, which must find at least as many rows.
func read(b *testing.B, name string, rows int, f func(*rand.Rand) ([]listings.Listing, error)) {
	b.Run(name, func(b *testing.B) {
		random := rand.New(rand.NewPCG(1, 1))
		// PostgreSQL chooses a plan for all values at the sixth execution.
		for range 6 {
			if found, err := f(random); err != nil || len(found) < rows {
				b.Fatalf("%d rows, %v", len(found), err)
			}
		}
		b.ReportAllocs()
		found := 0
		for b.Loop() {
			list, err := f(random)
			if err != nil {
				b.Fatal(err)
			}
			found += len(list)
		}
		b.ReportMetric(float64(found)/float64(b.N), "rows/op")
	})
}

// overHTTP measures 16 concurrent clients that read random pages of the first
// 1,000, from the store and from a server in front of it.
func overHTTP(b *testing.B, s listings.Store) {
	const size, clients = 20, 16
	routes := chi.NewRouter()
	listings.NewHandler(s, 1000, slog.New(slog.DiscardHandler)).Routes(routes)
	server := httptest.NewServer(routes)
	defer server.Close()
	transport := &http.Transport{MaxIdleConnsPerHost: clients}
	defer transport.CloseIdleConnections()
	client := http.Client{Transport: transport}

	for _, test := range []struct {
		name string
		get  func(page int64) error
	}{
		{"pages/by=store", func(page int64) error {
			_, err := s.List(b.Context(), listings.Query{Offset: size * (page - 1), Limit: size})
			return err
		}},
		{"pages/by=http", func(page int64) error {
			r, err := client.Get(fmt.Sprintf("%s/listings?page_num=%d&page_size=%d", server.URL, page, size))
			if err != nil {
				return err
			}
			defer r.Body.Close()
			if r.StatusCode != http.StatusOK {
				return fmt.Errorf("status %s", r.Status)
			}
			_, err = io.Copy(io.Discard, r.Body)
			return err
		}},
	} {
		b.Run(test.name, func(b *testing.B) {
			b.ReportAllocs()
			atOnce(b, clients, func(random *rand.Rand) error { return test.get(1 + random.Int64N(1000)) })
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "pages/s")
		})
	}
}

var benchKeys atomic.Int64

func writeAtOnce(b *testing.B, s listings.Store, writers int, keyed bool) {
	b.Run(fmt.Sprintf("create/writers=%d/keyed=%t", writers, keyed), func(b *testing.B) {
		b.ReportAllocs()
		atOnce(b, writers, func(random *rand.Rand) error {
			key := ""
			if keyed {
				key = fmt.Sprintf("%x-%d", random.Uint64(), benchKeys.Add(1))
			}
			_, replayed, err := s.Create(b.Context(), benchDraft(random), key)
			if replayed {
				return fmt.Errorf("key %q was used before", key)
			}
			return err
		})
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "creations/s")
	})
}

// atOnce calls f b.N times from a number of goroutines.
func atOnce(b *testing.B, goroutines int, f func(*rand.Rand) error) {
	var (
		left    atomic.Int64
		running sync.WaitGroup
	)
	left.Store(int64(b.N))
	for i := range uint64(goroutines) {
		running.Go(func() {
			random := rand.New(rand.NewPCG(uint64(b.N), i))
			for left.Add(-1) >= 0 {
				if err := f(random); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	running.Wait()
}
