package http1

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// TestTransportRepeats has servers that end a used connection when the next
// request comes on it.
func TestTransportRepeats(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, method string
		answers      []string // of each connection; the last for all later requests
		works        bool
		requests     int64
	}{
		{"ended", http.MethodGet, []string{okAnswer, ""}, true, 3},
		{"ended, HEAD", http.MethodHead, []string{"HTTP/1.1 200 OK\r\n\r\n", ""}, true, 3},
		{"408", http.MethodGet, []string{okAnswer, "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"}, true, 3},
		{"ended amid the head", http.MethodGet, []string{okAnswer, "HTTP/1.1 2"}, false, 2},
		{"garbage", http.MethodGet, []string{okAnswer, "\r\n\r\n"}, false, 2},
		{"POST", http.MethodPost, []string{okAnswer, ""}, false, 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var requests atomic.Int64
			server := rawServer(t, func(_ int64, c net.Conn, in *bufio.Reader) {
				for _, answer := range test.answers {
					req, err := http.ReadRequest(in)
					if err != nil {
						return
					}
					_, _ = io.Copy(io.Discard, req.Body)
					requests.Add(1)
					if _, err := io.WriteString(c, answer); err != nil {
						return
					}
				}
			})
			tr := newTestTransport(t)
			call := func() error {
				req := transportRequest(t.Context(), t, test.method, "http://"+server.addr)
				if test.method == http.MethodPost {
					req.Body, req.ContentLength = io.NopCloser(strings.NewReader("x")), 1
				}
				resp, err := tr.RoundTrip(req)
				if err != nil {
					return err
				}
				defer resp.Body.Close()
				_, err = io.Copy(io.Discard, resp.Body)
				return err
			}
			if err := call(); err != nil {
				t.Fatal(err)
			}
			if err := call(); err == nil != test.works {
				t.Errorf("second call: %v, want success: %t", err, test.works)
			}
			if got := requests.Load(); got != test.requests {
				t.Errorf("the server got %d requests for two calls, want %d", got, test.requests)
			}
		})
	}
}

// TestTransportRepeatsOnce has a server that ends every connection but the
// first, which it ends later.
func TestTransportRepeatsOnce(t *testing.T) {
	t.Parallel()
	var requests atomic.Int64
	server := rawServer(t, func(number int64, c net.Conn, in *bufio.Reader) {
		for i := 0; ; i++ {
			if _, err := http.ReadRequest(in); err != nil {
				return
			}
			requests.Add(1)
			if number > 2 || i > 0 {
				return
			}
			_, _ = io.WriteString(c, okAnswer)
		}
	})
	tr := newTestTransport(t)
	// Two idle connections, neither of which will be of use.
	var both [2]*http.Response
	for i := range both {
		resp, err := tr.RoundTrip(transportRequest(t.Context(), t, http.MethodGet, "http://"+server.addr))
		if err != nil {
			t.Fatal(err)
		}
		both[i] = resp
	}
	for _, resp := range both {
		_, _ = io.Copy(io.Discard, resp.Body)
	}
	if n := tr.idleTo(server.addr); n != 2 {
		t.Fatalf("%d idle connections, want 2", n)
	}
	if _, _, err := ask(t.Context(), t, tr, server.addr, "/"); !errors.Is(err, io.EOF) {
		t.Errorf("error %v, want %v", err, io.EOF)
	}
	if conns, got := server.conns.Load(), requests.Load(); conns != 3 || got != 4 {
		t.Errorf("%d connections, %d requests; want the call to make one connection and two requests", conns, got)
	}
}

// TestTransportIdleSpeaks has servers that do something to an idle
// connection: nothing of it is the answer of the next request, which is sent
// to another connection.
func TestTransportIdleSpeaks(t *testing.T) {
	t.Parallel()
	for name, unasked := range map[string]string{
		"408":            "HTTP/1.1 408 Request Timeout\r\nContent-Length: 5\r\n\r\nwrong",
		"another answer": "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong",
		"one byte":       "\n",
		"the end":        "",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			idle := make(chan struct{})
			var requests atomic.Int64
			server := rawServer(t, func(number int64, c net.Conn, in *bufio.Reader) {
				for {
					if _, err := http.ReadRequest(in); err != nil {
						return
					}
					requests.Add(1)
					_, _ = io.WriteString(c, okAnswer)
					if number == 1 {
						break
					}
				}
				<-idle
				_, _ = io.WriteString(c, unasked)
				if unasked == "" {
					c.Close()
				}
				_, _ = io.Copy(io.Discard, in)
			})
			tr := newTestTransport(t)
			for i := range 3 {
				_, body, err := ask(t.Context(), t, tr, server.addr, "/")
				if err != nil || body != "ok" {
					t.Errorf("%q, %v", body, err)
				}
				if i == 0 {
					close(idle)
					eventually(t, "it arrived", func() bool { return tr.heard(t, server.addr) })
				}
			}
			if conns, got := server.conns.Load(), requests.Load(); conns != 2 || got != 3 {
				t.Errorf("%d connections, %d requests, want 2, 3", conns, got)
			}
		})
	}
}

