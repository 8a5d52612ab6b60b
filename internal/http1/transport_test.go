package http1

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// rawBackend is a server whose responses are written by hand.
type rawBackend struct {
	addr  string
	conns atomic.Int64 // accepted so far
	open  atomic.Int64 // of these
}

// rawServer starts a server that calls serve for each connection, the first of
// which has number 1, and then closes it.
func rawServer(t testing.TB, serve func(number int64, c net.Conn, in *bufio.Reader)) *rawBackend {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &rawBackend{addr: ln.Addr().String()}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			number := b.conns.Add(1)
			b.open.Add(1)
			stop := context.AfterFunc(t.Context(), func() { c.Close() })
			all.Go(func() {
				defer b.open.Add(-1)
				defer c.Close()
				defer stop()
				serve(number, c, bufio.NewReader(c))
			})
		}
	})
	t.Cleanup(all.Wait)
	t.Cleanup(func() { ln.Close() })
	return b
}

// responding starts a server that sends the next of responses for each request,
// and the last one for all later requests. An empty one closes the connection.
func responding(t testing.TB, responses ...string) *rawBackend {
	return rawServer(t, func(_ int64, c net.Conn, in *bufio.Reader) {
		for i := 0; ; i++ {
			if _, err := http.ReadRequest(in); err != nil {
				return
			}
			response := responses[min(i, len(responses)-1)]
			if _, err := io.WriteString(c, response); err != nil || response == "" {
				return
			}
		}
	})
}

func newTestTransport(t testing.TB) *Transport {
	t.Helper()
	tr := NewTransport()
	tr.idleTime = time.Hour // a slow machine must not need more connections
	t.Cleanup(tr.CloseIdleConnections)
	return tr
}

// transport is a *Transport or an *http.Transport.
type transport interface {
	http.RoundTripper
	CloseIdleConnections()
}

// eachTransport runs a test with both transports: an operator may choose either.
func eachTransport(t *testing.T, test func(t *testing.T, tr transport)) {
	t.Parallel()
	t.Run("fast", func(t *testing.T) {
		t.Parallel()
		test(t, newTestTransport(t))
	})
	t.Run("std", func(t *testing.T) {
		t.Parallel()
		tr := NewStandardTransport()
		tr.IdleConnTimeout = time.Hour
		t.Cleanup(tr.CloseIdleConnections)
		test(t, tr)
	})
}

func transportRequest(ctx context.Context, t testing.TB, method, url string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

// get returns the response to a GET and its body.
func get(ctx context.Context, t testing.TB, tr http.RoundTripper, addr, target string) (*http.Response, string, error) {
	t.Helper()
	resp, err := tr.RoundTrip(transportRequest(ctx, t, http.MethodGet, "http://"+addr+target))
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp, string(body), err
}

// eventually waits until ok returns true.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

// idleTo returns the number of idle connections to addr.
func (t *Transport) idleTo(addr string) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.idle[addr])
}

const okResponse = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

// TestTransportResponses makes two calls and counts their connections.
func TestTransportResponses(t *testing.T) { eachTransport(t, testTransportResponses) }

