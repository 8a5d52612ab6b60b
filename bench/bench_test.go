package bench_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/veranda-go/veranda/backend/listings"
	"github.com/veranda-go/veranda/backend/users"
	"github.com/veranda-go/veranda/bench"
	"github.com/veranda-go/veranda/bench/plain"
	"github.com/veranda-go/veranda/graph"
	"github.com/veranda-go/veranda/internal/backendclient"
	"github.com/veranda-go/veranda/internal/httpapi"
	"github.com/veranda-go/veranda/internal/pagination"
	"github.com/veranda-go/veranda/publicapi"
	"github.com/veranda-go/veranda/rest"
)

// Rows of the backends, as many as in the load command.
const (
	manyListings = 100_000
	manyUsers    = 10_000
)

// inProcess is the services' URL where Data is the transport.
const inProcess = "http://backend"

// veranda returns the public layer as cmd/veranda wires it, without listener,
// log and deadlines.
func veranda(t testing.TB, listingService, userService string, transport http.RoundTripper, config publicapi.Config) http.Handler {
	t.Helper()
	client := func(service, url string) *backendclient.Client {
		c, err := backendclient.NewClient(service, url, 10*time.Second, transport)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	config.MaxPageSize = pagination.DefaultMaxSize
	api := publicapi.New(listings.NewClient(client("listing service", listingService)),
		users.NewClient(client("user service", userService)), config)
	log := slog.New(slog.DiscardHandler)
	r := httpapi.NewRouter()
	r.Handle("/graphql", graph.New(api, log))
	rest.New(api, log).Routes(r)
	return r
}

type candidate struct {
	name    string
	handler http.Handler
}

func candidates(t testing.TB, listings, users string, transport http.RoundTripper) []candidate {
	return []candidate{
		{"veranda", veranda(t, listings, users, transport, publicapi.Config{})},
		{"veranda-cache", veranda(t, listings, users, transport, publicapi.Config{UserCacheSize: manyUsers, UserCacheTime: time.Minute})},
		{"baseline", bench.NewBaseline(listings, users, transport)},
		{"gqlgen", plain.New(listings, users, transport)},
	}
}

// serves reports whether a candidate has the API of a workload.
func (c candidate) serves(w bench.Workload) bool { return c.name != "gqlgen" || w.Query != "" }

// TestCandidatesAgree sends the requests of every workload to every candidate,
// with backends on a real network, and compares the responses in full.
func TestCandidatesAgree(t *testing.T) {
	t.Parallel()
	data := bench.NewData(500, 40)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() { _ = bench.NewBackend(data).Serve(ln) }()
	transport := bench.NewTransport()
	defer transport.CloseIdleConnections()
	at := "http://" + ln.Addr().String()
	for _, c := range candidates(t, at, at, transport) {
		for _, w := range bench.Workloads {
			if !c.serves(w) {
				continue
			}
			for _, page := range []int{1, 2, 25, 26} { // the last page, and one past it
				if w.Pages == 0 && page > 1 {
					continue
				}
				method, path, body := w.Request(page)
				r := httptest.NewRequest(method, path, strings.NewReader(body))
				r.Header.Set("Content-Type", "application/json")
				rec := httptest.NewRecorder()
				c.handler.ServeHTTP(rec, r)
				if err := w.Check(data, page, rec.Body.Bytes()); err != nil {
					t.Errorf("%s %s: %v", c.name, w.Name, err)
				}
			}
		}
	}
}

// TestCheck compares responses that are wrong in one place.
func TestCheck(t *testing.T) {
	t.Parallel()
	data := bench.NewData(500, 40)
	w := bench.Workloads[3]
	method, path, body := w.Request(3)
	rec := httptest.NewRecorder()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	bench.NewBaseline(inProcess, inProcess, data).ServeHTTP(rec, r)
	right := rec.Body.String()
	if err := w.Check(data, 3, []byte(right)); err != nil {
		t.Fatal(err)
	}
	if err := w.Check(data, 4, []byte(right)); err == nil {
		t.Error("another page passes")
	}
	l := data.Page(3, w.Size)[5]
	for _, change := range [][2]string{
		{fmt.Sprint(`"price":`, l.Price), fmt.Sprint(`"price":`, l.Price+1)},
		{fmt.Sprintf(`"id":"%d"`, l.ID), fmt.Sprintf(`"id":"%d"`, l.ID+1)},
		{fmt.Sprintf(`"user":{"id":"%d"`, l.UserID), fmt.Sprintf(`"user":{"id":"%d"`, l.UserID%40+1)},
		{`"listings":[{`, `"listings":[{"more":1,`},
		{`{"data":`, `{"errors":[],"data":`},
	} {
		wrong := strings.Replace(right, change[0], change[1], 1)
		if wrong == right {
			t.Fatalf("%s is not in the response", change[0])
		}
		if err := w.Check(data, 3, []byte(wrong)); err == nil {
			t.Errorf("%s in place of %s passes", change[1], change[0])
		}
	}
}

// TestBackend calls the in-memory backends over the network, with veranda's
// clients.
func TestBackend(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() { _ = bench.NewBackend(bench.NewData(30, 3)).Serve(ln) }()
	transport := backendclient.NewTransport()
	defer transport.CloseIdleConnections()
	at := "http://" + ln.Addr().String()
	c, err := backendclient.NewClient("service", at, 10*time.Second, transport)
	if err != nil {
		t.Fatal(err)
	}
	lc, uc := listings.NewClient(c), users.NewClient(c)
	ctx := t.Context()

	newest, err := lc.List(ctx, pagination.Page{Num: 2, Size: 4}, 0)
	if err != nil || len(newest) != 4 || newest[0].ID != 26 || newest[3].ID != 23 {
		t.Errorf("page 2: %v, %v", newest, err)
	}
	if past, err := lc.List(ctx, pagination.Page{Num: 9, Size: 4}, 0); err != nil || len(past) != 0 {
		t.Errorf("page past the end: %v, %v", past, err)
	}
	if _, err := lc.List(ctx, pagination.Page{Num: 0, Size: 4}, 0); err == nil {
		t.Error("page 0 is not refused")
	}
	// Creations go without the client, which adds an idempotency key.
	create := func(path string, form url.Values, out any) {
		t.Helper()
		resp, err := http.PostForm(at+path, form)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if err := json.NewDecoder(resp.Body).Decode(out); err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%s: status %d, %v", path, resp.StatusCode, err)
		}
	}
	var response struct {
		Listing listings.Listing
		User    users.User
	}
	create("/listings", url.Values{"user_id": {"2"}, "listing_type": {"rent"}, "price": {"5"}}, &response)
	made := response.Listing
	if made.ID != 31 || made.Price != 5 {
		t.Errorf("created %v", made)
	}
	if of, err := lc.List(ctx, pagination.Page{Num: 1, Size: 1}, 2); err != nil || len(of) != 1 || of[0] != made {
		t.Errorf("of user 2: %v, %v", of, err)
	}
	if of, err := lc.NewestOf(ctx, []int64{1, 2}, 1); err != nil || len(of) != 2 || of[0].UserID != 1 || of[1] != made {
		t.Errorf("newest of 1 and 2: %v, %v", of, err)
	}
	if got, err := lc.Get(ctx, 31); err != nil || got != made {
		t.Errorf("listing 31: %v, %v", got, err)
	}
	for _, name := range []string{"a&user_id=2", "50% + tax", `"名前"`} {
		create("/users", url.Values{"name": {name}}, &response)
		if response.User.Name != name {
			t.Errorf("created %v, want %s", response.User, name)
		}
	}
	if found, err := uc.Batch(ctx, []int64{6, 1, 99}); err != nil || len(found) != 2 || found[0].Name != `"名前"` || found[1].ID != 1 {
		t.Errorf("batch: %v, %v", found, err)
	}
	if _, err := uc.Get(ctx, 99); err == nil {
		t.Error("user 99 is found")
	}
	if err := lc.Ping(ctx); err != nil {
		t.Error(err)
	}
}

