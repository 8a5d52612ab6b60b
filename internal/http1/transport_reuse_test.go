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

// TestTransportRepeats has servers that close a reused connection when a request
// arrives on it.
func TestTransportRepeats(t *testing.T) { eachTransport(t, testTransportRepeats) }

func testTransportRepeats(t *testing.T, tr transport) {
	_, fast := tr.(*Transport)
	for _, test := range []struct {
		name, method string
		responses    []string // of each connection
		works        bool
		requests     int64
	}{
		{"ended", http.MethodGet, []string{okResponse, ""}, true, 3},
		{"ended, HEAD", http.MethodHead, []string{"HTTP/1.1 200 OK\r\n\r\n", ""}, true, 3},
		{"408", http.MethodGet, []string{okResponse, "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"}, true, 3},
		{"ended amid the head", http.MethodGet, []string{okResponse, "HTTP/1.1 2"}, false, 2},
		{"garbage", http.MethodGet, []string{okResponse, "\r\n\r\n"}, false, 2},
		{"POST", http.MethodPost, []string{okResponse, ""}, false, 2},
	} {
		if test.name == "408" && !fast {
			continue // net/http returns a 408 on a reused connection
		}
		t.Run(test.name, func(t *testing.T) {
			var requests atomic.Int64
			server := rawServer(t, func(_ int64, c net.Conn, in *bufio.Reader) {
				for _, response := range test.responses {
					req, err := http.ReadRequest(in)
					if err != nil {
						return
					}
					_, _ = io.Copy(io.Discard, req.Body)
					requests.Add(1)
					if _, err := io.WriteString(c, response); err != nil {
						return
					}
				}
			})
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

// TestTransportRepeatsOnce has a server that closes the first two connections at
// their second request, and others at their first.
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
			_, _ = io.WriteString(c, okResponse)
		}
	})
	tr := newTestTransport(t)
	// Two idle connections. The server will close both.
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
	if _, _, err := get(t.Context(), t, tr, server.addr, "/"); !errors.Is(err, io.EOF) {
		t.Errorf("error %v, want %v", err, io.EOF)
	}
	if conns, got := server.conns.Load(), requests.Load(); conns != 3 || got != 4 {
		t.Errorf("%d connections, %d requests; want the call to make one connection and two requests", conns, got)
	}
}

// TestTransportUnsolicited has servers that write to an idle connection or close
// it. That must not be the response to the next request, which is sent on another
// connection.
func TestTransportUnsolicited(t *testing.T) {
	t.Parallel()
	for name, unsolicited := range map[string]string{
		"408":              "HTTP/1.1 408 Request Timeout\r\nContent-Length: 5\r\n\r\nwrong",
		"another response": "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong",
		"one byte":         "\n",
		"the end":          "",
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
					_, _ = io.WriteString(c, okResponse)
					if number == 1 {
						break
					}
				}
				<-idle
				_, _ = io.WriteString(c, unsolicited)
				if unsolicited == "" {
					c.Close()
				}
				_, _ = io.Copy(io.Discard, in)
			})
			tr := newTestTransport(t)
			for i := range 3 {
				_, body, err := get(t.Context(), t, tr, server.addr, "/")
				if err != nil || body != "ok" {
					t.Errorf("%q, %v", body, err)
				}
				if i == 0 {
					close(idle)
					eventually(t, "it arrived", func() bool { return tr.readable(t, server.addr) })
				}
			}
			if conns, got := server.conns.Load(), requests.Load(); conns != 2 || got != 3 {
				t.Errorf("%d connections, %d requests, want 2, 3", conns, got)
			}
		})
	}
}

// readable reports whether something can be read on the idle connection to addr,
// and leaves it there.
func (t *Transport) readable(tb testing.TB, addr string) (ok bool) {
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

// TestTransportManyCallers checks that each of many concurrent callers gets its
// own response, while other calls are canceled, get short responses or lose their
// connections.
func TestTransportManyCallers(t *testing.T) { eachTransport(t, testTransportManyCallers) }

func testTransportManyCallers(t *testing.T, tr transport) {
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
				_, err = fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nId: %s\r\nContent-Length: %d\r\n\r\n%s", id, len(body), body+okResponse)
			default:
				_, err = fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nId: %s\r\nContent-Length: %d\r\n\r\n%s", id, len(body), body)
			}
			if err != nil || kind == "ends" {
				return
			}
		}
	})
	_, fast := tr.(*Transport)
	kinds := []string{"", "chunked", "", "ends", "", "short", "", "early", "long", "canceled"}
	var all sync.WaitGroup
	for caller := range 64 {
		all.Go(func() {
			for i := range 100 {
				id, kind := fmt.Sprintf("%d-%d", caller, i), kinds[(caller+i)%len(kinds)]
				if kind == "long" && !fast {
					continue // net/http may see what follows the response too late
				}
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

// TestTransportBodyOfMany reads and closes a body in several goroutines at once.
func TestTransportBodyOfMany(t *testing.T) { eachTransport(t, testTransportBodyOfMany) }

func testTransportBodyOfMany(t *testing.T, tr transport) {
	server := responding(t, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"+strings.Repeat("x", 1000))
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
	server := responding(t, okResponse)
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
	eventually(t, "all closed by CloseIdleConnections", gone)
	busy(tr, 1)
	if n := tr.idleTo(server.addr); n != 1 {
		t.Errorf("%d idle connections after that, want 1", n)
	}
	tr.CloseIdleConnections()

	tr = newTestTransport(t)
	tr.idleTime = time.Millisecond
	for range 2 {
		busy(tr, 3)
		eventually(t, "all expired", gone)
		eventually(t, "none idle", func() bool { return tr.idleTo(server.addr) == 0 })
	}
}
