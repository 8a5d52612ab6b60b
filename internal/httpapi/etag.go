package httpapi

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strings"
)

// WriteTagged answers a GET or HEAD with 200 and a strong ETag, or with 304
// and no body when the client has this very answer. The tag is a hash of the
// fresh body, so it is never stale and the same in every process; what it
// saves is the way to the client, not the questions to the backends. Answers
// that lack something, and errors, leave by Write instead.
func WriteTagged(w http.ResponseWriter, r *http.Request, contentType string, body func([]byte) []byte) {
	WithBuffer(body, func(b []byte) {
		etag := tagOf(contentType, b)
		h := w.Header()
		// Keep it if you like, but ask before each use.
		h.Set("Cache-Control", "no-cache")
		h.Set("ETag", etag)
		if noneMatch(r.Header.Values("If-None-Match"), etag) {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		send(w, http.StatusOK, contentType, b)
	})
}

// tagOf is the strong tag of a body. The media type is part of it: a strong
// tag may not stand for two representations, even with equal bytes.
func tagOf(contentType string, body []byte) string {
	h := sha256.New()
	h.Write([]byte(contentType))
	h.Write([]byte{0})
	h.Write(body)
	return `"` + base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:16]) + `"`
}

// noneMatch tells whether If-None-Match names etag, by the weak comparison
// that this header asks for (RFC 9110, 13.1.2): a proxy that repacks an answer
// weakens its tag. A list that is malformed matches up to where it is.
func noneMatch(lines []string, etag string) bool {
	list := strings.Join(lines, ",")
	if strings.TrimSpace(list) == "*" {
		return true
	}
	// Not strings.Split: a tag may hold a comma.
	for {
		list = strings.TrimLeft(list, ", \t")
		list = strings.TrimPrefix(list, "W/")
		if list == "" || list[0] != '"' {
			return false
		}
		end := strings.IndexByte(list[1:], '"')
		if end < 0 {
			return false
		}
		if list[:end+2] == etag {
			return true
		}
		list = list[end+2:]
	}
}
