package http1

import (
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"
)

const (
	// maxHeld is how many bytes of a response are buffered, so that it can be sent
	// at once and with its length.
	maxHeld = 64 << 10
	// sniffed is how many bytes of a body http.DetectContentType uses.
	sniffed = 512
	// maxKept is the largest buffer, in bytes, that is kept for the next response.
	maxKept = 64 << 10
)

// responseBuffers are for responses in progress. Idle connections have none.
var responseBuffers = sync.Pool{New: func() any { return new([]byte) }}

// response is an http.ResponseWriter. A connection uses one for its requests, one
// after the other.
type response struct {
	conn   *conn
	req    *http.Request
	header http.Header
	names  []string // of header, in order

	status    int
	announced int64 // the handler's Content-Length, -1 if there is none
	written   int64 // by the handler, in bytes
	untyped   bool  // no Content-Type yet
	begun     bool  // the head is complete
	chunked   bool
	pooled    *[]byte
	out       []byte // the head, and what follows it; of pooled
	held      []byte // body that waits for the head
	err       error  // of the connection
}

func (w *response) reset(c *conn, req *http.Request) {
	if w.header == nil {
		w.header = make(http.Header, 8)
	}
	clear(w.header)
	*w = response{conn: c, req: req, header: w.header, names: w.names[:0], announced: -1, pooled: responseBuffers.Get().(*[]byte)}
	w.out = (*w.pooled)[:0]
}

// Header implements http.ResponseWriter.
func (w *response) Header() http.Header { return w.header }

// WriteHeader implements http.ResponseWriter. Interim responses (1xx) are not
// sent: net/http serves the requests that expect one.
func (w *response) WriteHeader(status int) {
	if w.status != 0 || status < 200 {
		return
	}
	w.status = status
	b := append(w.out, "HTTP/1.1 "...)
	b = strconv.AppendInt(b, int64(status), 10)
	b = append(append(append(b, ' '), http.StatusText(status)...), "\r\n"...)
	for name := range w.header {
		w.names = append(w.names, name)
	}
	slices.Sort(w.names)
	w.untyped = true
	for _, name := range w.names {
		values := w.header[name]
		switch name {
		case "Content-Length":
			if bodyAllowed(status) && len(values) == 1 && !readLength(values[0], &w.announced) {
				w.announced = -1
			}
			continue
		case "Connection":
			w.req.Close = w.req.Close || len(values) == 1 && values[0] == "close"
			continue
		case "Transfer-Encoding", "Date":
			continue // the server sets these
		case "Content-Type":
			w.untyped = false
			if status == http.StatusNotModified {
				continue // the client has it (RFC 9110, section 15.4.5)
			}
		}
		for _, v := range values {
			b = append(append(b, name...), ": "...)
			start := len(b)
			b = append(append(b, v...), "\r\n"...)
			for i, c := range b[start : len(b)-2] {
				if c == '\r' || c == '\n' {
					b[start+i] = ' ' // a value must not end its line
				}
			}
		}
	}
	w.out = b
}

// Write implements http.ResponseWriter.
func (w *response) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	switch {
	case !bodyAllowed(w.status):
		return 0, http.ErrBodyNotAllowed
	case w.announced >= 0 && w.written+int64(len(b)) > w.announced:
		w.req.Close = w.req.Close || w.req.Method != http.MethodHead // the length or the body is wrong
		return 0, http.ErrContentLength
	}
	w.written += int64(len(b))
	if w.req.Method == http.MethodHead {
		if len(w.held) == 0 {
			w.held = append(w.held, b[:min(len(b), sniffed)]...)
		}
		return len(b), nil
	}
	if !w.begun && w.written == w.announced && len(w.held) == 0 {
		w.begin(b) // the complete body: no need to buffer it
		return len(b), w.err
	}
	if w.begun {
		w.append(b)
		if len(w.out) >= maxHeld {
			w.send()
		}
		return len(b), w.err
	}
	w.held = append(w.held, b...)
	if len(w.held) >= maxHeld {
		return len(b), w.FlushError()
	}
	return len(b), nil
}

// bodyAllowed reports whether a response may have a body (RFC 9110, section
// 6.4.1).
func bodyAllowed(status int) bool {
	return status != http.StatusNoContent && status != http.StatusNotModified
}

// FlushError sends what was written. http.ResponseController calls it.
func (w *response) FlushError() error {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if !w.begun {
		w.chunked = w.announced < 0 && bodyAllowed(w.status) && w.req.Method != http.MethodHead
		w.begin(w.held)
		w.held = w.held[:0]
	}
	w.send()
	return w.err
}

// Flush implements http.Flusher.
func (w *response) Flush() { _ = w.FlushError() }

// SetReadDeadline does nothing: the request has been read. http.ResponseController
// calls it.
func (w *response) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline replaces the server's limit, for streams as well.
// http.ResponseController calls it.
func (w *response) SetWriteDeadline(t time.Time) error {
	w.conn.setTimed()
	return w.conn.nc.SetWriteDeadline(t)
}

// begin completes the head. first is the start of the body.
func (w *response) begin(first []byte) {
	w.begun = true
	b := w.out
	if w.untyped && len(first) > 0 {
		b = append(append(append(b, "Content-Type: "...), http.DetectContentType(first)...), "\r\n"...)
	}
	switch {
	case w.chunked:
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
	case w.announced >= 0:
		b = append(b, "Content-Length: "...)
		b = append(strconv.AppendInt(b, w.announced, 10), "\r\n"...)
	}
	if w.req.Close || w.conn.server.stopping.Load() {
		w.req.Close = true
		b = append(b, "Connection: close\r\n"...)
	}
	b = append(append(b, "Date: "...), *w.conn.server.date.Load()...)
	w.out = append(b, "\r\n\r\n"...)
	if w.req.Method != http.MethodHead {
		w.append(first)
	}
}

// append adds a part of the body.
func (w *response) append(b []byte) {
	if !w.chunked {
		w.out = append(w.out, b...)
	} else if len(b) > 0 { // an empty chunk would be the last one
		w.out = append(strconv.AppendInt(w.out, int64(len(b)), 16), "\r\n"...)
		w.out = append(append(w.out, b...), "\r\n"...)
	}
}

func (w *response) send() {
	if w.err == nil && len(w.out) > 0 {
		_, w.err = w.conn.nc.Write(w.out)
	}
	w.out = w.out[:0]
}

// finish sends the rest of the response, unless the handler panicked, and reports
// whether another request may follow on the connection.
func (w *response) finish(ok bool) bool {
	_ = w.req.Body.Close()
	defer func() {
		if cap(w.out) <= maxKept {
			*w.pooled = w.out
			responseBuffers.Put(w.pooled)
		}
		w.pooled, w.out, w.held = nil, nil, nil
	}()
	if !ok {
		return false
	}
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if !w.begun {
		// The body is complete. For HEAD its length is that of the GET, if known.
		if w.req.Method != http.MethodHead && bodyAllowed(w.status) || w.announced < 0 && w.written > 0 {
			w.announced = w.written
		}
		w.begin(w.held)
	} else if w.chunked {
		w.out = append(w.out, "0\r\n\r\n"...)
	}
	w.send()
	short := w.announced >= 0 && w.written < w.announced && w.req.Method != http.MethodHead
	return w.err == nil && !w.req.Close && !short
}

var _ http.ResponseWriter = (*response)(nil)
