package http1

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// stuck answers with start and then waits for the other side to hang up.
func stuck(t *testing.T, start string) (server *rawBackend, asked chan struct{}) {
	asked = make(chan struct{}, 1)
	return rawServer(t, func(_ int64, c net.Conn, in *bufio.Reader) {
		if _, err := http.ReadRequest(in); err == nil {
			_, _ = io.WriteString(c, start)
			asked <- struct{}{}
			_, _ = io.Copy(io.Discard, in)
		}
	}), asked
}

var unfinished = map[string]string{
	"before the head": "",
	"amid the head":   "HTTP/1.1 200 OK\r\nContent-",
	"before the body": "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n",
	"amid the body":   "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok",
	"amid a chunk":    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nok",
	"without an end":  "HTTP/1.1 200 OK\r\n\r\nok",
}

func TestTransportCancelled(t *testing.T) {
	t.Parallel()
	for name, start := range unfinished {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, asked := stuck(t, start)
			ctx, cancel := context.WithCancel(t.Context())
			go func() {
				<-asked
				cancel()
			}()
			tr := newTestTransport(t)
			if _, _, err := ask(ctx, t, tr, server.addr, "/"); !errors.Is(err, context.Canceled) {
				t.Errorf("error %v", err)
			}
			if _, _, err := ask(ctx, t, tr, server.addr, "/"); !errors.Is(err, context.Canceled) {
				t.Errorf("error %v", err)
			}
			if n := server.conns.Load(); n != 1 || tr.idleTo(server.addr) != 0 {
				t.Errorf("%d connections, %d idle", n, tr.idleTo(server.addr))
			}
			eventually(t, "connection closed", func() bool { return server.open.Load() == 0 })
		})
	}
}

func TestTransportDeadline(t *testing.T) {
	t.Parallel()
	for name, start := range unfinished {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, _ := stuck(t, start)
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			tr := newTestTransport(t)
			_, _, err := ask(ctx, t, tr, server.addr, "/")
			var timeout net.Error
			if !errors.Is(err, context.DeadlineExceeded) || !errors.As(err, &timeout) || !timeout.Timeout() {
				t.Errorf("error %v", err)
			}
			if n := server.conns.Load(); n > 1 || tr.idleTo(server.addr) != 0 {
				t.Errorf("%d connections, %d idle", n, tr.idleTo(server.addr))
			}
			eventually(t, "connection closed", func() bool { return server.open.Load() == 0 })
		})
	}
}

// TestTransportContextEndsLater: what the context of one call does after its
// end does not reach the next call on the connection.
func TestTransportContextEndsLater(t *testing.T) { eachTransport(t, testTransportContextEndsLater) }

func testTransportContextEndsLater(t *testing.T, tr http.RoundTripper) {
	server := saying(t, okAnswer)
	for range 100 {
		ctx, cancel := context.WithCancel(t.Context())
		if _, body, err := ask(ctx, t, tr, server.addr, "/"); err != nil || body != "ok" {
			t.Fatal(body, err)
		}
		cancel()
	}
	if n := server.conns.Load(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
}

// TestTransportContextEndsUnseen: the context ends when all of the answer is
// there. It is given, but its connection, whose deadline may have passed or
// may be about to, is not kept.
func TestTransportContextEndsUnseen(t *testing.T) {
	t.Parallel()
	server := saying(t, okAnswer)
	tr := newTestTransport(t)
	ctx, cancel := context.WithCancel(t.Context())
	resp, err := tr.RoundTrip(transportRequest(ctx, t, http.MethodGet, "http://"+server.addr))
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	body, err := io.ReadAll(resp.Body)
	if err != nil || string(body) != "ok" {
		t.Errorf("%q, %v", body, err)
	}
	if n := tr.idleTo(server.addr); n != 0 {
		t.Errorf("%d connections kept", n)
	}
}

// TestTransportContextEndsAmid has contexts end anywhere in a call: it gives
// the whole answer or the context's error, and later calls are not touched.
func TestTransportContextEndsAmid(t *testing.T) { eachTransport(t, testTransportContextEndsAmid) }

func testTransportContextEndsAmid(t *testing.T, tr http.RoundTripper) {
	server := saying(t, okAnswer)
	for i := range 500 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i)*time.Microsecond)
		_, body, err := ask(ctx, t, tr, server.addr, "/")
		if err != nil && !errors.Is(err, context.DeadlineExceeded) || err == nil && body != "ok" {
			t.Errorf("%q, %v", body, err)
		}
		cancel()
		if _, body, err := ask(t.Context(), t, tr, server.addr, "/"); err != nil || body != "ok" {
			t.Errorf("the next: %q, %v", body, err)
		}
	}
}

func TestTransportCloseEarly(t *testing.T) {
	t.Parallel()
	tr := newTestTransport(t)
	server := saying(t, okAnswer)
	resp, err := tr.RoundTrip(transportRequest(t.Context(), t, http.MethodGet, "http://"+server.addr))
	if err != nil {
		t.Fatal(err)
	}
	if n, err := resp.Body.Read(make([]byte, 1)); n != 1 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	for range 2 {
		if err := resp.Body.Close(); err != nil {
			t.Error(err)
		}
	}
	if n, err := resp.Body.Read(make([]byte, 1)); n != 0 || !errors.Is(err, http.ErrBodyReadAfterClose) {
		t.Errorf("%d, %v", n, err)
	}
	eventually(t, "connection closed", func() bool { return server.open.Load() == 0 })
	if _, body, err := ask(t.Context(), t, tr, server.addr, "/"); err != nil || body != "ok" || server.conns.Load() != 2 {
		t.Errorf("%q, %v, %d connections", body, err, server.conns.Load())
	}
}
