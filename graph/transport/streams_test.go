package transport

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"runtime/pprof"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/veranda-go/veranda/graph/errcode"
	"github.com/veranda-go/veranda/internal/httpapi"
)

// peer is the client's end of a WebSocket.
type peer struct {
	*websocket.Conn
	t *testing.T
}

func dial(t *testing.T, address string, headers ...string) peer {
	t.Helper()
	opts := &websocket.DialOptions{Subprotocols: []string{subprotocol}, HTTPHeader: http.Header{}}
	for i := 0; i < len(headers); i += 2 {
		opts.HTTPHeader.Set(headers[i], headers[i+1])
	}
	conn, resp, err := websocket.Dial(t.Context(), address, opts)
	if err != nil {
		t.Fatalf("%v, %v", err, resp)
	}
	conn.SetReadLimit(1 << 20)
	t.Cleanup(func() { conn.CloseNow() })
	return peer{conn, t}
}

func (p peer) say(messages ...string) {
	p.t.Helper()
	for _, m := range messages {
		if err := p.Write(p.t.Context(), websocket.MessageText, []byte(m)); err != nil {
			p.t.Fatal(err)
		}
	}
}

// hear expects these messages next.
func (p peer) hear(want ...string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), 20*time.Second)
	defer cancel()
	for _, w := range want {
		_, text, err := p.Read(ctx)
		if err != nil {
			p.t.Fatalf("%v, want %s", err, w)
		}
		if !strings.Contains(string(text), w) || !json.Valid(text) {
			p.t.Fatalf("%s, want %s", text, w)
		}
	}
}

// closed expects the connection to close with a code, after any messages.
func (p peer) closed(code websocket.StatusCode) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), 20*time.Second)
	defer cancel()
	for {
		if _, _, err := p.Read(ctx); err != nil {
			if got := websocket.CloseStatus(err); got != code {
				p.t.Errorf("closed with %v, want %v", err, code)
			}
			return
		}
	}
}

const (
	initial = `{"type":"connection_init"}`
	ack     = `{"type":"connection_ack"}`
)

func subscribe(id, query string) string {
	return fmt.Sprintf(`{"id":%q,"type":"subscribe","payload":{"query":%q}}`, id, query)
}

func TestWebSocket(t *testing.T) {
	t.Parallel()
	p, _, address := serveFake(t, nil)
	c := dial(t, address)
	c.say(`{"type":"connection_init","payload":{"token":"x"}}`)
	c.hear(ack)
	c.say(`{"type":"ping","payload":{"n":1}}`)
	c.hear(`{"type":"pong"}`)
	c.say(`{"type":"pong"}`, subscribe("a", "{now}"))
	c.hear(`{"type":"next","id":"a","payload":{"data":{"now":1}}}`, `{"type":"complete","id":"a"}`)
	c.say(subscribe("a", "mutation {change}"))
	c.hear(`{"change":1}`, `"complete"`)
	c.say(`{"id":"ü\"","type":"subscribe","payload":{"query":"subscription S($n:Int!){count(to:$n)}","operationName":"S","variables":{"n":3},"extensions":null}}`)
	for range 3 {
		c.hear(`{"type":"next","id":"ü\"","payload":{"data":{"count":1}}}`)
	}
	c.hear(`{"type":"complete","id":"ü\""}`)
	c.say(subscribe("b", "{partial}"))
	c.hear(`"payload":{"errors":[{"message":"half"}],"data":{"partial":null}}`, `"complete"`)
	for query, want := range map[string]string{
		"{": errcode.ParseFailed, "{x}": errcode.ValidationFailed, "": "query: required",
		"subscription {refused}": "not today", "{panic}": "INTERNAL",
	} {
		c.say(subscribe("e", query))
		_, text, err := c.Read(t.Context())
		if err != nil || !strings.HasPrefix(string(text), `{"type":"error","id":"e","payload":[{`) || !strings.Contains(string(text), want) {
			t.Errorf("%s: %s, %v", query, text, err)
		}
	}
	c.say(`{"id":"v","type":"subscribe","payload":{"query":1}}`)
	c.hear(`query: must be a string`)

	// An operation that the client completes ends without a message, and its id
	// is free.
	c.say(subscribe("s", "subscription {silence}"))
	eventually(t, "subscribing", func() bool { return p.sources.Load() == 1 })
	c.say(`{"id":"s","type":"complete"}`, `{"id":"unknown","type":"complete"}`, subscribe("s", "{now}"))
	c.hear(`{"type":"next","id":"s"`, `{"type":"complete","id":"s"}`)
	eventually(t, "unsubscribing", func() bool { return p.sources.Load() == 0 })
	if err := c.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Error(err)
	}
}

