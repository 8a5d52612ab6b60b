package graph

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/coder/websocket"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/veranda-go/veranda/internal/apierror"
	"github.com/veranda-go/veranda/internal/fastjson"
	"github.com/veranda-go/veranda/internal/httpapi"
)

// The protocol graphql-transport-ws, as its specification has it:
// github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md

const socketProtocol = "graphql-transport-ws"

// Codes with which the protocol closes a connection.
const (
	closeInvalid      = websocket.StatusCode(4400)
	closeUnauthorized = websocket.StatusCode(4401)
	closeProtocol     = websocket.StatusCode(4406)
	closeInitTimeout  = websocket.StatusCode(4408)
	closeDuplicate    = websocket.StatusCode(4409)
	closeManyInits    = websocket.StatusCode(4429)
)

const (
	// maxOperationID is the longest id of an operation in bytes.
	maxOperationID = 128
	// closeTimeout is how long a client may take to say goodbye.
	closeTimeout = 3 * time.Second
)

// isUpgrade tells whether a request wants to become a WebSocket.
func isUpgrade(r *http.Request) bool { return hasToken(r.Header, "Upgrade", "websocket") }

func hasToken(h http.Header, name, token string) bool {
	for t := range strings.SplitSeq(strings.Join(h.Values(name), ","), ",") {
		if strings.EqualFold(strings.TrimSpace(t), token) {
			return true
		}
	}
	return false
}

// refuseSocket checks what the library would refuse too, with an answer of
// another form.
func (d *Handler) refuseSocket(r *http.Request) *refusal {
	key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(r.Header.Get("Sec-WebSocket-Key")))
	switch {
	case r.Method != http.MethodGet || !hasToken(r.Header, "Connection", "Upgrade") ||
		err != nil || len(key) != 16 || len(r.Header.Values("Sec-WebSocket-Key")) != 1:
		return refuse(http.StatusBadRequest, codes[apierror.Invalid], "malformed WebSocket handshake")
	case r.Header.Get("Sec-WebSocket-Version") != "13":
		return refuse(http.StatusUpgradeRequired, codes[apierror.Invalid], "Sec-WebSocket-Version: must be 13")
	case !d.Origins.Trusts(r):
		// Browsers let any page open a WebSocket to anywhere, and read it.
		return refuse(http.StatusForbidden, codeOrigin, "Origin: not allowed to open a WebSocket")
	}
	return nil
}

// socket is one connection.
type socket struct {
	door   *Handler
	conn   *websocket.Conn
	rc     *http.ResponseController
	header http.Header
	ctx    context.Context // ends with the connection
	cancel context.CancelFunc

	ready   bool        // connection_init has come; the reader's alone
	waiting *time.Timer // for it

	mu      sync.Mutex
	active  map[string]*socketOperation
	running int // more than active: those that the client has left may not have ended yet
	all     sync.WaitGroup
}

type socketOperation struct{ cancel context.CancelFunc }

func (d *Handler) serveSocket(w http.ResponseWriter, r *http.Request) {
	if refused := d.refuseSocket(r); refused != nil {
		w.Header().Set("Sec-WebSocket-Version", "13")
		writeRefusal(w, mediaJSON, refused)
		return
	}
	ctx, drain, cancel, rc := httpapi.Stream(w, r)
	defer cancel()
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		Subprotocols:       []string{socketProtocol},
		InsecureSkipVerify: true, // refuseSocket has looked at the origin
	})
	if err != nil {
		d.log.DebugContext(ctx, "WebSocket not accepted", "err", err)
		return
	}
	header := r.Header.Clone()
	header.Del(httpapi.IdempotencyKeyHeader) // one key cannot mean each of many mutations
	s := &socket{door: d, conn: conn, rc: rc, header: header, ctx: ctx, cancel: cancel, active: map[string]*socketOperation{}}
	if conn.Subprotocol() != socketProtocol {
		s.close(closeProtocol, "Subprotocol not acceptable")
		return
	}
	conn.SetReadLimit(httpapi.MaxBody)
	s.waiting = time.AfterFunc(d.limits.init, func() { s.close(closeInitTimeout, "Connection initialisation timeout") })
	stop := context.AfterFunc(drain, func() { s.close(websocket.StatusGoingAway, "server is stopping") })
	s.all.Go(s.ping)
	s.read()
	s.waiting.Stop()
	stop()
	cancel()
	s.all.Wait()
	_ = conn.CloseNow()
}

// close says goodbye and ends the connection; the reader notices.
func (s *socket) close(code websocket.StatusCode, reason string) {
	// The library's own limit does not hold against a client that sends a long
	// message byte by byte.
	_ = s.rc.SetReadDeadline(time.Now().Add(closeTimeout))
	_ = s.conn.Close(code, reason)
}

// ping ends a connection whose client has gone without a word, or is stuck.
func (s *socket) ping() {
	tick := time.NewTicker(s.door.limits.KeepAlive)
	defer tick.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-tick.C:
		}
		ctx, cancel := context.WithTimeout(s.ctx, s.door.limits.KeepAlive)
		err := s.conn.Ping(ctx)
		cancel()
		if err != nil {
			s.cancel()
			return
		}
	}
}

