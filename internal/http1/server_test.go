package http1

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// serve runs a server until the test ends and returns its address.
func serve(t *testing.T, s server) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var done sync.WaitGroup
	done.Go(func() {
		if err := s.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("serve: %v", err)
		}
	})
	t.Cleanup(func() {
		s.Close()
		done.Wait()
	})
	return ln.Addr().String()
}

// server is a *Server or an *http.Server.
type server interface {
	Serve(net.Listener) error
	Shutdown(context.Context) error
	Close() error
}

// eachServer runs a test with both servers: an operator may choose either.
func eachServer(t *testing.T, test func(t *testing.T, newServer func(*http.Server) server)) {
	t.Parallel()
	t.Run("fast", func(t *testing.T) {
		t.Parallel()
		test(t, func(h *http.Server) server { return NewServer(h) })
	})
	t.Run("std", func(t *testing.T) {
		t.Parallel()
		test(t, func(h *http.Server) server { return h })
	})
}

// quiet returns an http.Server that logs nothing.
func quiet(h http.HandlerFunc) *http.Server {
	return &http.Server{Handler: h, ErrorLog: log.New(io.Discard, "", 0), MaxHeaderBytes: 8 << 10}
}

// dial connects to addr. The connection lasts 20 seconds.
func dial(t *testing.T, addr string) (net.Conn, *bufio.Reader) {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	_ = nc.SetDeadline(time.Now().Add(20 * time.Second))
	return nc, bufio.NewReader(nc)
}

// echo responds with the request as the handler sees it, or as the path says.
func echo(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	w.Header().Set("Content-Type", "text/plain")
	large := []byte(strings.Repeat("0123456789abcdef", 10_000))
	rc := http.NewResponseController(w)
	switch r.URL.Path {
	case "/typeless":
		w.Header().Del("Content-Type")
		fmt.Fprint(w, "<html>")
	case "/empty":
	case "/none":
		w.WriteHeader(http.StatusNoContent)
	case "/unchanged":
		w.Header().Set("Etag", `"1"`)
		w.WriteHeader(http.StatusNotModified)
		_, err := w.Write([]byte("x"))
		if !errors.Is(err, http.ErrBodyNotAllowed) {
			panic(err)
		}
	case "/large":
		_, _ = w.Write(large)
	case "/announced":
		w.Header().Set("Content-Length", fmt.Sprint(2*len(large)))
		_, _ = w.Write(large)
		_, _ = w.Write(large)
	case "/short":
		w.Header().Set("Content-Length", "100000")
		_, _ = w.Write(large[:80_000])
	case "/long":
		w.Header().Set("Content-Length", "5")
		_, _ = w.Write(large[:5])
		if _, err := w.Write(large); !errors.Is(err, http.ErrContentLength) {
			panic(err)
		}
	case "/flushed":
		fmt.Fprint(w, "one")
		_ = rc.Flush()
		fmt.Fprint(w, "two")
	case "/cut":
		fmt.Fprint(w, "one")
		_ = rc.Flush()
		panic(http.ErrAbortHandler)
	case "/panic":
		panic("in the handler")
	case "/split":
		w.Header().Set("X-Text", "a\r\nX-Other: b")
	case "/twice":
		w.Header()["X-Text"] = []string{"a", "b"}
		w.WriteHeader(http.StatusTeapot)
		w.WriteHeader(http.StatusOK)
	case "/bye":
		w.Header().Set("Connection", "close")
	default:
		fmt.Fprintf(w, "%s %s %q %q %s\nhost %q length %d close %v body %q %v\n", r.Method, r.RequestURI, r.URL.Path, r.URL.RawQuery,
			r.Proto, r.Host, r.ContentLength, r.Close, body, err)
		for _, name := range slices.Sorted(maps.Keys(r.Header)) {
			fmt.Fprintf(w, "%s: %q\n", name, r.Header[name])
		}
	}
}