func TestWebSocketViolations(t *testing.T) {
	t.Parallel()
	_, _, address := serveFake(t, nil)
	for _, test := range []struct {
		name string
		say  []string
		code websocket.StatusCode
	}{
		{"subscribe before init", []string{subscribe("a", "{now}")}, 4401},
		{"two inits", []string{initial, initial}, 4429},
		{"id in use", []string{initial, subscribe("a", "subscription {silence}"), subscribe("a", "{now}")}, 4409},
		{"no JSON", []string{"hello"}, 4400},
		{"a list", []string{"[]"}, 4400},
		{"no type", []string{"{}"}, 4400},
		{"unknown type", []string{`{"type":"start"}`}, 4400},
		{"type of another type", []string{`{"type":1}`}, 4400},
		{"init with a list", []string{`{"type":"connection_init","payload":[]}`}, 4400},
		{"no id", []string{initial, `{"type":"subscribe","payload":{"query":"{now}"}}`}, 4400},
		{"empty id", []string{initial, subscribe("", "{now}")}, 4400},
		{"long id", []string{initial, subscribe(strings.Repeat("x", maxOperationID+1), "{now}")}, 4400},
		{"no payload", []string{initial, `{"id":"a","type":"subscribe"}`}, 4400},
		{"repeated name", []string{initial, `{"id":"a","id":"b","type":"subscribe","payload":{"query":"{now}"}}`}, 4400},
		{"deep", []string{initial, `{"type":"ping","payload":` + strings.Repeat("[", 20000) + strings.Repeat("]", 20000) + `}`}, 4400},
		{"too large", []string{initial, subscribe("a", strings.Repeat(" ", httpapi.MaxBody))}, websocket.StatusMessageTooBig},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := dial(t, address)
			c.say(test.say...)
			c.closed(test.code)
		})
	}
	t.Run("binary", func(t *testing.T) {
		t.Parallel()
		c := dial(t, address)
		if err := c.Write(t.Context(), websocket.MessageBinary, []byte(initial)); err != nil {
			t.Fatal(err)
		}
		c.closed(4400)
	})
	t.Run("other protocol", func(t *testing.T) {
		t.Parallel()
		conn, _, err := websocket.Dial(t.Context(), address, &websocket.DialOptions{Subprotocols: []string{"graphql-ws"}})
		if err != nil {
			t.Fatal(err)
		}
		peer{conn, t}.closed(4406)
	})
}

func TestWebSocketHandshake(t *testing.T) {
	t.Parallel()
	_, _, address := serveFake(t, func(h *Handler) {
		var err error
		if h.Origins, err = httpapi.ParseOrigins("https://a.example"); err != nil {
			t.Fatal(err)
		}
	})
	good := []string{"Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA==",
		"Sec-WebSocket-Protocol", subprotocol}
	for _, test := range []struct {
		name, method string
		change       []string
		status       int
	}{
		{"good", "GET", nil, 101},
		{"own page", "GET", []string{"Origin", strings.TrimSuffix(address, "/graphql")}, 101},
		{"allowed page", "GET", []string{"Origin", "https://a.example"}, 101},
		{"foreign page", "GET", []string{"Origin", "https://b.example"}, 403},
		{"sandboxed page", "GET", []string{"Origin", "null"}, 403},
		{"POST", "POST", nil, 400},
		{"old version", "GET", []string{"Sec-WebSocket-Version", "8"}, 426},
		{"no key", "GET", []string{"Sec-WebSocket-Key", ""}, 400},
		{"bad key", "GET", []string{"Sec-WebSocket-Key", "x"}, 400},
		{"no Connection", "GET", []string{"Connection", "keep-alive"}, 400},
	} {
		req, err := http.NewRequestWithContext(t.Context(), test.method, address, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, list := range [][]string{good, test.change} {
			for i := 0; i < len(list); i += 2 {
				req.Header.Set(list[i], list[i+1])
			}
		}
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		if resp.StatusCode != test.status {
			t.Errorf("%s: %d, want %d", test.name, resp.StatusCode, test.status)
		}
		if resp.StatusCode != 101 {
			if body, err := io.ReadAll(resp.Body); err != nil || !strings.HasPrefix(string(body), `{"errors":[{"message":`) {
				t.Errorf("%s: %s, %v", test.name, body, err)
			}
		}
		resp.Body.Close()
	}
}

func TestWebSocketInitTimeout(t *testing.T) {
	t.Parallel()
	_, _, address := serveFake(t, func(h *Handler) { h.limits.init = 50 * time.Millisecond })
	dial(t, address).closed(4408)
}

func TestWebSocketOperations(t *testing.T) {
	t.Parallel()
	p, _, address := serveFake(t, func(h *Handler) { h.limits.operations = 3 })
	c := dial(t, address)
	c.say(initial)
	c.hear(ack)
	for i := range 3 {
		c.say(subscribe(fmt.Sprint(i), "subscription {silence}"))
	}
	c.say(subscribe("more", "{now}"))
	c.hear(errcode.TooManyOperations)
	c.say(`{"id":"1","type":"complete"}`)
	eventually(t, "unsubscribing", func() bool { return p.sources.Load() == 2 })
	eventually(t, "room for another", func() bool {
		c.say(subscribe("another", "{now}"))
		_, text, err := c.Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return strings.Contains(string(text), `"next"`)
	})
}

func TestWebSocketDeadline(t *testing.T) {
	t.Parallel()
	_, _, address := serveFake(t, func(h *Handler) { h.limits.response = 20 * time.Millisecond })
	c := dial(t, address)
	c.say(initial, subscribe("a", "{stuck}"))
	c.hear(ack, "late", `"complete"`)
}

// events reads server-sent events until complete or the end; comments are ":".
func events(t *testing.T, body io.Reader) (list []string) {
	t.Helper()
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, 1<<20)
	event := ""
	for lines.Scan() {
		line := lines.Text()
		switch {
		case line == "":
			list = append(list, event)
			event = ""
		case strings.HasPrefix(line, "event: "):
			event = strings.TrimPrefix(line, "event: ")
		case strings.HasPrefix(line, "data: "):
			event += " " + strings.TrimPrefix(line, "data: ")
		case line == ":":
			event = ":"
		default:
			t.Errorf("line %q", line)
		}
	}
	if err := lines.Err(); err != nil {
		t.Error(err)
	}
	return list
}

