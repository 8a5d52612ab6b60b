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

// rawBackend is a server of single bytes.
type rawBackend struct {
	addr  string
	conns atomic.Int64 // accepted so far
	open  atomic.Int64 // of these
}

// rawServer has serve talk on each connection, the first of which is number 1,
// and closes it afterwards.
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

// saying answers each request with the next of answers, and then with the
// last one. An empty one ends the connection.
func saying(t testing.TB, answers ...string) *rawBackend {
	return rawServer(t, func(_ int64, c net.Conn, in *bufio.Reader) {
		for i := 0; ; i++ {
			if _, err := http.ReadRequest(in); err != nil {
				return
			}
			answer := answers[min(i, len(answers)-1)]
			if _, err := io.WriteString(c, answer); err != nil || answer == "" {
				return
			}
		}
	})
}

func newTestTransport(t testing.TB) *Transport {
	t.Helper()
	tr := NewTransport()
	tr.idleTime = time.Hour // or a slow machine could see more connections
	t.Cleanup(tr.CloseIdleConnections)
	return tr
}

// eachTransport runs a test over both transports: an operator may choose either.
func eachTransport(t *testing.T, test func(t *testing.T, tr http.RoundTripper)) {
	t.Parallel()
	t.Run("fast", func(t *testing.T) {
		t.Parallel()
		test(t, newTestTransport(t))
	})
	t.Run("std", func(t *testing.T) {
		t.Parallel()
		tr := &http.Transport{MaxIdleConnsPerHost: 512, DisableCompression: true}
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

// ask gives the answer to a GET and its whole body.
func ask(ctx context.Context, t testing.TB, tr http.RoundTripper, addr, target string) (*http.Response, string, error) {
	t.Helper()
	resp, err := tr.RoundTrip(transportRequest(ctx, t, http.MethodGet, "http://"+addr+target))
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp, string(body), err
}

// eventually waits until ok, which it is soon or never.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

func (t *Transport) idleTo(addr string) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.idle[addr])
}

const okAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

// TestTransportAnswers asks twice and looks at the second answer, then at how
// many connections that took.
func TestTransportAnswers(t *testing.T) {
	t.Parallel()
	huge := strings.Repeat("x", 100_000)
	for _, test := range []struct {
		name, method, answer string
		status               int
		length               int64
		body                 string
		conns                int64
		ends                 bool // the server closes after the answer
	}{
		{name: "plain", answer: okAnswer, status: 200, length: 2, body: "ok", conns: 1},
		{name: "refusal", answer: "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno", status: 404, length: 2, body: "no", conns: 1},
		{name: "large", answer: "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + huge, status: 200, length: 100_000, body: huge, conns: 1},
		{name: "large head", answer: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX: " + huge[:maxAnswerHead-len(okAnswer)-len("X: \r\n")+2] + "\r\n\r\nok",
			status: 200, length: 2, body: "ok", conns: 1},
		{name: "empty", answer: "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", status: 200, conns: 1},
		{name: "no reason", answer: "HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nok", status: 200, length: 2, body: "ok", conns: 1},
		{name: "bare line feeds", answer: "HTTP/1.1 200 OK\nContent-Length: 2\n\nok", status: 200, length: 2, body: "ok", conns: 1},
		{name: "chunked", answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n", status: 200, length: -1, body: "ok", conns: 1},
		{name: "chunked with a trailer", answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nA: b\r\n\r\n", status: 200, length: -1, body: "ok", conns: 1},
		{name: "up to the end", answer: "HTTP/1.1 200 OK\r\n\r\nok", status: 200, length: -1, body: "ok", conns: 2, ends: true},
		{name: "close", answer: "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", status: 200, length: 2, body: "ok", conns: 2},
		{name: "old version", answer: "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", status: 200, length: 2, body: "ok", conns: 2},
		{name: "old version that stays", answer: "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok", status: 200, length: 2, body: "ok", conns: 1},
		{name: "interim", answer: "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + okAnswer, status: 200, length: 2, body: "ok", conns: 1},
		{name: "no content", answer: "HTTP/1.1 204 No Content\r\n\r\n", status: 204, conns: 1},
		{name: "not modified", answer: "HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n", status: 304, conns: 1},
		{name: "HEAD", method: http.MethodHead, answer: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", status: 200, length: 2, conns: 1},
		{name: "HEAD of chunks", method: http.MethodHead, answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", status: 200, length: -1, conns: 1},
		{name: "HEAD with a body", method: http.MethodHead, answer: okAnswer, status: 200, length: 2, conns: 2},
		{name: "no content with a body", answer: "HTTP/1.1 204 No Content\r\n\r\nok", status: 204, conns: 2},
		{name: "longer than it says", answer: okAnswer + okAnswer, status: 200, length: 2, body: "ok", conns: 2},
		{name: "longer than its chunks", answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + okAnswer, status: 200, length: -1, conns: 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			answers := []string{test.answer}
			if test.ends {
				answers = nil
			}
			server := rawServer(t, func(_ int64, c net.Conn, in *bufio.Reader) {
				for {
					if _, err := http.ReadRequest(in); err != nil {
						return
					}
					if _, err := io.WriteString(c, test.answer); err != nil || answers == nil {
						return
					}
				}
			})
			tr := newTestTransport(t)
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

func TestTransportTrailer(t *testing.T) {
	t.Parallel()
	server := saying(t, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: Sum\r\ncontent-type: a/b\r\n\r\n2\r\nok\r\n0\r\nSum: 1\r\n\r\n")
	resp, body, err := ask(t.Context(), t, newTestTransport(t), server.addr, "/")
	if err != nil || body != "ok" || resp.Trailer.Get("Sum") != "1" || resp.Header["Content-Type"][0] != "a/b" {
		t.Errorf("%v, %q, trailer %v, header %v", err, body, resp.Trailer, resp.Header)
	}
}

// TestTransportRefuses has answers that are none.
func TestTransportRefuses(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		answer string
		want   error // or any
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
		"head too large":   {"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", maxAnswerHead) + "\r\n\r\n", errHeadTooLarge},
		"many lines":       {"HTTP/1.1 200 OK\r\n" + strings.Repeat("A: b\r\n", maxAnswerHead/6) + "\r\n", errHeadTooLarge},
		"interim for ever": {strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", maxAnswerHead/20), errHeadTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := rawServer(t, func(_ int64, c net.Conn, in *bufio.Reader) {
				if _, err := http.ReadRequest(in); err == nil {
					_, _ = io.WriteString(c, test.answer)
					if strings.HasSuffix(test.answer, "\r\n\r\n") {
						_, _ = io.Copy(io.Discard, in) // the client is to hang up
					}
				}
			})
			_, _, err := ask(t.Context(), t, newTestTransport(t), server.addr, "/")
			var timeout net.Error
			if err == nil || test.want != nil && !errors.Is(err, test.want) || errors.As(err, &timeout) && timeout.Timeout() {
				t.Errorf("error %v, want one of %v", err, test.want)
			}
			if got := server.conns.Load(); got != 1 {
				t.Errorf("%d connections", got)
			}
			eventually(t, "connection closed", func() bool { return server.open.Load() == 0 })
		})
	}
}

func TestTransportTruncated(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{
		"length":          "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok",
		"nothing of it":   "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n",
		"chunks":          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n",
		"amid a chunk":    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nok",
		"without trailer": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n",
	} {
		server := rawServer(t, func(_ int64, c net.Conn, in *bufio.Reader) {
			if _, err := http.ReadRequest(in); err == nil {
				_, _ = io.WriteString(c, answer)
			}
		})
		tr := newTestTransport(t)
		resp, body, err := ask(t.Context(), t, tr, server.addr, "/")
		if err == nil || name != "without trailer" && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s: body %q, %v, want %v", name, body, err, io.ErrUnexpectedEOF)
			continue
		}
		if again, second := resp.Body.Read(make([]byte, 1)); again != 0 || second == nil || second == io.EOF {
			t.Errorf("%s: then %d, %v", name, again, second)
		}
		if n := tr.idleTo(server.addr); n != 0 {
			t.Errorf("%s: %d connections kept", name, n)
		}
	}
}

// TestTransportRequest compares what servers understand with what net/http
// has them understand.
func TestTransportRequest(t *testing.T) {
	t.Parallel()
	type heard struct {
		method, target, host string
		header               string
	}
	var last heard
	var ours bool
	server := rawServer(t, func(_ int64, c net.Conn, in *bufio.Reader) {
		for {
			req, err := http.ReadRequest(in)
			if err != nil {
				return
			}
			ours = req.UserAgent() == "" // net/http has one
			req.Header.Del("User-Agent")
			_, _ = io.Copy(io.Discard, req.Body)
			last = heard{req.Method, req.RequestURI, req.Host, fmt.Sprint(req.Header)}
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
		ours   bool
		fails  bool
	}{
		{name: "plain", url: url.URL{Path: "/a/b", RawQuery: "c=d&e"}, ours: true},
		{name: "no path", url: url.URL{RawQuery: "c=d"}, ours: true},
		{name: "escapes", url: url.URL{Path: "/a b\r\nc/é%"}, ours: true},
		{name: "escaped by the caller", url: url.URL{Path: "/a/b", RawPath: "/a%2fb"}, ours: true},
		{name: "header", change: func(r *http.Request) { r.Header["X-Y"] = []string{"a", "b c"} }, ours: true},
		{name: "host", change: func(r *http.Request) { r.Host = "a.example" }, ours: true},
		{name: "body of nothing", change: func(r *http.Request) { r.Body = http.NoBody }, ours: true},
		{name: "query that splits", url: url.URL{Path: "/", RawQuery: "a HTTP/1.1\r\nX: y"}, fails: true},
		{name: "space in the query", url: url.URL{Path: "/", RawQuery: "a b"}, fails: true},
		{name: "value that splits", change: func(r *http.Request) { r.Header["X"] = []string{"a\r\nY: b"} }, fails: true},
		{name: "value of two lines", change: func(r *http.Request) { r.Header["X"] = []string{"a\nb"} }, fails: true},
		{name: "name that splits", change: func(r *http.Request) { r.Header["X: y\r\nZ"] = []string{"a"} }, fails: true},
		{name: "value beyond ASCII", change: func(r *http.Request) { r.Header["X"] = []string{"é"} }},
		{name: "host that splits", change: func(r *http.Request) { r.Host = "a\r\nX: y" }},
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
		call := func(by http.RoundTripper) (heard, error) {
			last, ours = heard{}, false
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
		want, _ := call(&tr.other)
		got, err := call(tr)
		if err != nil != test.fails || ours != test.ours {
			t.Errorf("%s: error %v, sent by us %t; want failure %t, %t", test.name, err, ours, test.fails, test.ours)
		}
		if got != want {
			t.Errorf("%s: heard %q, from net/http %q", test.name, got, want)
		}
	}
}

func TestTransportAddress(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]string{
		"a": "a:80", "a:1": "a:1", "127.0.0.1": "127.0.0.1:80", "[::1]": "[::1]:80", "[::1]:1": "[::1]:1",
	} {
		if got := dialAddress(host); got != want || !isSimpleHost(host) {
			t.Errorf("%s: %s, want %s", host, got, want)
		}
	}
	for _, host := range []string{"", "a:", "a b", "a\nb", "[fe80::1%25eth0]", "é", "a/b", "a@b"} {
		if isSimpleHost(host) {
			t.Errorf("%q is taken for plain", host)
		}
	}
}

func TestTransportDialFails(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	_, _, err = ask(t.Context(), t, newTestTransport(t), ln.Addr().String(), "/")
	if op := new(net.OpError); !errors.As(err, &op) || op.Op != "dial" {
		t.Errorf("%v, want one of dialing", err)
	}
}

// TestTransportDialOutOfTime has a deadline that is over and not yet noticed.
func TestTransportDialOutOfTime(t *testing.T) {
	t.Parallel()
	server := saying(t, okAnswer)
	ctx, cancel := context.WithCancel(t.Context())
	if _, body, err := ask(unnoticed{ctx}, t, newTestTransport(t), server.addr, "/"); err != nil || body != "ok" {
		t.Errorf("%q, %v", body, err)
	}
	cancel()
	if _, err := newTestTransport(t).dial(ctx, server.addr); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
}

type unnoticed struct{ context.Context }

func (unnoticed) Deadline() (time.Time, bool) { return time.Unix(1, 0), true }

func BenchmarkRoundTrip(b *testing.B) {
	answer := []byte("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n" +
		"Date: Sun, 22 Nov 2026 17:00:00 GMT\r\nX-Request-Id: 0123456789abcdef\r\n\r\n" + strings.Repeat("x", 1000))
	server := rawServer(b, func(_ int64, c net.Conn, in *bufio.Reader) {
		for {
			line, err := in.ReadSlice('\n')
			if err != nil {
				return
			}
			if len(line) == len("\r\n") {
				if _, err := c.Write(answer); err != nil {
					return
				}
			}
		}
	})
	own := NewTransport()
	for _, side := range []struct {
		name string
		http.RoundTripper
	}{{"own", own}, {"net", &own.other}} {
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
