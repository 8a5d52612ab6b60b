package transport

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

	"github.com/veranda-go/veranda/graph/errcode"
	"github.com/veranda-go/veranda/graph/prepare"
	"github.com/veranda-go/veranda/internal/fastjson"
	"github.com/veranda-go/veranda/internal/httpapi"
	"github.com/veranda-go/veranda/internal/idempotency"
)

// subprotocol is specified in
// github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md.
const subprotocol = "graphql-transport-ws"

// Close codes of the protocol.
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
	// closeTimeout is how long a client may take to answer a close frame.
	closeTimeout = 3 * time.Second
)

// isUpgrade reports whether a request wants to become a WebSocket.
func isUpgrade(r *http.Request) bool { return hasToken(r.Header, "Upgrade", "websocket") }

// checkHandshake refuses a handshake that the library would refuse too, but
// with a GraphQL response, and origins that are not allowed.
func (h *Handler) checkHandshake(r *http.Request) *prepare.RequestError {
	key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(r.Header.Get("Sec-WebSocket-Key")))
	switch {
	case r.Method != http.MethodGet || !hasToken(r.Header, "Connection", "Upgrade") ||
		err != nil || len(key) != 16 || len(r.Header.Values("Sec-WebSocket-Key")) != 1:
		return prepare.Malformed(http.StatusBadRequest, errcode.BadInput, "malformed WebSocket handshake")
	case r.Header.Get("Sec-WebSocket-Version") != "13":
		return prepare.Malformed(http.StatusUpgradeRequired, errcode.BadInput, "Sec-WebSocket-Version: must be 13")
	case !h.Origins.Trusts(r):
		// Browsers let any page open and read a WebSocket of another site.
		return prepare.Malformed(http.StatusForbidden, errcode.OriginNotAllowed, "Origin: not allowed to open a WebSocket")
	}
	return nil
}

// socket is one connection.
type socket struct {
	handler *Handler
	conn    *websocket.Conn
	rc      *http.ResponseController
	header  http.Header     // of the handshake
	ctx     context.Context // ends with the connection
	cancel  context.CancelFunc

	ready   bool        // connection_init was received; used by the reader alone
	waiting *time.Timer // closes the connection if it is not

	mu      sync.Mutex
	active  map[string]*activeOperation
	running int // also those that the client has completed and that have not ended yet
	all     sync.WaitGroup
}

// activeOperation is an operation that the client has not completed.
type activeOperation struct{ cancel context.CancelFunc }

func (h *Handler) serveWebSocket(w http.ResponseWriter, r *http.Request) {
	if refused := h.checkHandshake(r); refused != nil {
		w.Header().Set("Sec-WebSocket-Version", "13")
		writeError(w, mediaJSON, refused)
		return
	}
	ctx, drain, cancel, rc := httpapi.Stream(w, r)
	defer cancel()
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		Subprotocols:       []string{subprotocol},
		InsecureSkipVerify: true, // checkHandshake has checked the origin
	})
	if err != nil {
		h.log.DebugContext(ctx, "WebSocket not accepted", "err", err)
		return
	}
	header := r.Header.Clone()
	header.Del(idempotency.Header) // one key cannot serve several mutations
	s := &socket{handler: h, conn: conn, rc: rc, header: header, ctx: ctx, cancel: cancel, active: map[string]*activeOperation{}}
	if conn.Subprotocol() != subprotocol {
		s.close(closeProtocol, "Subprotocol not acceptable")
		return
	}
	conn.SetReadLimit(httpapi.MaxBody)
	s.waiting = time.AfterFunc(h.limits.init, func() { s.close(closeInitTimeout, "Connection initialisation timeout") })
	stop := context.AfterFunc(drain, func() { s.close(websocket.StatusGoingAway, "server is stopping") })
	s.all.Go(s.ping)
	s.read()
	s.waiting.Stop()
	stop()
	cancel()
	s.all.Wait()
	_ = conn.CloseNow()
}