func TestEvents(t *testing.T) {
	t.Parallel()
	_, _, address := serveFake(t, func(h *Handler) { h.limits.response = time.Second })
	for _, test := range []struct {
		query string
		want  []string
	}{
		{"{now}", []string{":", `next {"data":{"now":1}}`, "complete "}},
		{"mutation {change}", []string{":", `next {"data":{"change":1}}`, "complete "}},
		{"subscription {count(to: 2)}", []string{":", "complete "}}, // the fake reads variables alone
		{"{", []string{":", errcode.ParseFailed, "complete "}},
		{"subscription {refused}", []string{":", `next {"errors":[{"message":"not today"}]}`, "complete "}},
		{"{stuck}", []string{":", "late", "complete "}},
	} {
		body, _ := json.Marshal(map[string]any{"query": test.query})
		resp, text := try(t, "POST", address, string(body), "Accept", mediaEvents)
		got := events(t, strings.NewReader(text))
		ok := len(got) == len(test.want) && resp.StatusCode == 200 && strings.HasPrefix(resp.Header.Get("Content-Type"), mediaEvents)
		for i := range got {
			ok = ok && strings.Contains(got[i], test.want[i])
		}
		if !ok {
			t.Errorf("%s: %d %q, want %q", test.query, resp.StatusCode, got, test.want)
		}
	}
	counting := get(address, "query", "subscription($n: Int!) {count(to: $n)}", "variables", `{"n":3}`)
	resp, text := try(t, "GET", counting, "", "Accept", mediaJSON+", "+mediaEvents)
	if got := events(t, strings.NewReader(text)); len(got) != 5 || resp.StatusCode != 200 {
		t.Errorf("by GET: %d %q", resp.StatusCode, got)
	}
	if resp, text := try(t, "POST", address, "{", "Accept", mediaEvents); resp.StatusCode != 400 || !strings.HasPrefix(text, `{"errors":`) {
		t.Errorf("malformed: %d %s", resp.StatusCode, text)
	}
}

