package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/veranda-go/veranda/internal/apierror"
	"github.com/veranda-go/veranda/internal/httpapi"
)

// running starts a server with the routes that routes adds.
func running(t *testing.T, standard bool, log *slog.Logger, ready func(context.Context) error, routes func(chi.Router)) *Server {
	t.Helper()
	s, err := New("listing-service", "127.0.0.1:0", log)
	if err != nil {
		t.Fatal(err)
	}
	r := httpapi.NewRouter()
	s.Health(r)
	routes(r)
	s.Standard = standard
	s.Start(r, ready)
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	return s
}

// eachHTTP runs a test with both implementations of HTTP/1.1: an operator may
// choose either.
func eachHTTP(t *testing.T, test func(t *testing.T, standard bool)) {
	t.Parallel()
	for name, standard := range map[string]bool{"fast": false, "std": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, standard)
		})
	}
}

func ready(context.Context) error { return nil }

// do returns the response to a GET and its body.
func do(t *testing.T, url string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

func wantResponse(t *testing.T, url string, status int, body string) {
	t.Helper()
	if resp, got := do(t, url); resp.StatusCode != status || got != body {
		t.Errorf("%s: %d %s, want %d %s", url, resp.StatusCode, got, status, body)
	}
}

const (
	ok       = `{"result":true}`
	internal = `{"result":false,"errors":["internal error"]}`
)

func TestHealth(t *testing.T) {
	t.Parallel()
	var database error
	s := running(t, false, slog.New(slog.DiscardHandler), func(ctx context.Context) error {
		if _, limited := ctx.Deadline(); !limited {
			t.Error("readiness has no deadline")
		}
		return database
	}, func(chi.Router) {})
	wantResponse(t, s.URL()+"/livez", 200, ok)
	wantResponse(t, s.URL()+"/readyz", 200, ok)
	for _, test := range []struct {
		err  error
		body string
	}{
		{errors.New("dial tcp 10.0.0.1: no route"), internal},
		{apierror.New(apierror.Unavailable, "database unavailable"), `{"result":false,"errors":["database unavailable"]}`},
		{context.DeadlineExceeded, `{"result":false,"errors":["deadline passed"]}`},
	} {
		database = test.err
		wantResponse(t, s.URL()+"/readyz", 503, test.body)
		if resp, _ := do(t, s.URL()+"/readyz"); resp.Header.Get("Retry-After") == "" {
			t.Errorf("%v: no Retry-After", test.err)
		}
		wantResponse(t, s.URL()+"/livez", 200, ok) // else an orchestrator restarts the service for a failure of its database
	}
}

// TestDrain tests that /readyz fails while other requests are served, and that then
// the listener closes while a request in progress is served.
func TestDrain(t *testing.T) { eachHTTP(t, testDrain) }

func testDrain(t *testing.T, standard bool) {
	begun, leave := make(chan struct{}), make(chan struct{})
	s := running(t, standard, slog.New(slog.DiscardHandler), ready, func(r chi.Router) {
		r.Get("/fast", func(w http.ResponseWriter, _ *http.Request) { writeOK(w) })
		r.Get("/slow", func(w http.ResponseWriter, _ *http.Request) {
			close(begun)
			<-leave
			writeOK(w)
		})
	})
	s.Drain()
	wantResponse(t, s.URL()+"/readyz", 503, `{"result":false,"errors":["draining"]}`)
	wantResponse(t, s.URL()+"/livez", 200, ok)
	wantResponse(t, s.URL()+"/fast", 200, ok)

	var slow sync.WaitGroup
	slow.Go(func() {
		resp, err := http.Get(s.URL() + "/slow")
		if err != nil {
			t.Errorf("the request in progress failed: %v", err)
			return
		}
		defer resp.Body.Close()
		if body, err := io.ReadAll(resp.Body); err != nil || string(body) != ok {
			t.Errorf("the request in progress: %s, %v", body, err)
		}
	})
	<-begun
	stopped := make(chan error, 1)
	go func() { stopped <- s.Stop() }()
	for { // until the listener is closed
		conn, err := net.Dial("tcp", s.listener.Addr().String())
		if err != nil {
			break
		}
		conn.Close()
	}
	select {
	case err := <-stopped:
		t.Errorf("Stop did not wait for the request in progress: %v", err)
	default:
	}
	close(leave)
	slow.Wait()
	if err := <-stopped; err != nil {
		t.Errorf("stop: %v", err)
	}
	select {
	case err := <-s.Failed():
		t.Errorf("Stop is a failure: %v", err)
	default:
	}
}

func TestPanic(t *testing.T) { eachHTTP(t, testPanic) }

func testPanic(t *testing.T, standard bool) {
	var log safeBuilder
	s := running(t, standard, slog.New(slog.NewTextHandler(&log, nil)), ready, func(r chi.Router) {
		r.Get("/before", func(http.ResponseWriter, *http.Request) { panic("secret") })
		r.Get("/amid", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"result":true,`)
			panic("secret")
		})
		r.Get("/flushed", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"result":true,`)
			if err := http.NewResponseController(w).Flush(); err != nil {
				t.Errorf("flush: %v", err)
			}
			panic("secret")
		})
		r.Get("/abort", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	})
	resp, body := do(t, s.URL()+"/before")
	if resp.StatusCode != 500 || body != internal || resp.Header.Get("Content-Type") != "application/json" {
		t.Errorf("panic: %d %q %s", resp.StatusCode, resp.Header.Get("Content-Type"), body)
	}
	// On a reused connection a client may retry.
	once := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for _, route := range []string{"/amid", "/flushed", "/abort"} {
		resp, err := once.Get(s.URL() + route)
		if err != nil {
			continue
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err == nil {
			t.Errorf("%s: %d %s looks like a whole response", route, resp.StatusCode, body)
		}
	}
	wantResponse(t, s.URL()+"/livez", 200, ok) // the service still runs
	if got := strings.Count(log.String(), "panic: secret"); got != 3 {
		t.Errorf("%d panics are logged, want 3:\n%s", got, log.String())
	}
	if !strings.Contains(log.String(), "server_test.go") {
		t.Error("the log has no stack")
	}
}

// safeBuilder is a log that is read while it is written.
type safeBuilder struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *safeBuilder) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *safeBuilder) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// TestRequestDeadline lets a request wait until its deadline, on a clock that
// jumps there.
func TestRequestDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &Server{log: slog.New(slog.DiscardHandler)}
		start := time.Now()
		h := s.begin(httpapi.Handle(s.log, func(_ http.ResponseWriter, r *http.Request) error {
			<-r.Context().Done()
			return fmt.Errorf("waiting: %w", r.Context().Err())
		}))
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), "GET", "/", nil))
		if want := `{"result":false,"errors":["deadline passed"]}`; rec.Code != 504 || rec.Body.String() != want {
			t.Errorf("%d %s, want 504 %s", rec.Code, rec.Body, want)
		}
		// The server closes the connection at writeTimeout: the response must be sent by then.
		if took := time.Since(start); took != httpapi.RequestTimeout || took >= writeTimeout {
			t.Errorf("responded after %v, want %v, before %v", took, httpapi.RequestTimeout, writeTimeout)
		}
	})
}