// read takes messages until the connection ends.
func (s *socket) read() {
	for {
		kind, text, err := s.conn.Read(s.ctx)
		if err != nil {
			return
		}
		code, reason := closeInvalid, "Invalid message"
		if kind == websocket.MessageText {
			code, reason = s.take(text)
		}
		if code != 0 {
			s.close(code, reason)
			return
		}
	}
}

// take does what a message wants, or gives the code and the reason with which
// to close the connection.
func (s *socket) take(text []byte) (websocket.StatusCode, string) {
	m, err := httpapi.Object(text, "message")
	if err != nil {
		return closeInvalid, "Invalid message"
	}
	id, _ := m["id"].(string)
	payload, ok := m["payload"].(map[string]any)
	switch kind, _ := m["type"].(string); kind {
	case "connection_init":
		if s.ready {
			return closeManyInits, "Too many initialisation requests"
		}
		if m["payload"] != nil && !ok {
			return closeInvalid, "Invalid message"
		}
		s.ready = true
		s.waiting.Stop()
		s.send(func(b []byte) []byte { return append(b, `{"type":"connection_ack"}`...) })
	case "ping":
		s.send(func(b []byte) []byte { return append(b, `{"type":"pong"}`...) })
	case "pong":
	case "subscribe":
		switch {
		case !s.ready:
			return closeUnauthorized, "Unauthorized"
		case id == "" || len(id) > maxOperationID || !ok:
			return closeInvalid, "Invalid message"
		}
		return s.subscribe(id, payload)
	case "complete":
		s.mu.Lock()
		if o := s.active[id]; o != nil {
			o.cancel()
			delete(s.active, id) // at once: the client may use the id again
		}
		s.mu.Unlock()
	default:
		return closeInvalid, "Invalid message"
	}
	return 0, ""
}

// subscribe starts an operation.
func (s *socket) subscribe(id string, payload map[string]any) (websocket.StatusCode, string) {
	req, refused := readMembers(payload)
	ctx, cancel := context.WithCancel(s.ctx)
	o := &socketOperation{cancel}
	s.mu.Lock()
	again, full := s.active[id] != nil, s.running >= s.door.limits.operations
	if !again && !full {
		s.active[id] = o
		s.running++
	}
	s.mu.Unlock()
	switch {
	case again:
		cancel()
		return closeDuplicate, "Subscriber already exists"
	case full:
		cancel()
		// By the reader, not aside: who asks on and on without reading answers
		// must wait.
		err := coded(gqlerror.Errorf("operations: at most %d at once on one connection", s.door.limits.operations), codeTooMany)
		s.sendTo("error", id, func(b []byte) []byte { return appendJSON(b, gqlerror.List{err}) })
		return 0, ""
	}
	s.all.Go(func() {
		defer cancel()
		s.run(ctx, id, o, req, refused)
		s.mu.Lock()
		s.running--
		s.mu.Unlock()
	})
	return 0, ""
}

// run answers an operation to its end.
func (s *socket) run(ctx context.Context, id string, o *socketOperation, req *request, refused *refusal) {
	defer func() {
		// Out here a panic would end the process.
		if p := recover(); p != nil {
			s.door.log.ErrorContext(ctx, "panic in an operation", "panic", p, "stack", string(debug.Stack()))
			s.end(id, o, gqlerror.List{coded(gqlerror.Errorf("internal error"), codes[apierror.Internal])})
		}
	}()
	var op *graphql.OperationContext
	if refused == nil {
		op, refused = s.door.prepare(ctx, req, s.header)
	}
	if refused != nil {
		s.end(id, o, refused.errs)
		return
	}
	var failed gqlerror.List
	ended := s.door.stream(ctx, op, func(resp *graphql.Response) bool {
		if resp.Data == nil { // it could not even begin
			failed = resp.Errors
			return false
		}
		return ctx.Err() == nil && s.sendTo("next", id, func(b []byte) []byte { return appendResponse(b, resp) })
	})
	if ended || failed != nil {
		s.end(id, o, failed)
	}
}

// end tells the client that an operation is over, unless the client said so
// first.
func (s *socket) end(id string, o *socketOperation, errs gqlerror.List) {
	s.mu.Lock()
	mine := s.active[id] == o
	if mine {
		delete(s.active, id) // before the client knows, who may use the id again
	}
	s.mu.Unlock()
	switch {
	case !mine:
	case errs != nil:
		s.sendTo("error", id, func(b []byte) []byte { return appendJSON(b, errs) })
	default:
		s.sendTo("complete", id, nil)
	}
}

func (s *socket) sendTo(kind, id string, payload func([]byte) []byte) bool {
	return s.send(func(b []byte) []byte {
		b = fastjson.AppendString(fmt.Appendf(b, `{"type":%q,"id":`, kind), id)
		if payload != nil {
			b = payload(append(b, `,"payload":`...))
		}
		return append(b, '}')
	})
}

// send writes a message, or ends the connection of a client that does not take
// it in time. While it waits, the operation waits: nothing piles up here.
func (s *socket) send(message func([]byte) []byte) (ok bool) {
	ctx, cancel := context.WithTimeout(s.ctx, s.door.limits.Write)
	defer cancel()
	httpapi.WithBuffer(message, func(b []byte) {
		if ok = s.conn.Write(ctx, websocket.MessageText, b) == nil; !ok {
			s.cancel()
		}
	})
	return ok
}
