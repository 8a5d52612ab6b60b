package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/veranda-go/veranda/internal/testenv"
)

// The feed of new listings, read through every API by clients that come and
// go, while the processes behind it do so too.

// TestFeedIsWhole: whatever stops and starts, each subscriber sees each
// listing once, in the order of ids.
func TestFeedIsWhole(t *testing.T) {
	t.Run("SQLite", func(t *testing.T) {
		wholeFeed(t, "sqlite:"+filepath.Join(t.TempDir(), "listings.db"), 2000, 3)
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		wholeFeed(t, testenv.Postgres(t), 400, 1)
	})
}

// feedWriters create at once, feedUsers are whom they create for.
const (
	feedWriters     = 4
	feedUsers       = 3
	feedSubscribers = 48
)

func wholeFeed(t *testing.T, databaseURL string, reconnects int64, restarts int) {
	if testing.Short() {
		reconnects, restarts = reconnects/10, 1
	}
	listing := startSteady(t, "listing-service", "--database-url", databaseURL)
	user := start(t, "user-service", "--database-url", "sqlite:"+filepath.Join(t.TempDir(), "users.db"))
	var public [2]*steady
	var urls [2]string
	for i := range public {
		public[i] = startSteady(t, "public-api", "--listing-service-url", listing.url, "--user-service-url", user.url)
		urls[i] = public[i].url
	}
	for range feedUsers {
		public[0].addUser(t, "Grace")
	}
	before := ours()

	var created sync.Map // id → user's id
	writing, stopWriting := context.WithCancel(t.Context())
	var writers sync.WaitGroup
	for w := range feedWriters {
		writers.Go(func() {
			for n := 0; writing.Err() == nil; n++ {
				userID := int64(rand.N(feedUsers) + 1)
				id := createSurely(t, urls[:], userID, fmt.Sprintf("writer-%d-%d", w, n))
				if _, twice := created.LoadOrStore(id, userID); twice {
					t.Errorf("listing %d was given to two creations", id)
				}
				time.Sleep(rand.N(100 * time.Millisecond))
			}
		})
	}

	var (
		whole    atomic.Pointer[map[int64][]int64] // by user's id, when writing has ended
		everyone sync.WaitGroup
	)
	reading, stopReading := context.WithCancel(t.Context())
	subscribers := make([]*subscriber, feedSubscribers)
	for i := range subscribers {
		// Half of them follow all users.
		s := &subscriber{t: t, connect: transports[i%len(transports)], userID: max(0, int64(i/len(transports)%(2*feedUsers)-feedUsers+1)), cursor: beginning}
		subscribers[i] = s
		everyone.Go(func() {
			for reading.Err() == nil {
				if want := whole.Load(); want != nil && len(s.seen) >= len((*want)[s.userID]) {
					return
				}
				s.visit(reading, urls[rand.N(len(urls))])
			}
		})
	}
	total := func() (n int64) {
		for _, s := range subscribers {
			n += s.connected.Load()
		}
		return n - feedSubscribers
	}

	began := time.Now()
	limit := began.Add(2 * time.Minute)
	for i := range restarts {
		// One after the other, spread over the time that the clients need.
		for _, p := range []*steady{public[0], listing, public[1]} {
			for share := reconnects * int64(i+1) / int64(restarts+1); total() < share && time.Now().Before(limit); {
				time.Sleep(20 * time.Millisecond)
			}
			p.restart()
		}
	}
	for total() < reconnects && time.Now().Before(limit) {
		time.Sleep(20 * time.Millisecond)
	}
	stopWriting()
	writers.Wait()
	want := map[int64][]int64{}
	created.Range(func(id, userID any) bool {
		want[0] = append(want[0], id.(int64))
		want[userID.(int64)] = append(want[userID.(int64)], id.(int64))
		return true
	})
	for _, ids := range want {
		slices.Sort(ids)
	}
	whole.Store(&want)
	late := time.AfterFunc(30*time.Second, stopReading)
	everyone.Wait()
	late.Stop()
	stopReading()

	lost, repeated, disordered, seen := 0, 0, 0, 0
	for _, s := range subscribers {
		seen += len(s.seen)
		if !slices.IsSorted(s.seen) {
			disordered++
		}
		slices.Sort(s.seen)
		once := slices.Compact(slices.Clone(s.seen))
		repeated += len(s.seen) - len(once)
		for _, id := range want[s.userID] {
			if _, ok := slices.BinarySearch(once, id); !ok {
				lost++
			}
		}
		if len(once) > len(want[s.userID]) {
			t.Errorf("%d listings for user %d, who has %d", len(once), s.userID, len(want[s.userID]))
		}
	}
	t.Logf("%d listings, %d subscribers, %d reconnects in %s, %d restarts of each of 3 processes: %d events, lost %d, repeated %d, out of order %d",
		len(want[0]), feedSubscribers, total(), time.Since(began).Round(time.Second), restarts, seen, lost, repeated, disordered)
	if lost+repeated+disordered > 0 {
		t.Error("the feed is not whole")
	}
	if total() < reconnects {
		t.Errorf("only %d reconnects within two minutes", total())
	}
	nothingStays(t, before)
}

