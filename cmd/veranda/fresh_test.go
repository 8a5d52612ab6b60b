package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/veranda-go/veranda/internal/fakebackend"
)

// A read that begins after a write was acknowledged, by whichever process,
// sees that write: porcupine looks for an order of all reads and creations in
// which each takes effect between its beginning and its end. A stale read
// leaves none.

// pageSize is that of all readings.
const pageSize = 5

// request is a read of a user's newest listings or, with a price, a creation.
// A creation is known by its price, which no other has.
type request struct {
	user  string
	price int64
}

// freshness has a user's listings as a log that only grows: the output of a
// request is how long the log was or became.
var freshness = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		byUser := map[string][]porcupine.Operation{}
		for _, op := range history {
			user := op.Input.(request).user
			byUser[user] = append(byUser[user], op)
		}
		return slices.Collect(maps.Values(byUser))
	},
	Init: func() any { return 0 },
	Step: func(state, input, output any) (bool, any) {
		length := state.(int)
		if input.(request).price > 0 {
			length++
		}
		return output.(int) == length, length
	},
}

// journal is what clients did and were told.
type journal struct {
	clock atomic.Int64 // orders beginnings and ends as no wall clock does

	mu sync.Mutex
	// The outputs of reads are prices, newest first.
	reads []porcupine.Operation
	// created are acknowledged; untold may have been, or may be yet.
	created, untold []porcupine.Operation
	failed          int // reads, which tell nothing
}

// history is what porcupine can judge. The prices that each user has in the
// end, oldest first, are the order in which the creations have to have taken
// effect, and the only one that need be tried.
func (j *journal) history(t *testing.T, inTheEnd map[string][]int64) []porcupine.Operation {
	var h []porcupine.Operation
	for _, op := range j.created {
		in := op.Input.(request)
		at := slices.Index(inTheEnd[in.user], in.price)
		if at < 0 {
			t.Errorf("%v was acknowledged and is lost", in)
		}
		op.Output = at + 1
		h = append(h, op)
	}
	for _, op := range j.untold {
		in := op.Input.(request)
		if at := slices.Index(inTheEnd[in.user], in.price); at >= 0 {
			op.Output, op.Return = at+1, math.MaxInt64 // at an unknown time
			h = append(h, op)
		}
	}
	for _, op := range j.reads {
		page, log := op.Output.([]int64), inTheEnd[op.Input.(request).user]
		length := 0
		if len(page) > 0 {
			length = slices.Index(log, page[0]) + 1
		}
		want := slices.Clone(log[max(0, length-pageSize):length])
		slices.Reverse(want)
		if !slices.Equal(page, want) { // which is worse than stale
			t.Errorf("user %s has never had just %d: %d in the end", op.Input.(request).user, page, log)
		}
		op.Output = length
		h = append(h, op)
	}
	return h
}

var pricePattern = regexp.MustCompile(`"price":(\d+)`)

// prices returns the prices in a response, in their order.
func prices(body string) []int64 {
	out := []int64{}
	for _, m := range pricePattern.FindAllStringSubmatch(body, -1) {
		price, _ := strconv.ParseInt(m[1], 10, 64)
		out = append(out, price)
	}
	return out
}

// allPrices asks the listing service itself for a user's prices, oldest first.
func allPrices(t *testing.T, listingService, user string) []int64 {
	t.Helper()
	all := []int64{}
	for num := 1; ; num++ {
		some := prices(get(t, fmt.Sprintf("%s/listings?page_num=%d&page_size=100&user_id=%s", listingService, num, user)).body)
		if len(some) == 0 {
			slices.Reverse(all)
			return all
		}
		all = append(all, some...)
	}
}

// readings ask a public layer for the newest listings of user U, the first of
// them most often: then requests are shared.
var readings = []string{
	"/public-api/listings?page_size=5&user_id=U",
	"{ listings(pageSize: 5, userId: U) { price } }",
	"{ listings(pageSize: 5, userId: U) { price user { name } } }",
	"{ user(id: U) { listings(first: 5) { price } } }",
	"{ listingsConnection(first: 5, filter: {userId: U}) { nodes { price } } }",
}