// close sends a close frame and ends the connection and with it the reader.
func (s *socket) close(code websocket.StatusCode, reason string) {
	// The library's own limit does not apply to a client that sends a long
	// message byte by byte.
	_ = s.rc.SetReadDeadline(time.Now().Add(closeTimeout))
	_ = s.conn.Close(code, reason)
}

// ping ends a connection whose client does not answer pings.
func (s *socket) ping() {
	tick := time.NewTicker(s.handler.limits.KeepAlive)
	defer tick.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-tick.C:
		}
		ctx, cancel := context.WithTimeout(s.ctx, s.handler.limits.KeepAlive)
		err := s.conn.Ping(ctx)
		cancel()
		if err != nil {
			s.cancel()
			return
		}
	}
}

// read handles messages until the connection ends.
func (s *socket) read() {
	for {
		kind, text, err := s.conn.Read(s.ctx)
		if err != nil {
			return
		}
		code, reason := closeInvalid, "Invalid message"
		if kind == websocket.MessageText {
			code, reason = s.handle(text)
		}
		if code != 0 {
			s.close(code, reason)
			return
		}
	}
}

// handle handles a message. It returns a code and a reason to close the
// connection, or 0.
func (s *socket) handle(text []byte) (websocket.StatusCode, string) {
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
			delete(s.active, id) // now: the client may use the id again
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
	o := &activeOperation{cancel}
	s.mu.Lock()
	duplicate, full := s.active[id] != nil, s.running >= s.handler.limits.operations
	if !duplicate && !full {
		s.active[id] = o
		s.running++
	}
	s.mu.Unlock()
	switch {
	case duplicate:
		cancel()
		return closeDuplicate, "Subscriber already exists"
	case full:
		cancel()
		// The reader itself writes this, so a client that does not read responses
		// cannot go on sending.
		err := errcode.Errorf(errcode.TooManyOperations, "operations: at most %d at once on one connection", s.handler.limits.operations)
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

// run runs an operation to its end.
func (s *socket) run(ctx context.Context, id string, o *activeOperation, req *prepare.Request, refused *prepare.RequestError) {
	defer func() {
		// In a goroutine of its own a panic would end the process.
		if p := recover(); p != nil {
			s.handler.log.ErrorContext(ctx, "panic in an operation", "panic", p, "stack", string(debug.Stack()))
			s.end(id, o, gqlerror.List{errcode.Errorf(errcode.Internal, "internal error")})
		}
	}()
	var op *prepare.Operation
	if refused == nil {
		req.Header = s.header
		op, refused = s.handler.preparer.Prepare(req)
	}
	if refused != nil {
		s.end(id, o, refused.Errors)
		return
	}
	var failed gqlerror.List
	ended := s.handler.stream(ctx, op, func(resp *graphql.Response) bool {
		if resp.Data == nil { // the operation did not start
			failed = resp.Errors
			return false
		}
		return ctx.Err() == nil && s.sendTo("next", id, func(b []byte) []byte { return appendResponse(b, resp) })
	})
	if ended || failed != nil {
		s.end(id, o, failed)
	}
}

// end tells the client that an operation has ended, unless the client has
// completed it.
func (s *socket) end(id string, o *activeOperation, errs gqlerror.List) {
	s.mu.Lock()
	mine := s.active[id] == o
	if mine {
		delete(s.active, id) // before the client is told and may use the id again
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

// send writes a message. It ends the connection of a client that does not read
// it in time. The operation waits meanwhile, so no messages queue up.
func (s *socket) send(message func([]byte) []byte) (ok bool) {
	ctx, cancel := context.WithTimeout(s.ctx, s.handler.limits.Write)
	defer cancel()
	httpapi.WithBuffer(message, func(b []byte) {
		if ok = s.conn.Write(ctx, websocket.MessageText, b) == nil; !ok {
			s.cancel()
		}
	})
	return ok
}