// TestHeaderSize sends the longest request line of a batch, and a longer one.
func TestHeaderSize(t *testing.T) { eachHTTP(t, testHeaderSize) }

func testHeaderSize(t *testing.T, standard bool) {
	s := running(t, standard, slog.New(slog.DiscardHandler), ready, func(r chi.Router) {
		r.Get("/batch", func(w http.ResponseWriter, _ *http.Request) { writeOK(w) })
	})
	wantResponse(t, s.URL()+"/batch?"+strings.Repeat("user_id=9223372036854775807&", 1000), 200, ok)
	if resp, _ := do(t, s.URL()+"/batch?"+strings.Repeat("x", 100<<10)); resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("100 KB of header: %d, want 431", resp.StatusCode)
	}
}

func TestListen(t *testing.T) {
	t.Parallel()
	log := slog.New(slog.DiscardHandler)
	first, err := New("listing-service", "127.0.0.1:0", log)
	if err != nil {
		t.Fatal(err)
	}
	addr := strings.TrimPrefix(first.URL(), "http://")
	if strings.HasSuffix(addr, ":0") {
		t.Errorf("URL %s has no port", first.URL())
	}
	if _, err := New("user-service", addr, log); err == nil || !strings.Contains(err.Error(), "user-service") || !strings.Contains(err.Error(), addr+" is in use") {
		t.Errorf("a second listener: %v, want an error that names the service and the address", err)
	}
	if err := first.Stop(); err != nil { // though it never started
		t.Errorf("stop: %v", err)
	}
	again, err := New("user-service", addr, log)
	if err != nil {
		t.Fatalf("the address is not free after Stop: %v", err)
	}
	if err := again.Stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
	for _, addr := range []string{"127.0.0.1:x", "127.0.0.1:99999", "no port"} {
		if _, err := New("user-service", addr, log); err == nil {
			t.Errorf("listened on %q", addr)
		}
	}
	all, err := New("public-api", ":0", log)
	if err != nil {
		t.Fatal(err)
	}
	defer all.Stop()
	if !strings.HasPrefix(all.URL(), "http://localhost:") {
		t.Errorf("URL %s of all addresses cannot be opened", all.URL())
	}
}

// TestFailed breaks the listener of a running server.
func TestFailed(t *testing.T) { eachHTTP(t, testFailed) }

func testFailed(t *testing.T, standard bool) {
	s := running(t, standard, slog.New(slog.DiscardHandler), ready, func(chi.Router) {})
	s.listener.Close()
	if err := <-s.Failed(); err == nil || !strings.Contains(err.Error(), "listing-service") {
		t.Errorf("error %v, want one that names the service", err)
	}
}