// read reads from the public layer at an address.
func (j *journal) read(ctx context.Context, layer, user string) {
	how := strings.ReplaceAll(readings[rand.IntN(1+rand.IntN(len(readings)))], "U", user)
	if how[0] == '{' {
		how = "/graphql?query=" + url.QueryEscape(how)
	}
	began := j.clock.Add(1)
	body, ok := send(ctx, "GET", layer+how, "", "")
	ended := j.clock.Add(1)
	// REST shows listings whose users cannot be had, with "errors".
	found := strings.HasPrefix(body, `{"result":true`) || !strings.Contains(body, `"errors"`)
	j.mu.Lock()
	defer j.mu.Unlock()
	if !ok || !found {
		j.failed++
		return
	}
	j.reads = append(j.reads, porcupine.Operation{Input: request{user, 0}, Call: began, Output: prices(body), Return: ended})
}

// create creates at the public layer at an address, or at the listing service.
func (j *journal) create(ctx context.Context, layer, listingService, user string, price int64) {
	began := j.clock.Add(1)
	var body string
	var ok bool
	switch rand.IntN(4) {
	case 0:
		body, ok = send(ctx, "POST", layer+"/public-api/listings", "application/json",
			fmt.Sprintf(`{"user_id":%s,"listing_type":"rent","price":%d}`, user, price))
	case 1:
		body, ok = send(ctx, "POST", layer+"/graphql", "application/json", fmt.Sprintf(`{"query":%q}`,
			fmt.Sprintf("mutation { createListing(input: {userId: %s, listingType: RENT, price: %d}) { listing { price } } }", user, price)))
	default:
		body, ok = send(ctx, "POST", listingService+"/listings", "application/x-www-form-urlencoded",
			fmt.Sprintf("user_id=%s&listing_type=rent&price=%d", user, price))
	}
	ended := j.clock.Add(1)
	op := porcupine.Operation{Input: request{user, price}, Call: began, Return: ended}
	j.mu.Lock()
	defer j.mu.Unlock()
	if ok && slices.Equal(prices(body), []int64{price}) {
		j.created = append(j.created, op)
	} else {
		j.untold = append(j.untold, op)
	}
}

// send returns the body of a successful response.
func send(ctx context.Context, method, target, contentType, body string) (response string, ok bool) {
	req, err := http.NewRequestWithContext(ctx, method, target, strings.NewReader(body))
	if err != nil {
		return "", false
	}
	req.Header.Set("Content-Type", contentType)
	resp, err := client.Do(req)
	if err != nil {
		return "", false
	}
	defer resp.Body.Close()
	read, err := io.ReadAll(resp.Body)
	return string(read), err == nil && resp.StatusCode == http.StatusOK
}

// shaky passes calls to a service, and loses or delays some of them.
func shaky(service http.Handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		fate := rand.IntN(50)
		switch fate {
		case 0:
			fakebackend.Cut(w, r)
		case 1, 2, 3:
			time.Sleep(rand.N(5 * time.Millisecond))
		}
		kept := httptest.NewRecorder()
		service.ServeHTTP(kept, r)
		switch fate {
		case 4: // done, but the response is lost
			fakebackend.Cut(w, r)
		case 5:
			fakebackend.Half(w, r)
		case 6: // longer than requests wait for the call before theirs
			time.Sleep(70 * time.Millisecond)
		}
		// What was read is handed out late, which makes joining stale.
		time.Sleep(rand.N(3 * time.Millisecond))
		pass(w, kept)
	}
}

func pass(w http.ResponseWriter, kept *httptest.ResponseRecorder) {
	maps.Copy(w.Header(), kept.Header())
	w.WriteHeader(kept.Code)
	_, _ = w.Write(kept.Body.Bytes())
}

