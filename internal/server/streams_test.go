package server

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/veranda-go/veranda/internal/http1"
	"github.com/veranda-go/veranda/internal/httpapi"
	"github.com/veranda-go/veranda/internal/requestid"
)

const writeLimit = time.Second

// impatient returns a server whose limits are short enough for a test.
func impatient(t *testing.T, standard bool, routes func(chi.Router)) *Server {
	t.Helper()
	s, err := New("listing-service", "127.0.0.1:0", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	r := httpapi.NewRouter()
	routes(r)
	h := s.newHTTP(r)
	h.ReadHeaderTimeout = 100 * time.Millisecond
	h.ReadTimeout = 200 * time.Millisecond
	h.WriteTimeout = writeLimit
	h.IdleTimeout = 200 * time.Millisecond
	if s.http = h; !standard {
		s.http = http1.NewServer(h)
	}
	go s.http.Serve(s.listener)
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// TestSlowClients tests that a client that is slow at any step is disconnected.
func TestSlowClients(t *testing.T) { eachHTTP(t, testSlowClients) }

func testSlowClients(t *testing.T, standard bool) {
	large := []byte(strings.Repeat("x", 32<<20)) // more than the sockets between hold
	s := impatient(t, standard, func(r chi.Router) {
		r.Post("/read", httpapi.Handle(slog.New(slog.DiscardHandler), func(w http.ResponseWriter, r *http.Request) error {
			if _, err := httpapi.ReadBody(w, r, "application/json"); err != nil {
				return err
			}
			writeOK(w)
			return nil
		}))
		r.Get("/large", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write(large)
		})
	})
	const post = "POST /read HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
	for _, test := range []struct {
		name, begin, drop string // what is sent at once, and then repeatedly
		response          string // how the response begins
		read              bool
	}{
		{"sends nothing", "", "", "", true},
		{"endless request line", "GET /", "x", "", true},
		{"endless header", post + "X: ", "x", "", true},
		{"drips its body", post + "Content-Length: 60000\r\n\r\n", "x", "HTTP/1.1 400", true},
		{"drips chunks", post + "Transfer-Encoding: chunked\r\n\r\n", "1\r\nx\r\n", "HTTP/1.1 400", true},
		{"sends no body", post + "Content-Length: 60000\r\n\r\n", "", "HTTP/1.1 400", true},
		{"does not read", "GET /large HTTP/1.1\r\nHost: x\r\n\r\n", "", "HTTP/1.1 200", false},
		{"stays after a response", "GET /none HTTP/1.1\r\nHost: x\r\n\r\n", "", "HTTP/1.1 404", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			conn, err := net.Dial("tcp", s.listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			io.WriteString(conn, test.begin)
			if !test.read {
				time.Sleep(3 * writeLimit) // not reading
			}
			stop := make(chan struct{})
			defer close(stop)
			go func() {
				for test.drop != "" {
					if _, err := io.WriteString(conn, test.drop); err != nil {
						return
					}
					select {
					case <-stop:
						return
					case <-time.After(5 * time.Millisecond):
					}
				}
			}()
			conn.SetReadDeadline(time.Now().Add(20 * time.Second))
			response, err := io.ReadAll(conn)
			if e, ok := err.(net.Error); ok && e.Timeout() {
				t.Errorf("not disconnected within 20 s; so far %.40q", response)
			}
			if !strings.HasPrefix(string(response), test.response) && err == nil { // a reset may overtake the response
				t.Errorf("%.60q, want %q", response, test.response)
			}
			if len(response) >= len(large) {
				t.Error("all of a large response was buffered for a client that did not read it")
			}
		})
	}
}

// TestStreamsOutliveLimits sends events for longer than any limit of a request,
// until the server stops.
func TestStreamsOutliveLimits(t *testing.T) { eachHTTP(t, testStreamsOutliveLimits) }

func testStreamsOutliveLimits(t *testing.T, standard bool) {
	const count = 20
	ended := make(chan struct{})
	s := impatient(t, standard, func(r chi.Router) {
		r.Get("/stream", func(w http.ResponseWriter, r *http.Request) {
			defer close(ended)
			e := httpapi.NewEvents(w, r, httpapi.StreamLimits{KeepAlive: time.Minute, Write: time.Minute})
			defer e.Close()
			if _, limited := e.Done.Deadline(); limited {
				t.Error("a stream has a request's deadline")
			}
			if requestid.From(e.Done) == "" {
				t.Error("a stream has no request id")
			}
			for i := range count {
				time.Sleep(50 * time.Millisecond)
				if !e.Send("n", fmt.Sprint(i), func(b []byte) []byte { return append(b, "{}"...) }) {
					t.Errorf("closed at event %d", i)
					return
				}
			}
			<-e.Done.Done()
			if e.Send("late", "", nil) {
				t.Error("sent after the end")
			}
		})
	})
	resp, err := http.Get(s.URL() + "/stream")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	want := ":\n\n"
	for i := range count {
		want += fmt.Sprintf("event: n\nid: %d\ndata: {}\n\n", i)
	}
	got := make([]byte, len(want))
	if _, err := io.ReadFull(resp.Body, got); err != nil || string(got) != want {
		t.Fatalf("%q, %v", got, err)
	}
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
	<-ended
	if rest, err := io.ReadAll(resp.Body); err != nil || len(rest) > 0 {
		t.Errorf("after the end: %q, %v", rest, err)
	}
}

// TestStreamWithoutServer tests a stream outside of a server.
func TestStreamWithoutServer(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	r, _ := http.NewRequestWithContext(ctx, "GET", "/", nil)
	stream, drain, done, _ := httpapi.Stream(nil, r)
	if stream.Err() != nil || drain.Err() != nil {
		t.Error("ended at once")
	}
	cancel()
	<-stream.Done()
	done()
}