// requests are what clients send, attackers included.
var requests = []string{
	"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
	"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET /a/b.c?d=e&f=%20+ HTTP/1.1\r\nHost: a:80\r\nAccept: */*\r\naccept-encoding: gzip\r\nX-1:\t y \r\nAccept: b\r\n\r\n",
	"GET /%61%2f?%zz HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET /a? HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET //a/b HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET /a#b?c HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET /\x80 HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: a\r\nX: \x80\xff\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n",
	"GET / HTTP/1.1\r\nHost:\r\n\r\n",
	"GET / HTTP/1.1\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
	"GET http://b/c HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET / HTTP/1.0\r\n\r\n",
	"GET / HTTP/1.0\r\nConnection: keep-alive\r\nHost: a\r\n\r\n",
	"GET / HTTP/2.0\r\nHost: a\r\n\r\n",
	"GET /\r\n\r\n",
	"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
	"GET / HTTP/1.1\nHost: a\n\n",
	"GET / HTTP/1.1\r\nHost: a\r\nX : b\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: a\r\nX: b\x00c\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: a\r\nX: b\rc\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: a\r\nX!~: b\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: a\r\nConnection: Keep-Alive\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, close\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
	"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
	"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: a\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
	"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
	"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\nabc",
	"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 3\r\n\r\nabc",
	"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: x\r\nContent-Length: 3\r\n\r\nabc",
	"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc",
	"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n" + strings.Repeat("x", 200_000),
	"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n" + strings.Repeat("x", 100_000),
	"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
	"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
	"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n",
	"get / HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("x", 7_000) + "\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("x", 13_000) + "\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("x", 100_000) + "\r\n\r\n",
	"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\nPOST /3 HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nxGET /4 HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET /1 HTTP/1.1\r\nHost: a\r\n\r\nPUT /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nxGET /3 HTTP/1.1\r\nHost: a\r\n\r\n",
}

func init() {
	for _, path := range []string{
		"/typeless", "/empty", "/none", "/unchanged", "/large", "/announced", "/short", "/long", "/flushed", "/cut",
		"/panic", "/split", "/twice", "/bye",
	} {
		for _, method := range []string{"GET", "HEAD"} {
			requests = append(requests, method+" "+path+" HTTP/1.1\r\nHost: a\r\n\r\n")
		}
	}
}

// responses sends text and then a last request, and returns the responses as
// text.
func responses(t *testing.T, addr, text string) string {
	nc, br := dial(t, addr)
	go func() { _, _ = io.WriteString(nc, text+"GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n") }()
	method := "GET"
	if strings.HasPrefix(text, "HEAD") {
		method = "HEAD"
	}
	var got strings.Builder
	for {
		resp, err := http.ReadResponse(br, &http.Request{Method: method})
		if err != nil {
			got.WriteString("end\n")
			return got.String()
		}
		body, err := io.ReadAll(resp.Body)
		resp.Header.Del("Date")
		if method == "HEAD" || err == nil && (resp.ContentLength < 0 || resp.ContentLength == int64(len(body))) {
			// net/http buffers less before it sends in chunks, and then does not know
			// the length.
			resp.Header.Del("Content-Length")
		}
		method = "GET"
		fmt.Fprintf(&got, "%s %v close %v\n%s %v\n", resp.Status, resp.Header, resp.Close, body, err)
	}
}

// TestRespondsAsNetHTTP compares the responses of both servers.
func TestRespondsAsNetHTTP(t *testing.T) {
	t.Parallel()
	fast := serve(t, NewServer(quiet(echo)))
	std := serve(t, quiet(echo))
	for _, text := range requests {
		want := responses(t, std, text)
		if got := responses(t, fast, text); got != want {
			t.Errorf("%.200q:\ngot  %.2000s\nwant %.2000s", text, got, want)
		}
	}
}

// TestInPieces sends a request in two parts, cut at each byte.
func TestInPieces(t *testing.T) { eachServer(t, testInPieces) }