// joining stands before a public layer and lets a GET join the same GET under
// way, as many a gateway does.
func joining(t *testing.T, layer string) string {
	next := fakebackend.ProxyURL(t, layer)
	var mu sync.Mutex
	inFlight := map[string]func() *httptest.ResponseRecorder{}
	return fakebackend.NewProxy(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			next.ServeHTTP(w, r)
			return
		}
		request := r.URL.String()
		mu.Lock()
		call := inFlight[request]
		if call == nil {
			ask := r.Clone(context.WithoutCancel(r.Context()))
			call = sync.OnceValue(func() *httptest.ResponseRecorder {
				defer func() {
					mu.Lock()
					delete(inFlight, request)
					mu.Unlock()
				}()
				kept := httptest.NewRecorder()
				next.ServeHTTP(kept, ask)
				return kept
			})
			inFlight[request] = call
		}
		mu.Unlock()
		pass(w, call())
	})).URL
}

// TestReadsSeeAcknowledgedWrites lets clients of two public layers and of the
// listing service behind them create and read at the same time, while calls
// between the services get lost.
func TestReadsSeeAcknowledgedWrites(t *testing.T) {
	const clients, rounds, users, enough = 16, 60, 2, 10 * time.Second
	s := startProxied(t)
	layers := []string{s.url, startPublic(t, s.listings, s.users, "--user-cache-size", "100").url}
	userIDs := make([]string, 2*users)
	for i := range userIDs {
		userIDs[i] = s.addUser(t, "Grace")
	}
	s.listings.Instead(shaky(fakebackend.ProxyURL(t, s.listingService.url)))
	s.users.Instead(shaky(fakebackend.ProxyURL(t, s.userService.url)))

	hammer := func(t *testing.T, layers, users []string) (*journal, []porcupine.Operation, porcupine.CheckResult) {
		j := &journal{}
		var lastPrice atomic.Int64
		s.listings.Calls()
		var wg sync.WaitGroup
		for range clients {
			wg.Go(func() {
				for range rounds {
					ctx, cancel := t.Context(), func() {}
					if rand.IntN(10) == 0 { // gives up when it takes too long
						ctx, cancel = context.WithTimeout(ctx, rand.N(6*time.Millisecond))
					}
					layer, user := layers[rand.IntN(len(layers))], users[rand.IntN(len(users))]
					if rand.IntN(4) == 0 {
						j.create(ctx, layer, s.listings.URL, user, lastPrice.Add(1))
					} else {
						j.read(ctx, layer, user)
					}
					cancel()
				}
			})
		}
		wg.Wait()
		inTheEnd := map[string][]int64{}
		for _, u := range users {
			inTheEnd[u] = allPrices(t, s.listingService.url, u)
		}
		h := j.history(t, inTheEnd)
		began := time.Now()
		said := porcupine.CheckOperationsTimeout(freshness, h, enough)
		t.Logf("%d reads and %d failed, %d creations and %d untold, %d calls of the listing service: %s, in %s",
			len(j.reads), j.failed, len(j.created), len(j.untold), len(s.listings.Calls()), said, time.Since(began).Round(time.Millisecond))
		return j, h, said
	}

	j, h, said := hammer(t, layers, userIDs[:users])
	if said != porcupine.Ok {
		_, info := porcupine.CheckOperationsVerbose(freshness, h, enough)
		picture := filepath.Join(t.ArtifactDir(), "history.html")
		t.Errorf("the history is %s; go test -artifacts keeps a picture of it: %s, %v", said, picture, porcupine.VisualizePath(freshness, info, picture))
	}
	if len(j.reads) < j.failed || len(j.created) < len(j.untold) {
		t.Errorf("%d reads and %d failed, %d creations and %d untold", len(j.reads), j.failed, len(j.created), len(j.untold))
	}

	// The same check catches joining, so it can fail.
	for i, url := range layers {
		layers[i] = joining(t, url)
	}
	if _, _, said := hammer(t, layers, userIDs[users:]); said != porcupine.Illegal {
		t.Errorf("joining requests in flight is %s", said)
	}
}