func TestEventsKeepAlive(t *testing.T) {
	t.Parallel()
	p, _, address := serveFake(t, func(h *Handler) { h.limits.KeepAlive = 10 * time.Millisecond })
	ctx, cancel := context.WithCancel(t.Context())
	req, _ := http.NewRequestWithContext(ctx, "GET", get(address, "query", "subscription {silence}"), nil)
	req.Header.Set("Accept", mediaEvents)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewReader(resp.Body)
	for range 10 { // five comments
		if _, err := lines.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	eventually(t, "leaving", func() bool { return p.sources.Load() == 0 })
}

// TestStop stops the server, which ends a WebSocket with 1001 and server-sent
// events without "complete", so that clients of both reconnect.
func TestStop(t *testing.T) {
	t.Parallel()
	p, srv, address := serveFake(t, nil)
	c := dial(t, address)
	c.say(initial, subscribe("a", "subscription {silence}"))
	c.hear(ack)
	req, _ := http.NewRequestWithContext(t.Context(), "GET", get(address, "query", "subscription {silence}"), nil)
	req.Header.Set("Accept", mediaEvents)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	eventually(t, "subscribing", func() bool { return p.sources.Load() == 2 })
	srv.Drain()
	if p.sources.Load() != 2 {
		t.Error("streams ended before the listener closed")
	}
	stopped := make(chan error, 1)
	go func() { stopped <- srv.Stop() }()
	c.closed(websocket.StatusGoingAway)
	if got := events(t, resp.Body); len(got) != 1 || got[0] != ":" {
		t.Errorf("events: %q", got)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if n := p.sources.Load(); n != 0 {
		t.Errorf("%d sources outlive the server", n)
	}
}

// TestNoLeaks counts goroutines after clients of every bad kind. It does not
// run in parallel with other tests.
func TestNoLeaks(t *testing.T) {
	const clients = 20
	p, _, address := serveFake(t, func(h *Handler) {
		h.limits.StreamLimits = httpapi.StreamLimits{KeepAlive: 100 * time.Millisecond, Write: 200 * time.Millisecond}
	})
	host := strings.TrimSuffix(strings.TrimPrefix(address, "http://"), "/graphql")
	try(t, "GET", get(address, "query", "{now}"), "") // the server is up then
	http.DefaultClient.CloseIdleConnections()
	before := runtime.NumGoroutine()

	raw := func(request string) net.Conn {
		conn, err := net.Dial("tcp", host)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, strings.ReplaceAll(request, "\n", "\r\n")); err != nil {
			t.Fatal(err)
		}
		return conn
	}
	const handshake = "GET /graphql HTTP/1.1\nHost: x\nConnection: Upgrade\nUpgrade: websocket\nSec-WebSocket-Version: 13\n" +
		"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\nSec-WebSocket-Protocol: graphql-transport-ws\n\n"
	const flood = "GET /graphql?query=subscription%7Bflood%7D HTTP/1.1\nHost: x\nAccept: text/event-stream\n\n"
	const silence = "GET /graphql?query=subscription%7Bsilence%7D HTTP/1.1\nHost: x\nAccept: text/event-stream\n\n"
	kinds := map[string]func() net.Conn{
		"events, never read": func() net.Conn { return raw(flood) },
		"WebSocket, never read": func() net.Conn {
			c := raw(handshake)
			frame(c, initial)
			frame(c, subscribe("a", "subscription {flood}"))
			return c
		},
		"WebSocket, no answer to ping": func() net.Conn {
			c := raw(handshake)
			frame(c, initial)
			frame(c, subscribe("a", "subscription {silence}"))
			return c
		},
		"WebSocket, endless message": func() net.Conn {
			c := raw(handshake)
			frame(c, initial)
			c.Write([]byte{0x81, 0xfe, 0xff, 0x00, 0, 0, 0, 0}) // a text of 65,280 bytes, of which none comes
			return c
		},
		"WebSocket, silent from the start": func() net.Conn { return raw(handshake) },
	}
	for name, open := range kinds {
		conns := make([]net.Conn, clients)
		for i := range conns {
			conns[i] = open()
		}
		for _, c := range conns {
			// The server closes the connection, sooner or later.
			c.SetReadDeadline(time.Now().Add(20 * time.Second))
			if strings.Contains(name, "never read") {
				continue
			}
			if _, err := io.Copy(io.Discard, c); err != nil && errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s: not cut off", name)
			}
		}
		eventually(t, name+": the source", func() bool { return p.sources.Load() == 0 })
		for _, c := range conns {
			c.Close()
		}
	}
	// Clients that close the connection without a close frame.
	for _, request := range []string{silence, flood, handshake} {
		for range clients {
			conn := raw(request)
			if request == handshake {
				frame(conn, initial)
				frame(conn, subscribe("a", "subscription {flood}"))
			}
			if _, err := conn.Read(make([]byte, 100)); err != nil {
				t.Fatal(err)
			}
			conn.Close()
		}
	}
	deadline := time.Now().Add(20 * time.Second)
	// The goroutine that served the first request may be counted in before.
	for runtime.NumGoroutine() > before || p.sources.Load() > 0 {
		if time.Now().After(deadline) {
			var profile strings.Builder
			_ = pprof.Lookup("goroutine").WriteTo(&profile, 1)
			t.Fatalf("%d goroutines, %d before, %d sources\n%s", runtime.NumGoroutine(), before, p.sources.Load(), profile.String())
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Logf("%d events were sent to clients that read none", p.sent.Load())
}

// frame writes a text frame as a client does, masked by zero.
func frame(w io.Writer, text string) {
	b := []byte{0x81, 0x80 | byte(len(text))}
	if len(text) > 125 {
		b = binary.BigEndian.AppendUint16([]byte{0x81, 0x80 | 126}, uint16(len(text)))
	}
	_, _ = w.Write(append(append(b, 0, 0, 0, 0), text...))
}