// heard tells whether something can be read on the idle connection to addr, and
// leaves it there.
func (t *Transport) heard(tb testing.TB, addr string) (ok bool) {
	tb.Helper()
	t.mu.Lock()
	defer t.mu.Unlock()
	raw, err := t.idle[addr][0].Conn.(*net.TCPConn).SyscallConn()
	if err == nil {
		err = raw.Read(func(fd uintptr) bool {
			_, _, err := syscall.Recvfrom(int(fd), make([]byte, 1), syscall.MSG_PEEK)
			ok = err == nil
			return true
		})
	}
	if err != nil {
		tb.Fatal(err)
	}
	return ok
}

// TestTransportManyCallers has each caller find its own answer, among some
// that are broken off, cut short, or end their connection.
func TestTransportManyCallers(t *testing.T) {
	t.Parallel()
	tr := newTestTransport(t)
	server := rawServer(t, func(_ int64, c net.Conn, in *bufio.Reader) {
		for {
			req, err := http.ReadRequest(in)
			if err != nil {
				return
			}
			id, kind, _ := strings.Cut(req.URL.RawQuery, "&")
			body := strings.Repeat(id+" ", 500)
			switch kind {
			case "chunked":
				_, err = fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nId: %s\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", id, len(body), body)
			case "short":
				fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nId: %s\r\nContent-Length: %d\r\n\r\n%s", id, len(body)+1, body)
				return
			case "long":
				_, err = fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nId: %s\r\nContent-Length: %d\r\n\r\n%s", id, len(body), body+okAnswer)
			default:
				_, err = fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nId: %s\r\nContent-Length: %d\r\n\r\n%s", id, len(body), body)
			}
			if err != nil || kind == "ends" {
				return
			}
		}
	})
	kinds := []string{"", "chunked", "", "ends", "", "short", "", "early", "long", "canceled"}
	var all sync.WaitGroup
	for caller := range 64 {
		all.Go(func() {
			for i := range 100 {
				id, kind := fmt.Sprintf("%d-%d", caller, i), kinds[(caller+i)%len(kinds)]
				ctx, cancel := context.WithCancel(t.Context())
				if kind == "canceled" {
					go cancel()
				}
				resp, err := tr.RoundTrip(transportRequest(ctx, t, http.MethodGet, "http://"+server.addr+"/?"+id+"&"+kind))
				if err == nil {
					if got := resp.Header.Get("Id"); got != id {
						t.Errorf("%s got the head of %q", id, got)
					}
					if kind == "early" {
						resp.Body.Close()
					}
					var body []byte
					if body, err = io.ReadAll(resp.Body); err == nil && string(body) != strings.Repeat(id+" ", 500) {
						t.Errorf("%s got the body %.50q", id, body)
					}
					resp.Body.Close()
				}
				if (err != nil) != (kind == "short" || kind == "early") && kind != "canceled" {
					t.Errorf("%s %s: %v", id, kind, err)
				}
				cancel()
			}
		})
	}
	all.Wait()
}

// TestTransportBodyOfMany has a body read and closed by several at once.
func TestTransportBodyOfMany(t *testing.T) { eachTransport(t, testTransportBodyOfMany) }

func testTransportBodyOfMany(t *testing.T, tr http.RoundTripper) {
	server := saying(t, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"+strings.Repeat("x", 1000))
	for range 100 {
		resp, err := tr.RoundTrip(transportRequest(t.Context(), t, http.MethodGet, "http://"+server.addr))
		if err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() { _, _ = io.Copy(io.Discard, resp.Body) })
		}
		all.Go(func() { resp.Body.Close() })
		all.Wait()
	}
}

func TestTransportIdleEnds(t *testing.T) {
	t.Parallel()
	server := saying(t, okAnswer)
	busy := func(tr *Transport, n int) {
		t.Helper()
		var bodies []io.ReadCloser
		for range n {
			resp, err := tr.RoundTrip(transportRequest(t.Context(), t, http.MethodGet, "http://"+server.addr))
			if err != nil {
				t.Fatal(err)
			}
			bodies = append(bodies, resp.Body)
		}
		for _, body := range bodies {
			_, _ = io.Copy(io.Discard, body)
		}
	}
	gone := func() bool { return server.open.Load() == 0 }

	tr := newTestTransport(t)
	tr.idleMax = 3
	busy(tr, 5)
	if n := tr.idleTo(server.addr); n != 3 {
		t.Errorf("%d idle connections, want 3", n)
	}
	tr.CloseIdleConnections()
	eventually(t, "all closed when asked", gone)
	busy(tr, 1)
	if n := tr.idleTo(server.addr); n != 1 {
		t.Errorf("%d idle connections after that, want 1", n)
	}
	tr.CloseIdleConnections()

	tr = newTestTransport(t)
	tr.idleTime = time.Millisecond
	for range 2 {
		busy(tr, 3)
		eventually(t, "all closed by the clock", gone)
		eventually(t, "clock at rest", func() bool {
			tr.mu.Lock()
			defer tr.mu.Unlock()
			return !tr.armed && len(tr.idle) == 0
		})
	}

	// The clock has not come yet, but the connection is too old.
	tr = newTestTransport(t)
	busy(tr, 2)
	before := server.conns.Load()
	tr.idleTime = 0
	busy(tr, 1)
	if got := server.conns.Load() - before; got != 1 {
		t.Errorf("%d connections made, want 1", got)
	}
}