// discard is a ResponseWriter that keeps nothing.
type discard struct {
	header http.Header
	n      int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) WriteHeader(int)             {}
func (d *discard) Write(b []byte) (int, error) { d.n += len(b); return len(b), nil }

// BenchmarkLayer measures one request through the whole layer, from its parsed
// headers to its last byte, with backends in the same process. Allocations are
// the same on every machine.
func BenchmarkLayer(b *testing.B) {
	data := bench.NewData(manyListings, manyUsers)
	for _, w := range bench.Workloads[:5] {
		for _, c := range candidates(b, inProcess, inProcess, data) {
			if !c.serves(w) {
				continue
			}
			b.Run(w.Name+"/"+c.name, func(b *testing.B) {
				random := rand.New(rand.NewPCG(1, 1))
				requests := make([]*http.Request, 256)
				bodies := make([]*bytes.Reader, len(requests))
				for i := range requests {
					method, path, body := w.Request(1 + random.IntN(max(w.Pages, 1)))
					requests[i] = httptest.NewRequest(method, path, nil)
					requests[i].Header.Set("Content-Type", "application/json")
					bodies[i] = bytes.NewReader([]byte(body))
				}
				out := &discard{}
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					r, body := requests[i%len(requests)], bodies[i%len(requests)]
					_, _ = body.Seek(0, io.SeekStart)
					r.Body, r.ContentLength = io.NopCloser(body), body.Size()
					out.header, out.n = make(http.Header, 4), 0
					c.handler.ServeHTTP(out, r)
					if out.n < 30 {
						b.Fatalf("a response of %d bytes", out.n)
					}
				}
			})
		}
	}
}