func testInPieces(t *testing.T, newServer func(*http.Server) server) {
	addr := serve(t, newServer(quiet(echo)))
	const text = "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
	nc, br := dial(t, addr)
	want := ""
	for cut := range len(text) {
		_, _ = io.WriteString(nc, text[:cut])
		time.Sleep(time.Millisecond)
		_, _ = io.WriteString(nc, text[cut:])
		resp, err := http.ReadResponse(br, nil)
		if err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		body, _ := io.ReadAll(resp.Body)
		if want == "" {
			want = string(body)
		}
		if resp.StatusCode != 200 || string(body) != want {
			t.Errorf("cut at %d: %d %s", cut, resp.StatusCode, body)
		}
	}
}

// TestSlowRequest sends the rest of a request after restTimeout, when the
// connection is net/http's.
func TestSlowRequest(t *testing.T) { eachServer(t, testSlowRequest) }

func testSlowRequest(t *testing.T, newServer func(*http.Server) server) {
	addr := serve(t, newServer(quiet(echo)))
	for _, text := range []string{"GET / HTTP/1.1\r\nHo|st: a\r\n\r\n", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\na|bc"} {
		nc, br := dial(t, addr)
		begin, rest, _ := strings.Cut(text, "|")
		_, _ = io.WriteString(nc, begin)
		time.Sleep(restTimeout + 2*tick)
		for _, text := range []string{rest, begin + rest} {
			_, _ = io.WriteString(nc, text)
			resp, err := http.ReadResponse(br, nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != 200 {
				t.Errorf("%d %v", resp.StatusCode, err)
			}
		}
	}
}

// TestClientDoesNotRead ends the connection of a client that sends requests and
// reads no response.
func TestClientDoesNotRead(t *testing.T) { eachServer(t, testClientDoesNotRead) }

func testClientDoesNotRead(t *testing.T, newServer func(*http.Server) server) {
	h := quiet(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 32<<10)) })
	h.WriteTimeout, h.IdleTimeout = 2*tick, time.Hour
	nc, _ := dial(t, serve(t, newServer(h)))
	for {
		_, err := io.WriteString(nc, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		if errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal("the connection is still open")
		}
		if err != nil {
			return
		}
	}
}

// TestClientDisconnects ends the context of a request whose client disconnects.
func TestClientDisconnects(t *testing.T) { eachServer(t, testClientDisconnects) }

func testClientDisconnects(t *testing.T, newServer func(*http.Server) server) {
	begun, ended := make(chan struct{}), make(chan struct{})
	addr := serve(t, newServer(quiet(func(_ http.ResponseWriter, r *http.Request) {
		close(begun)
		<-r.Context().Done()
		close(ended)
	})))
	nc, _ := dial(t, addr)
	_, _ = io.WriteString(nc, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	<-begun
	nc.Close()
	<-ended
}

// TestNextRequestWhileWatched sends a request during another one that takes so
// long that the connection is watched.
func TestNextRequestWhileWatched(t *testing.T) { eachServer(t, testNextRequestWhileWatched) }

func testNextRequestWhileWatched(t *testing.T, newServer func(*http.Server) server) {
	addr := serve(t, newServer(quiet(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			time.Sleep(4 * tick)
		}
		if err := r.Context().Err(); err != nil {
			t.Errorf("%s: %v", r.URL.Path, err)
		}
		_, _ = io.WriteString(w, r.URL.Path)
	})))
	nc, br := dial(t, addr)
	for range 2 {
		_, _ = io.WriteString(nc, "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
		time.Sleep(3 * tick)
		_, _ = io.WriteString(nc, "GET /next HTTP/1.1\r\nHost: a\r\n\r\n")
		for _, want := range []string{"/slow", "/next"} {
			resp, err := http.ReadResponse(br, nil)
			if err != nil {
				t.Fatal(err)
			}
			if body, err := io.ReadAll(resp.Body); string(body) != want || err != nil {
				t.Errorf("%s %v, want %s", body, err, want)
			}
		}
	}
}

