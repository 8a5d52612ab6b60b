package http1

import (
	"bytes"
	"io"
	"net/http"
	"net/textproto"
	"net/url"
	"strconv"
	"strings"
)

// parseResult is the result of parsing the bytes that a client has sent.
type parseResult int

const (
	incomplete  parseResult = iota // more bytes are needed
	accepted                       // a complete request
	unsupported                    // for net/http
)

var endOfHead = []byte("\r\n\r\n")

// parse parses the request at the start of b and returns its length in bytes.
// For an incomplete request this is the length that it will have, or 0 if that is
// not known yet. parse accepts only what has one meaning, and rejects nothing:
// the rest is for net/http.
func (c *conn) parse(b []byte) (*http.Request, int, parseResult) {
	end := bytes.Index(b, endOfHead)
	if end < 0 {
		if !mayBeAccepted(b) || len(b) > c.server.maxHead() {
			return nil, 0, unsupported
		}
		return nil, 0, incomplete
	}
	if end > c.server.maxHead() {
		return nil, 0, unsupported
	}
	r := http.Request{Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, RemoteAddr: c.remote, Body: http.NoBody}
	head := string(b[:end])
	line, head, _ := strings.Cut(head, "\r\n")
	if !startLine(&r, line) || !fields(&r, head) {
		return nil, 0, unsupported
	}
	if r.Method == http.MethodPost {
		if r.ContentLength < 0 || r.ContentLength > maxRequestBytes {
			return nil, 0, unsupported // without a length, net/http decides whether there is a body
		}
	} else if r.ContentLength > 0 {
		return nil, 0, unsupported
	}
	r.ContentLength = max(r.ContentLength, 0)
	size := end + len(endOfHead) + int(r.ContentLength)
	if size > len(b) {
		return nil, size, incomplete
	}
	if r.ContentLength > 0 {
		r.Body = &body{b[size-int(r.ContentLength) : size]}
	}
	return r.WithContext(c.ctx), size, accepted
}

// mayBeAccepted reports whether more bytes may complete a request that parse
// accepts: not for another method, or for lines that end in LF alone.
func mayBeAccepted(b []byte) bool {
	if end := bytes.IndexByte(b, '\n'); end >= 0 && (end == 0 || b[end-1] != '\r') {
		return false
	}
	for _, method := range []string{"GET /", "POST /", "HEAD /"} {
		n := min(len(b), len(method))
		if string(b[:n]) == method[:n] {
			return true
		}
	}
	return false
}

// startLine parses the request line (RFC 9112, section 3).
func startLine(r *http.Request, line string) bool {
	method, rest, _ := strings.Cut(line, " ")
	target, ok := strings.CutSuffix(rest, " HTTP/1.1")
	if !ok || len(target) == 0 || target[0] != '/' {
		return false
	}
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost:
	default:
		return false
	}
	r.Method, r.RequestURI = method, target
	if !isVisibleASCII(target, '!') {
		return false
	}
	path, query, hasQuery := strings.Cut(target, "?")
	if isSimplePath(path) && (!hasQuery || query != "") {
		r.URL = &url.URL{Path: path, RawQuery: query}
		return true
	}
	var err error
	r.URL, err = url.ParseRequestURI(target)
	return err == nil
}

// isSimplePath reports whether a path has no escapes and cannot be taken for a
// host.
func isSimplePath(path string) bool {
	for i := 0; i < len(path); i++ {
		if c := path[i]; !alphanumeric(c) && c != '-' && c != '_' && c != '.' && (c != '/' || i == 1) {
			return false
		}
	}
	return true
}

// fields parses the header section (RFC 9112, section 5). ContentLength is -1 if
// there is none.
func fields(r *http.Request, head string) bool {
	n := strings.Count(head, "\r\n") + 1
	values := make([]string, n)
	r.Header = make(http.Header, n)
	r.ContentLength = -1
	for head != "" {
		var line string
		line, head, _ = strings.Cut(head, "\r\n")
		name, value, ok := strings.Cut(line, ":")
		if !ok || !isToken(name) || !isText(value) {
			return false
		}
		name, value = textproto.CanonicalMIMEHeaderKey(name), textproto.TrimString(value)
		switch name {
		case "Host":
			if r.Host != "" || !isSimpleHost(value) {
				return false
			}
			r.Host = value
			continue // as in net/http, not in the header
		case "Content-Length":
			if r.ContentLength >= 0 || !readLength(value, &r.ContentLength) {
				return false
			}
		case "Connection":
			switch {
			case strings.EqualFold(value, "close"):
				r.Close = true
			case !strings.EqualFold(value, "keep-alive"):
				return false
			}
		case "Transfer-Encoding", "Upgrade", "Expect", "Trailer", "Te":
			return false
		}
		if earlier := r.Header[name]; earlier != nil {
			r.Header[name] = append(earlier, value)
			continue
		}
		values[0] = value
		r.Header[name], values = values[:1:1], values[1:]
	}
	return r.Host != ""
}

// readLength parses a Content-Length below 2^30.
func readLength(text string, to *int64) bool {
	n, err := strconv.ParseUint(text, 10, 30)
	*to = int64(n)
	return err == nil
}

// isText reports whether s is a field value on one line (RFC 9110, section 5.5).
func isText(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// body is the body of a request. It was read with the head.
type body struct{ rest []byte }

func (b *body) Read(p []byte) (int, error) {
	if len(b.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

// Close ends the use of the bytes, which belong to the connection, after the
// handler has returned.
func (b *body) Close() error {
	b.rest = nil
	return nil
}
