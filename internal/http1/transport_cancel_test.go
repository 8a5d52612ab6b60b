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

// stuck sends the start of a response and then waits until the client closes the
// connection. requested receives a value after the start.
func stuck(t *testing.T, start string) (server *rawBackend, requested chan struct{}) {
	requested = make(chan struct{}, 1)
	return rawServer(t, func(_ int64, c net.Conn, in *bufio.Reader) {
		if _, err := http.ReadRequest(in); err == nil {
			_, _ = io.WriteString(c, start)
			requested <- struct{}{}
			_, _ = io.Copy(io.Discard, in)
		}
	}), requested
}

// unfinished are starts of responses.
var unfinished = map[string]string{
	"before the head": "",
	"amid the head":   "HTTP/1.1 200 OK\r\nContent-",
	"before the body": "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n",
	"amid the body":   "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok",
	"amid a chunk":    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nok",
	"without an end":  "HTTP/1.1 200 OK\r\n\r\nok",
}

func TestTransportCanceled(t *testing.T) { eachTransport(t, testTransportCanceled) }

func testTransportCanceled(t *testing.T, tr transport) {
	for name, start := range unfinished {
		t.Run(name, func(t *testing.T) {
			server, requested := stuck(t, start)
			ctx, cancel := context.WithCancel(t.Context())
			go func() {
				<-requested
				cancel()
			}()
			if _, _, err := get(ctx, t, tr, server.addr, "/"); !errors.Is(err, context.Canceled) {
				t.Errorf("error %v", err)
			}
			if _, _, err := get(ctx, t, tr, server.addr, "/"); !errors.Is(err, context.Canceled) {
				t.Errorf("error %v", err)
			}
			if n := server.conns.Load(); n != 1 {
				t.Errorf("%d connections", n)
			}
			eventually(t, "connection closed", func() bool { return server.open.Load() == 0 })
		})
	}
}

func TestTransportDeadline(t *testing.T) { eachTransport(t, testTransportDeadline) }

func testTransportDeadline(t *testing.T, tr transport) {
	for name, start := range unfinished {
		t.Run(name, func(t *testing.T) {
			server, _ := stuck(t, start)
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			_, _, err := get(ctx, t, tr, server.addr, "/")
			var timeout net.Error
			if !errors.Is(err, context.DeadlineExceeded) || !errors.As(err, &timeout) || !timeout.Timeout() {
				t.Errorf("error %v", err)
			}
			if n := server.conns.Load(); n > 1 {
				t.Errorf("%d connections", n)
			}
			eventually(t, "connection closed", func() bool { return server.open.Load() == 0 })
		})
	}
}

// TestTransportContextEndsLater cancels the context of a call after its end, which
// must not affect the next call on the connection.
func TestTransportContextEndsLater(t *testing.T) { eachTransport(t, testTransportContextEndsLater) }

func testTransportContextEndsLater(t *testing.T, tr transport) {
	server := responding(t, okResponse)
	for range 100 {
		ctx, cancel := context.WithCancel(t.Context())
		if _, body, err := get(ctx, t, tr, server.addr, "/"); err != nil || body != "ok" {
			t.Fatal(body, err)
		}
		cancel()
	}
	if n := server.conns.Load(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
}

// TestTransportContextEndsUnseen cancels the context when the response is in the
// buffer. It is read to its end, but its connection, which may be cut at any
// moment, is not kept.
func TestTransportContextEndsUnseen(t *testing.T) {
	t.Parallel()
	server := responding(t, okResponse)
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

// TestTransportContextEndsAmid has contexts end at any point of a call. The call
// returns the complete response or the context's error, and later calls are not
// affected.
func TestTransportContextEndsAmid(t *testing.T) { eachTransport(t, testTransportContextEndsAmid) }

func testTransportContextEndsAmid(t *testing.T, tr transport) {
	server := responding(t, okResponse)
	for i := range 500 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i)*time.Microsecond)
		_, body, err := get(ctx, t, tr, server.addr, "/")
		if err != nil && !errors.Is(err, context.DeadlineExceeded) || err == nil && body != "ok" {
			t.Errorf("%q, %v", body, err)
		}
		cancel()
		if _, body, err := get(t.Context(), t, tr, server.addr, "/"); err != nil || body != "ok" {
			t.Errorf("the next: %q, %v", body, err)
		}
	}
}

func TestTransportCloseEarly(t *testing.T) { eachTransport(t, testTransportCloseEarly) }

func testTransportCloseEarly(t *testing.T, tr transport) {
	server := responding(t, okResponse)
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
	_, fast := tr.(*Transport) // net/http's error is not exported
	if n, err := resp.Body.Read(make([]byte, 1)); n != 0 || err == nil || fast && !errors.Is(err, http.ErrBodyReadAfterClose) {
		t.Errorf("%d, %v", n, err)
	}
	eventually(t, "connection closed", func() bool { return server.open.Load() == 0 })
	if _, body, err := get(t.Context(), t, tr, server.addr, "/"); err != nil || body != "ok" || server.conns.Load() != 2 {
		t.Errorf("%q, %v, %d connections", body, err, server.conns.Load())
	}
}
