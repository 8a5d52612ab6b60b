package rest

import (
	"bufio"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"runtime/pprof"
	"strings"
	"testing"
	"time"

	"github.com/veranda-go/veranda/internal/fakebackend"
	"github.com/veranda-go/veranda/internal/httpapi"
)

// reader is a client of the stream.
type reader struct {
	*bufio.Reader
	t     *testing.T
	leave func()
}

func (b *testAPI) follow(t *testing.T, query string, header ...string) *reader {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	req, _ := http.NewRequestWithContext(ctx, "GET", b.url+"/public-api/listings/stream"+query, nil)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	leave := func() {
		cancel()
		resp.Body.Close()
	}
	t.Cleanup(leave)
	if resp.StatusCode != http.StatusOK || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") || resp.Header.Get("Cache-Control") != "no-store" {
		t.Fatalf("%d %v", resp.StatusCode, resp.Header)
	}
	return &reader{bufio.NewReader(resp.Body), t, leave}
}

// next returns the text of the next event, without comments.
func (r *reader) next() (text string) {
	r.t.Helper()
	for {
		line, err := r.ReadString('\n')
		switch {
		case err != nil:
			r.t.Fatal(err)
		case line == "\n" && text != "":
			return text
		case line != "\n" && line[0] != ':':
			text += line
		}
	}
}

func (r *reader) wants(want string) {
	r.t.Helper()
	if got := r.next(); !strings.Contains(got, want) {
		r.t.Errorf("got %q, want %q", got, want)
	}
}

func at(id int) string {
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "feed1:%d", id))
}

func TestStream(t *testing.T) {
	b := newTestAPI(t)
	b.fill(t, 4) // of users 1, 2, 3, 1
	fresh := b.follow(t, "")
	if got, want := fresh.next(), "event: start\nid: "+at(4)+"\ndata: \n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	back := b.follow(t, "?after="+at(2))
	back.wants("event: listing\nid: " + at(3) + "\ndata: {\"id\":3,\"listing_type\":\"rent\",\"price\":")
	back.wants("id: " + at(4) + "\n")
	// The header is newer than the URL.
	newer := b.follow(t, "?after="+at(0), "Last-Event-ID", at(3))
	newer.wants("id: " + at(4) + "\n")
	// An empty header does not count.
	empty := b.follow(t, "?after="+at(3), "Last-Event-ID", "")
	empty.wants("id: " + at(4) + "\n")
	second := b.follow(t, "?user_id=2&after="+at(0))
	second.wants("id: " + at(2) + "\n")
	ahead := b.follow(t, "?after="+at(5)) // a backend may be behind another one
	for _, userID := range []string{"1", "2"} {
		b.create(t, "/public-api/listings", `{"user_id":`+userID+`,"listing_type":"sale","price":77}`)
	}
	for _, r := range []*reader{fresh, back, newer, empty} {
		r.wants(`"price":77,`)
		r.wants("id: " + at(6) + "\n")
	}
	second.wants("id: " + at(6) + "\n")
	ahead.wants("id: " + at(6) + "\n")

	// A client that lost its connection before the first listing can resume.
	late := b.follow(t, "")
	_, id, _ := strings.Cut(late.next(), "id: ")
	id, _, _ = strings.Cut(id, "\n")
	late.leave()
	b.create(t, "/public-api/listings", `{"user_id":3,"listing_type":"sale","price":88}`)
	b.follow(t, "", "Last-Event-ID", id).wants(`"price":88,`)

	// A user that does not exist differs from one that cannot be loaded.
	alone := b.follow(t, "?after="+at(6))
	alone.wants(`"user":{"id":3,"name":"user 3",`)
	b.users.Instead(fakebackend.Cut)
	alone = b.follow(t, "?after="+at(6))
	alone.wants(`"user":null,"errors":["user service unavailable"]}` + "\n")
}

// TestStreamOfSlowClients tests that a client that does not read is disconnected,
// and that events are not buffered for it.
func TestStreamOfSlowClients(t *testing.T) {
	const clients = 5
	b := newTestAPI(t)
	b.fill(t, 0)
	b.handler.limits = httpapi.StreamLimits{KeepAlive: time.Minute, Write: 300 * time.Millisecond}
	// A feed that never ends.
	b.listings.Instead(func(w http.ResponseWriter, r *http.Request) {
		var after int64
		if _, err := fmt.Sscan(r.FormValue("after"), &after); err != nil {
			fmt.Fprint(w, `{"result":true,"listings":[],"last_id":1000000000}`)
			return
		}
		if r.FormValue("wait") != "" {
			<-r.Context().Done()
			return
		}
		text := []byte(`{"result":true,"listings":[`)
		for i := range int64(100) {
			if i > 0 {
				text = append(text, ',')
			}
			text = fmt.Appendf(text, `{"id":%d,"user_id":1,"listing_type":"rent","price":1,"created_at":1,"updated_at":1}`, after+1+i)
		}
		_, _ = w.Write(fmt.Appendf(text, `],"last_id":%d}`, after+100))
	})
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before, highest := heap(), int64(0)
	for range clients {
		conn, err := net.Dial("tcp", strings.TrimPrefix(b.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.(*net.TCPConn).SetReadBuffer(4096)
		_, _ = io.WriteString(conn, "GET /public-api/listings/stream?after="+at(0)+" HTTP/1.1\r\nHost: x\r\n\r\n")
	}
	streams := func() int {
		var text strings.Builder
		_ = pprof.Lookup("goroutine").WriteTo(&text, 2)
		return strings.Count(text.String(), "rest.(*Handler).stream(")
	}
	most := 0
	for deadline := time.Now().Add(30 * time.Second); most == 0 || streams() > 0; time.Sleep(50 * time.Millisecond) {
		most, highest = max(most, streams()), max(highest, heap())
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d streams are still open", streams(), most)
		}
	}
	calls := len(b.listings.Calls())
	t.Logf("%d clients, %d at once, %d calls for all, %d KiB more at most", clients, most, calls, (highest-before)>>10)
	if highest-before > clients<<20 {
		t.Errorf("%d KiB for %d clients that read nothing", (highest-before)>>10, clients)
	}
	time.Sleep(50 * time.Millisecond)
	if n := len(b.listings.Calls()); n > 0 {
		t.Errorf("%d calls for no client", n)
	}
}

// TestStreamHead tests that HEAD has the headers of a stream and ends.
func TestStreamHead(t *testing.T) {
	b := newTestAPI(t)
	resp, err := http.Head(b.url + "/public-api/listings/stream")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		t.Errorf("%d %v", resp.StatusCode, resp.Header)
	}
}