// steady is a program that keeps its port when it is started again.
type steady struct {
	*program
	restart func()
}

func startSteady(t *testing.T, args ...string) *steady {
	t.Helper()
	args = append(args, "--port", steadyPort(t))
	s := &steady{program: start(t, args...)}
	s.restart = func() {
		t.Helper()
		if err := s.stop(); err != nil {
			t.Errorf("%v: %v", args, err)
		}
		s.program = start(t, args...)
	}
	return s
}

// steadyPort gives a free port below those that systems hand out to callers:
// such a one could be taken while its program is away.
func steadyPort(t *testing.T) string {
	t.Helper()
	for range 100 {
		port := strconv.Itoa(20000 + rand.N(10000))
		if l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", port)); err == nil {
			l.Close()
			return port
		}
	}
	t.Fatal("no free port")
	return ""
}

// createSurely repeats a creation, with its key, until it is answered.
func createSurely(t *testing.T, urls []string, userID int64, key string) (id int64) {
	body := fmt.Sprintf(`{"user_id":%d,"listing_type":"rent","price":%d}`, userID, 1000+userID)
	for try := 0; ; try++ {
		req, _ := http.NewRequest("POST", urls[rand.N(len(urls))]+"/public-api/listings", strings.NewReader(body))
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Idempotency-Key", key)
		answer, status := struct{ Listing struct{ ID int64 } }{}, 0
		if resp, err := client.Do(req); err == nil {
			err = json.NewDecoder(resp.Body).Decode(&answer)
			resp.Body.Close()
			if err == nil {
				status = resp.StatusCode
			}
		}
		switch {
		case status == http.StatusOK:
			return answer.Listing.ID
		case status != 0 && status != http.StatusConflict && status != http.StatusServiceUnavailable, try == 1000:
			t.Errorf("%s: status %d", key, status)
			return 0
		}
		time.Sleep(30 * time.Millisecond)
	}
}

// beginning is the cursor in front of all listings.
var beginning = base64.RawURLEncoding.EncodeToString([]byte("feed1:0"))

// subscriber is a client that is interrupted all the time.
type subscriber struct {
	t         *testing.T
	connect   transport
	userID    int64 // 0 for all
	cursor    string
	seen      []int64
	connected atomic.Int64
}

// visit connects for a moment.
func (s *subscriber) visit(ctx context.Context, base string) {
	stay := rand.N(300 * time.Millisecond)
	if rand.N(10) == 0 {
		stay = rand.N(3 * time.Second)
	}
	ctx, leave := context.WithTimeout(ctx, stay)
	defer leave()
	err := s.connect(ctx, base, s.userID, s.cursor, func() { s.connected.Add(1) }, func(e feedEvent) {
		if e.owner == 0 || s.userID != 0 && e.owner != s.userID {
			s.t.Errorf("listing %d of user %d, asked for user %d", e.id, e.owner, s.userID)
		}
		s.seen, s.cursor = append(s.seen, e.id), e.cursor
	})
	if err != nil {
		s.t.Error(err)
	}
	time.Sleep(rand.N(20 * time.Millisecond))
}

type feedEvent struct {
	cursor    string
	id, owner int64
}

// transport reads the feed until ctx or the connection ends, which is no
// error. ready is told when the server has accepted the connection.
type transport func(ctx context.Context, base string, userID int64, after string, ready func(), take func(feedEvent)) error

var transports = []transport{overREST, overEvents, overSocket}

// streaming keeps no connection for later.
var streaming = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// overREST reads the REST stream as browsers do: the URL stays that of the
// beginning, and Last-Event-ID tells where they are.
func overREST(ctx context.Context, base string, userID int64, after string, ready func(), take func(feedEvent)) error {
	query := url.Values{"after": {beginning}}
	if userID != 0 {
		query.Set("user_id", fmt.Sprint(userID))
	}
	req, _ := http.NewRequestWithContext(ctx, "GET", base+"/public-api/listings/stream?"+query.Encode(), nil)
	req.Header.Set("Last-Event-ID", after)
	return readStream(req, ready, func(event, id, data string) error {
		var l struct {
			ID   int64
			User struct{ ID int64 }
		}
		if err := json.Unmarshal([]byte(data), &l); err != nil || event != "listing" || id == "" {
			return fmt.Errorf("event %q %q %s: %w", event, id, data, err)
		}
		take(feedEvent{id, l.ID, l.User.ID})
		return nil
	})
}