// TestShutdown closes idle connections and waits for requests in flight.
func TestShutdown(t *testing.T) { eachServer(t, testShutdown) }

func testShutdown(t *testing.T, newServer func(*http.Server) server) {
	begun, leave := make(chan struct{}), make(chan struct{})
	s := newServer(quiet(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			close(begun)
			<-leave
		}
		_, _ = io.WriteString(w, "done")
	}))
	addr := serve(t, s)
	slow, slowReader := dial(t, addr)
	_, _ = io.WriteString(slow, "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
	<-begun
	idle, idleReader := dial(t, addr)
	_, _ = io.WriteString(idle, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	if resp := wantDone(t, idleReader); resp.Close {
		t.Error("the connection is to be closed before Shutdown")
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Shutdown(over); !errors.Is(err, context.Canceled) {
		t.Errorf("with a request in flight: %v", err)
	}
	shut := make(chan error, 1)
	go func() { shut <- s.Shutdown(t.Context()) }()
	if _, err := idleReader.ReadByte(); err != io.EOF {
		t.Errorf("the idle connection is open: %v", err)
	}
	close(leave)
	wantLast(t, slowReader)
	if err := <-shut; err != nil {
		t.Errorf("without requests in flight: %v", err)
	}
	if nc, err := net.Dial("tcp", addr); err == nil {
		nc.Close()
		t.Error("a new connection is accepted")
	}
}

// TestShutdownServesLateRequest sends the first request of a connection just
// after Shutdown.
func TestShutdownServesLateRequest(t *testing.T) {
	t.Parallel()
	s := NewServer(quiet(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "done") }))
	late, lateReader := dial(t, serve(t, s))
	for s.count() < 1 {
		time.Sleep(time.Millisecond)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	_ = s.Shutdown(over)
	_, _ = io.WriteString(late, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	wantLast(t, lateReader)
}

// wantDone reads a response of testShutdown's handler.
func wantDone(t *testing.T, br *bufio.Reader) *http.Response {
	t.Helper()
	resp, err := http.ReadResponse(br, nil)
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(resp.Body); string(body) != "done" || err != nil {
		t.Errorf("%s %v", body, err)
	}
	return resp
}

// wantLast reads the last response of a connection.
func wantLast(t *testing.T, br *bufio.Reader) {
	t.Helper()
	if resp := wantDone(t, br); !resp.Close {
		t.Error("the response does not say that the connection is closed")
	}
	if _, err := br.ReadByte(); err != io.EOF {
		t.Errorf("the connection is open: %v", err)
	}
}

func (s *Server) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

// FuzzParse checks that net/http parses each accepted request in the same way.
func FuzzParse(f *testing.F) {
	for _, text := range requests {
		f.Add([]byte(text))
	}
	s := NewServer(quiet(nil))
	f.Fuzz(func(t *testing.T, text []byte) {
		c := &conn{server: s, ctx: t.Context(), remote: "r"}
		got, size, result := c.parse(text)
		if result != accepted {
			return
		}
		want, err := http.ReadRequest(bufio.NewReader(strings.NewReader(string(text[:size]))))
		if err != nil {
			t.Fatal(err)
		}
		gotBody, _ := io.ReadAll(got.Body)
		wantBody, err := io.ReadAll(want.Body)
		if err != nil || string(gotBody) != string(wantBody) {
			t.Errorf("body %q, want %q, %v", gotBody, wantBody, err)
		}
		if got.Method != want.Method || *got.URL != *want.URL || got.RequestURI != want.RequestURI || got.Host != want.Host ||
			got.ContentLength != want.ContentLength || got.Close != want.Close || len(want.TransferEncoding) > 0 || len(want.Trailer) > 0 {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
		if !maps.EqualFunc(got.Header, want.Header, slices.Equal) {
			t.Errorf("got  %q\nwant %q", got.Header, want.Header)
		}
	})
}