func testTransportResponses(t *testing.T, tr transport) {
	_, fast := tr.(*Transport)
	huge := strings.Repeat("x", 100_000)
	for _, test := range []struct {
		name, method, response string
		status                 int
		length                 int64
		body                   string
		conns                  int64
		ends                   bool // the server closes the connection after the response
		surplus                bool // net/http may see what follows the response too late
	}{
		{name: "simple", response: okResponse, status: 200, length: 2, body: "ok", conns: 1},
		{name: "not found", response: "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno", status: 404, length: 2, body: "no", conns: 1},
		{name: "large", response: "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + huge, status: 200, length: 100_000, body: huge, conns: 1},
		{name: "large head", response: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX: " + huge[:maxResponseHead-len(okResponse)-len("X: \r\n")+2] + "\r\n\r\nok",
			status: 200, length: 2, body: "ok", conns: 1},
		{name: "empty", response: "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", status: 200, conns: 1},
		{name: "no reason", response: "HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nok", status: 200, length: 2, body: "ok", conns: 1},
		{name: "bare line feeds", response: "HTTP/1.1 200 OK\nContent-Length: 2\n\nok", status: 200, length: 2, body: "ok", conns: 1},
		{name: "chunked", response: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n", status: 200, length: -1, body: "ok", conns: 1},
		{name: "chunked with a trailer", response: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nA: b\r\n\r\n", status: 200, length: -1, body: "ok", conns: 1},
		{name: "until the end", response: "HTTP/1.1 200 OK\r\n\r\nok", status: 200, length: -1, body: "ok", conns: 2, ends: true},
		{name: "close", response: "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", status: 200, length: 2, body: "ok", conns: 2},
		{name: "old version", response: "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", status: 200, length: 2, body: "ok", conns: 2},
		{name: "old version that stays", response: "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok", status: 200, length: 2, body: "ok", conns: 1},
		{name: "interim", response: "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + okResponse, status: 200, length: 2, body: "ok", conns: 1},
		{name: "no content", response: "HTTP/1.1 204 No Content\r\n\r\n", status: 204, conns: 1},
		{name: "not modified", response: "HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n", status: 304, conns: 1},
		{name: "HEAD", method: http.MethodHead, response: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", status: 200, length: 2, conns: 1},
		{name: "HEAD of chunks", method: http.MethodHead, response: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", status: 200, length: -1, conns: 1},
		{name: "HEAD with a body", method: http.MethodHead, response: okResponse, status: 200, length: 2, conns: 2, surplus: true},
		{name: "no content with a body", response: "HTTP/1.1 204 No Content\r\n\r\nok", status: 204, conns: 2, surplus: true},
		{name: "longer than its length", response: okResponse + okResponse, status: 200, length: 2, body: "ok", conns: 2, surplus: true},
		{name: "longer than its chunks", response: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + okResponse, status: 200, length: -1, conns: 2, surplus: true},
	} {
		if test.surplus && !fast {
			continue
		}
		t.Run(test.name, func(t *testing.T) {
			server := rawServer(t, func(_ int64, c net.Conn, in *bufio.Reader) {
				for {
					if _, err := http.ReadRequest(in); err != nil {
						return
					}
					if _, err := io.WriteString(c, test.response); err != nil || test.ends {
						return
					}
				}
			})
			if test.method == "" {
				test.method = http.MethodGet
			}
			for range 2 {
				req := transportRequest(t.Context(), t, test.method, "http://"+server.addr+"/")
				resp, err := tr.RoundTrip(req)
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(resp.Body)
				if err != nil || string(body) != test.body {
					t.Errorf("body of %d bytes, %v; want %d bytes", len(body), err, len(test.body))
				}
				if resp.StatusCode != test.status || resp.ContentLength != test.length || resp.Request != req {
					t.Errorf("status %d, length %d, want %d, %d", resp.StatusCode, resp.ContentLength, test.status, test.length)
				}
				if err := resp.Body.Close(); err != nil {
					t.Error(err)
				}
				if n, err := resp.Body.Read(make([]byte, 1)); n != 0 || err == nil {
					t.Errorf("after Close, Read gives %d, %v", n, err)
				}
			}
			if got := server.conns.Load(); got != test.conns {
				t.Errorf("%d connections for two calls, want %d", got, test.conns)
			}
		})
	}
}

func TestTransportTrailer(t *testing.T) { eachTransport(t, testTransportTrailer) }

func testTransportTrailer(t *testing.T, tr transport) {
	server := responding(t, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: Sum\r\ncontent-type: a/b\r\n\r\n2\r\nok\r\n0\r\nSum: 1\r\n\r\n")
	resp, body, err := get(t.Context(), t, tr, server.addr, "/")
	if err != nil || body != "ok" || resp.Trailer.Get("Sum") != "1" || resp.Header["Content-Type"][0] != "a/b" {
		t.Errorf("%v, %q, trailer %v, header %v", err, body, resp.Trailer, resp.Header)
	}
}

// TestTransportMalformed has responses that are not HTTP/1.1, or too large.
func TestTransportMalformed(t *testing.T) { eachTransport(t, testTransportMalformed) }

func testTransportMalformed(t *testing.T, tr transport) {
	_, fast := tr.(*Transport)
	for name, test := range map[string]struct {
		response string
		want     error // of the fast transport; nil for any
	}{
		"nothing":          {"", io.EOF},
		"garbage":          {"hello there\r\n\r\n", nil},
		"TLS":              {"\x15\x03\x01\x00\x02\x02\x28", nil},
		"half a head":      {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n", io.ErrUnexpectedEOF},
		"no name":          {"HTTP/1.1 200 OK\r\n: 2\r\n\r\n", nil},
		"two lengths":      {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!", nil},
		"negative":         {"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok", nil},
		"unknown encoding": {"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", nil},
		"another version":  {"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok", nil},
		"switch":           {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", nil},
		"head too large":   {"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", maxResponseHead) + "\r\n\r\n", errHeadTooLarge},
		"many lines":       {"HTTP/1.1 200 OK\r\n" + strings.Repeat("A: b\r\n", maxResponseHead/6) + "\r\n", errHeadTooLarge},
		"endless interim":  {strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", maxResponseHead/20), errHeadTooLarge},
	} {
		if !fast && (name == "switch" || name == "another version") {
			continue // net/http accepts them
		}
		t.Run(name, func(t *testing.T) {
			server := rawServer(t, func(_ int64, c net.Conn, in *bufio.Reader) {
				if _, err := http.ReadRequest(in); err == nil {
					_, _ = io.WriteString(c, test.response)
					if strings.HasSuffix(test.response, "\r\n\r\n") {
						_, _ = io.Copy(io.Discard, in) // until the client closes the connection
					}
				}
			})
			_, _, err := get(t.Context(), t, tr, server.addr, "/")
			var timeout net.Error
			if err == nil || fast && test.want != nil && !errors.Is(err, test.want) || errors.As(err, &timeout) && timeout.Timeout() {
				t.Errorf("error %v, want one of %v", err, test.want)
			}
			if got := server.conns.Load(); got != 1 {
				t.Errorf("%d connections", got)
			}
			eventually(t, "connection closed", func() bool { return server.open.Load() == 0 })
		})
	}
}

func TestTransportTruncated(t *testing.T) { eachTransport(t, testTransportTruncated) }

func testTransportTruncated(t *testing.T, tr transport) {
	for name, response := range map[string]string{
		"length":          "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok",
		"nothing of it":   "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n",
		"chunks":          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n",
		"amid a chunk":    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nok",
		"without trailer": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n",
	} {
		server := rawServer(t, func(_ int64, c net.Conn, in *bufio.Reader) {
			if _, err := http.ReadRequest(in); err == nil {
				_, _ = io.WriteString(c, response)
			}
		})
		resp, body, err := get(t.Context(), t, tr, server.addr, "/")
		if err == nil || name != "without trailer" && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s: body %q, %v, want %v", name, body, err, io.ErrUnexpectedEOF)
			continue
		}
		if again, second := resp.Body.Read(make([]byte, 1)); again != 0 || second == nil || second == io.EOF {
			t.Errorf("%s: then %d, %v", name, again, second)
		}
		if fast, ok := tr.(*Transport); ok && fast.idleTo(server.addr) != 0 {
			t.Errorf("%s: the connection is kept", name)
		}
	}
}

// TestTransportRequest compares requests, as a server reads them, with those of
// net/http.
func TestTransportRequest(t *testing.T) {
	t.Parallel()
	type received struct {
		method, target, host string
		header               string
	}
	var last received
	var fast bool
	server := rawServer(t, func(_ int64, c net.Conn, in *bufio.Reader) {
		for {
			req, err := http.ReadRequest(in)
			if err != nil {
				return
			}
			fast = req.UserAgent() == "" // net/http sends one
			req.Header.Del("User-Agent")
			_, _ = io.Copy(io.Discard, req.Body)
			last = received{req.Method, req.RequestURI, req.Host, fmt.Sprint(req.Header)}
			if _, err := io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"); err != nil {
				return
			}
		}
	})
	tr := newTestTransport(t)
	for _, test := range []struct {
		name   string
		url    url.URL
		change func(*http.Request)
		fast   bool
		fails  bool
	}{
		{name: "simple", url: url.URL{Path: "/a/b", RawQuery: "c=d&e"}, fast: true},
		{name: "no path", url: url.URL{RawQuery: "c=d"}, fast: true},
		{name: "escapes", url: url.URL{Path: "/a b\r\nc/é%"}, fast: true},
		{name: "escaped by the caller", url: url.URL{Path: "/a/b", RawPath: "/a%2fb"}, fast: true},
		{name: "header", change: func(r *http.Request) { r.Header["X-Y"] = []string{"a", "b c"} }, fast: true},
		{name: "host", change: func(r *http.Request) { r.Host = "a.example" }, fast: true},
		{name: "empty body", change: func(r *http.Request) { r.Body = http.NoBody }, fast: true},
		{name: "line break in the query", url: url.URL{Path: "/", RawQuery: "a HTTP/1.1\r\nX: y"}, fails: true},
		{name: "space in the query", url: url.URL{Path: "/", RawQuery: "a b"}, fails: true},
		{name: "header line in a value", change: func(r *http.Request) { r.Header["X"] = []string{"a\r\nY: b"} }, fails: true},
		{name: "line break in a value", change: func(r *http.Request) { r.Header["X"] = []string{"a\nb"} }, fails: true},
		{name: "line break in a name", change: func(r *http.Request) { r.Header["X: y\r\nZ"] = []string{"a"} }, fails: true},
		{name: "value beyond ASCII", change: func(r *http.Request) { r.Header["X"] = []string{"é"} }},
		{name: "line break in the host", change: func(r *http.Request) { r.Host = "a\r\nX: y" }},
		{name: "host header", change: func(r *http.Request) { r.Header["Host"] = []string{"b.example"} }},
		{name: "length header", change: func(r *http.Request) { r.Header["Content-Length"] = []string{"3"} }},
		{name: "encoding header", change: func(r *http.Request) { r.Header["Transfer-Encoding"] = []string{"chunked"} }},
		{name: "close", change: func(r *http.Request) { r.Close = true }},
		{name: "POST", change: func(r *http.Request) { r.Method = http.MethodPost }},
		{name: "no method", change: func(r *http.Request) { r.Method = "" }},
		{name: "odd method", change: func(r *http.Request) { r.Method = "GET / HTTP/1.1\r\nX: y\r\n\r\n" }, fails: true},
		{name: "DELETE", change: func(r *http.Request) { r.Method = http.MethodDelete }},
		{name: "GET with a body", change: func(r *http.Request) { r.Body, r.ContentLength = io.NopCloser(strings.NewReader("x")), 1 }},
		{name: "no URL", change: func(r *http.Request) { r.URL = nil }, fails: true},
		{name: "no host", change: func(r *http.Request) { r.URL.Host = "" }, fails: true},
		{name: "another scheme", change: func(r *http.Request) { r.URL.Scheme = "gopher" }, fails: true},
	} {
		test.url.Scheme, test.url.Host = "http", server.addr
		call := func(by http.RoundTripper) (received, error) {
			last, fast = received{}, false
			u := test.url
			req := &http.Request{Method: http.MethodGet, URL: &u, Header: http.Header{"Accept": {"*/*"}}}
			if test.change != nil {
				test.change(req)
			}
			resp, err := by.RoundTrip(req)
			if err == nil {
				resp.Body.Close()
			}
			return last, err
		}
		want, _ := call(tr.standard)
		got, err := call(tr)
		if err != nil != test.fails || fast != test.fast {
			t.Errorf("%s: error %v, without net/http %t; want failure %t, %t", test.name, err, fast, test.fails, test.fast)
		}
		if got != want {
			t.Errorf("%s: the server received %q, from net/http %q", test.name, got, want)
		}
	}
}

func TestTransportAddress(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]string{
		"a": "a:80", "a:1": "a:1", "127.0.0.1": "127.0.0.1:80", "[::1]": "[::1]:80", "[::1]:1": "[::1]:1",
	} {
		if got := dialAddress(&url.URL{Host: host}); got != want || !isSimpleHost(host) {
			t.Errorf("%s: %s, want %s", host, got, want)
		}
	}
	for _, host := range []string{"", "a:", "a b", "a\nb", "[fe80::1%25eth0]", "é", "a/b", "a@b"} {
		if isSimpleHost(host) {
			t.Errorf("%q is taken for a simple host", host)
		}
	}
}

func TestTransportDialFails(t *testing.T) { eachTransport(t, testTransportDialFails) }

func testTransportDialFails(t *testing.T, tr transport) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	_, _, err = get(t.Context(), t, tr, ln.Addr().String(), "/")
	if op := new(net.OpError); !errors.As(err, &op) || op.Op != "dial" {
		t.Errorf("%v, want a *net.OpError of dial", err)
	}
}

// TestTransportDialOutOfTime has a context whose deadline has passed but which has
// not ended yet.
func TestTransportDialOutOfTime(t *testing.T) {
	t.Parallel()
	server := responding(t, okResponse)
	ctx, cancel := context.WithCancel(t.Context())
	if _, body, err := get(unnoticed{ctx}, t, newTestTransport(t), server.addr, "/"); err != nil || body != "ok" {
		t.Errorf("%q, %v", body, err)
	}
	cancel()
	if _, err := newTestTransport(t).dial(ctx, server.addr); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
}

// unnoticed is a context with a deadline that has passed and no effect.
type unnoticed struct{ context.Context }

func (unnoticed) Deadline() (time.Time, bool) { return time.Unix(1, 0), true }

func BenchmarkRoundTrip(b *testing.B) {
	response := []byte("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n" +
		"Date: Sun, 22 Nov 2026 17:00:00 GMT\r\nX-Request-Id: 0123456789abcdef\r\n\r\n" + strings.Repeat("x", 1000))
	server := rawServer(b, func(_ int64, c net.Conn, in *bufio.Reader) {
		for {
			line, err := in.ReadSlice('\n')
			if err != nil {
				return
			}
			if len(line) == len("\r\n") {
				if _, err := c.Write(response); err != nil {
					return
				}
			}
		}
	})
	own := NewTransport()
	for _, side := range []struct {
		name string
		http.RoundTripper
	}{{"fast", own}, {"std", own.standard}} {
		call := func(b *testing.B, into []byte) {
			ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
			defer cancel()
			req := transportRequest(ctx, b, http.MethodGet, "http://"+server.addr+"/listings?page_num=1")
			req.Header["Accept"] = []string{"application/json"}
			resp, err := side.RoundTrip(req)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := io.ReadFull(resp.Body, into); err != nil {
				b.Fatal(err)
			}
			if n, err := resp.Body.Read(into); n != 0 || err != io.EOF {
				b.Fatal(n, err)
			}
			resp.Body.Close()
		}
		b.Run(side.name+"/one", func(b *testing.B) {
			b.ReportAllocs()
			into := make([]byte, 1000)
			for b.Loop() {
				call(b, into)
			}
		})
		b.Run(side.name+"/many", func(b *testing.B) {
			b.ReportAllocs()
			b.SetParallelism(16)
			b.RunParallel(func(pb *testing.PB) {
				into := make([]byte, 1000)
				for pb.Next() {
					call(b, into)
				}
			})
		})
	}
	own.CloseIdleConnections()
}