// followed is the subscription.
const followed = `subscription($user: ID, $after: String) {
	listingCreated(userId: $user, after: $after) { cursor listing { id user { id } } }
}`

func subscription(userID int64, after string) string {
	variables := map[string]any{"after": after}
	if userID != 0 {
		variables["user"] = fmt.Sprint(userID)
	}
	text, _ := json.Marshal(map[string]any{"query": followed, "variables": variables})
	return string(text)
}

func overEvents(ctx context.Context, base string, userID int64, after string, ready func(), take func(feedEvent)) error {
	req, _ := http.NewRequestWithContext(ctx, "POST", base+"/graphql", strings.NewReader(subscription(userID, after)))
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "text/event-stream")
	return readStream(req, ready, func(event, _, data string) error {
		if event == "complete" {
			return nil
		}
		return takeAnswer(data, take)
	})
}

func overSocket(ctx context.Context, base string, userID int64, after string, ready func(), take func(feedEvent)) error {
	conn, resp, err := websocket.Dial(ctx, base+"/graphql", &websocket.DialOptions{Subprotocols: []string{"graphql-transport-ws"}, HTTPClient: streaming})
	if err != nil {
		if resp != nil && resp.StatusCode < 500 {
			return err
		}
		return nil
	}
	defer conn.CloseNow()
	write := func(text string) { _ = conn.Write(ctx, websocket.MessageText, []byte(text)) } // reading tells if it failed
	write(`{"type":"connection_init"}`)
	for {
		_, text, err := conn.Read(ctx)
		if err != nil {
			return nil
		}
		var m struct {
			Type    string
			Payload json.RawMessage
		}
		if err := json.Unmarshal(text, &m); err != nil {
			return err
		}
		switch m.Type {
		case "connection_ack":
			ready()
			write(`{"id":"1","type":"subscribe","payload":` + subscription(userID, after) + `}`)
		case "next":
			err = takeAnswer(string(m.Payload), take)
		case "error":
			return takeAnswer(`{"errors":`+string(m.Payload)+`}`, take)
		case "complete":
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// takeAnswer reads a GraphQL answer. That a service is away is no error.
func takeAnswer(text string, take func(feedEvent)) error {
	var answer struct {
		Data struct {
			ListingCreated *struct {
				Cursor  string
				Listing struct {
					ID   int64 `json:",string"`
					User struct {
						ID int64 `json:",string"`
					}
				}
			}
		}
		Errors []graphError
	}
	if err := json.Unmarshal([]byte(text), &answer); err != nil {
		return err
	}
	e := answer.Data.ListingCreated
	switch {
	case e == nil && len(answer.Errors) == 1 && answer.Errors[0].code() == "UNAVAILABLE":
		return nil
	case e == nil || answer.Errors != nil:
		return errors.New(text)
	}
	take(feedEvent{e.Cursor, e.Listing.ID, e.Listing.User.ID})
	return nil
}

// readStream reads server-sent events as the HTML standard has it, as far as
// ours go. An event that is cut off is none.
func readStream(req *http.Request, ready func(), take func(event, id, data string) error) error {
	resp, err := streaming.Do(req)
	if err != nil {
		return nil
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusServiceUnavailable:
		return nil
	default:
		text, _ := io.ReadAll(resp.Body)
		return fmt.Errorf("%s: %s", resp.Status, text)
	}
	ready()
	var event, id, data string
	lines := bufio.NewReader(resp.Body)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return nil
		}
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		switch name {
		case "event":
			event = value
		case "id":
			id = value
		case "data":
			data = value
		case "":
			if event != "" {
				if err := take(event, id, data); err != nil {
					return err
				}
			}
			event, data = "", ""
		}
	}
}

// ours counts the goroutines that run our code or were begun by it, each kind
// by the function at its bottom.
func ours() map[string]int {
	var text bytes.Buffer
	_ = pprof.Lookup("goroutine").WriteTo(&text, 2)
	kinds := map[string]int{}
	for stack := range strings.SplitSeq(text.String(), "\n\n") {
		if strings.Contains(stack, "http1.(*conn).read(") {
			continue // waits for a request, as long as its client keeps it
		}
		calls := strings.Split(stack, "\n")
		for _, line := range slices.Backward(calls) {
			if !strings.HasPrefix(line, "\t") && strings.Contains(line, "veranda-go/veranda/") {
				name, _, _ := strings.Cut(strings.TrimPrefix(line, "created by "), " in goroutine")
				name, _, _ = strings.Cut(name, "({")
				name, _, _ = strings.Cut(name, "(0x")
				kinds[name]++
				break
			}
		}
	}
	return kinds
}

// nothingStays wants the goroutines of before, and no more, soon.
func nothingStays(t *testing.T, before map[string]int) {
	t.Helper()
	deadline := time.Now().Add(15 * time.Second)
	for {
		more := ""
		for name, n := range ours() {
			if n > before[name] {
				more += fmt.Sprintf("\n%s: %d, %d before", name, n, before[name])
			}
		}
		if more == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Errorf("these outlive their clients:%s", more)
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// TestFeedOfManyClients: with any number of clients, one request waits at the
// listing service, and none when they have left.
func TestFeedOfManyClients(t *testing.T) {
	const clients = 60
	s := startProxied(t)
	s.addUser(t, "Grace")
	s.addListing(t, "1", "rent", 1)
	before := ours()
	waiting := func() int {
		s.listings.Calls() // so that the most is what is under way now
		return s.listings.MostAtOnce()
	}
	for round := range 2 { // clients after the last one has left are served too
		ctx, leave := context.WithCancel(t.Context())
		defer leave()
		var ready, gone sync.WaitGroup
		var got atomic.Int64
		ready.Add(clients)
		for i := range clients {
			gone.Go(func() {
				if err := transports[i%len(transports)](ctx, s.url, 0, beginning, ready.Done, func(feedEvent) { got.Add(1) }); err != nil {
					t.Error(err)
				}
			})
		}
		ready.Wait()
		soon(t, "all have what there is", func() bool { return got.Load() == int64(clients*(round+1)) })
		soon(t, "one request waits", func() bool { return waiting() == 1 })
		s.addListing(t, "1", "rent", 1)
		soon(t, "all have the news", func() bool { return got.Load() == int64(clients*(round+2)) })
		asked := 0
		for _, c := range s.listings.Calls() {
			if c.Route == "GET /listings/feed" {
				asked++
			}
		}
		if asked > 5 {
			t.Errorf("the news of one listing took %d requests", asked)
		}
		leave()
		gone.Wait()
		soon(t, "nothing is asked any more", func() bool { return waiting() == 0 })
		nothingStays(t, before)
	}
}

func soon(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 30 s: %s", what)
		}
	}
}

// TestFeedRefusals asks for the feed wrongly, or of a service that has none.
func TestFeedRefusals(t *testing.T) {
	s := startProxied(t)
	encoded := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	for _, cursor := range []string{"x", "feed1:0", encoded("feed1:-1"), encoded("feed1:01"), encoded("feed1:+1"), encoded("feed1:"),
		encoded("feed1:9223372036854775808"), encoded("feed0:1"), encoded("feed2:1"), encoded("Listing:1"), beginning + "=", beginning + "\n"} {
		const message = "after: is not a cursor of this feed"
		wantReply(t, get(t, s.url+"/public-api/listings/stream?after="+url.QueryEscape(cursor)), http.StatusBadRequest, `{"result":false,"errors":["`+message+`"]}`)
		if !strings.Contains(cursor, "\n") {
			// The header is newer than the parameter, whatever that is.
			wantReply(t, do(t, "GET", s.url+"/public-api/listings/stream?after="+beginning, "", "Last-Event-ID", cursor),
				http.StatusBadRequest, `{"result":false,"errors":["`+message+`"]}`)
		}
		r := do(t, "POST", s.url+"/graphql", subscription(0, cursor), "Content-Type", "application/json", "Accept", "text/event-stream")
		if !strings.Contains(r.body, `"BAD_INPUT"`) || !strings.Contains(r.body, message) || strings.Contains(r.body, `"data":{`) {
			t.Errorf("%q: got %s", cursor, r.body)
		}
	}
	for query, want := range map[string]string{
		"?after=": "after: must not be empty", "?user_id=0": "user_id: must be at least 1", "?user_id=": "user_id: must be a whole number",
		"?after=" + beginning + "&after=" + beginning: "after: given more than once", "?user_id=1.5": "user_id: must be",
	} {
		if r := get(t, s.url+"/public-api/listings/stream"+query); r.status != http.StatusBadRequest || !strings.Contains(r.body, want) {
			t.Errorf("%s: got %d %s", query, r.status, r.body)
		}
	}

	f := startFake(t)
	for _, cursor := range []string{beginning, encoded("feed1:5")} {
		wantReply(t, get(t, f.url+"/public-api/listings/stream?after="+cursor), http.StatusNotImplemented,
			`{"result":false,"errors":["listingCreated: not supported by this backend"]}`)
		r := do(t, "POST", f.url+"/graphql", subscription(0, cursor), "Content-Type", "application/json", "Accept", "text/event-stream")
		if !strings.Contains(r.body, `"UNSUPPORTED"`) || !strings.Contains(r.body, "not supported by this backend") {
			t.Errorf("got %s", r.body)
		}
	}
	wantReply(t, get(t, f.url+"/public-api/listings/stream"), http.StatusNotImplemented,
		`{"result":false,"errors":["listingCreated: not supported by this backend"]}`)
}
