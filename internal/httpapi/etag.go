package httpapi

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strings"
)

// WriteTagged responds to a GET or HEAD with 200 and a strong ETag, or with 304
// if the client has this representation. The tag is a hash of the body, so it is
// never stale and the same in every process. Errors and incomplete responses
// have no tag; Write writes them.
func WriteTagged(w http.ResponseWriter, r *http.Request, contentType string, body func([]byte) []byte) {
	WithBuffer(body, func(b []byte) {
		etag := tagOf(contentType, b)
		h := w.Header()
		h.Set("Cache-Control", "no-cache") // a cache must revalidate before each use
		h.Set("ETag", etag)
		if noneMatch(r.Header.Values("If-None-Match"), etag) {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		send(w, http.StatusOK, contentType, b)
	})
}

// tagOf returns the strong tag of a body. The content type is part of it: a
// strong tag must not name two representations, even of equal bytes.
func tagOf(contentType string, body []byte) string {
	h := sha256.New()
	h.Write([]byte(contentType))
	h.Write([]byte{0})
	h.Write(body)
	return `"` + base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:16]) + `"`
}

// noneMatch reports whether If-None-Match names etag, by the weak comparison of
// RFC 9110, 13.1.2: a proxy that compresses a response weakens its tag. A
// malformed list counts up to the malformed part.
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
