package fakebackend

import (
	"io"
	"net/http"
	"strings"
	"time"
)

// Cut closes the connection without a response.
func Cut(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// Trace responds as a web framework in debug mode does to an internal error.
func Trace(w http.ResponseWriter, _ *http.Request) {
	w.WriteHeader(http.StatusInternalServerError)
	_, _ = io.WriteString(w, `{"result":false,"errors":["Traceback (most recent call last): File /srv/users.py, line 7: `+
		`SELECT * FROM users: database is locked: secret"]}`)
}

// Garbage responds with success and a body that is not JSON.
func Garbage(w http.ResponseWriter, _ *http.Request) {
	_, _ = io.WriteString(w, "<html>secret</html>")
}

// OtherShape responds with JSON that has none of the documented members.
func OtherShape(w http.ResponseWriter, _ *http.Request) {
	_, _ = io.WriteString(w, `{"result":true,"items":[{"id":1,"secret":2}]}`)
}

// OtherTypes responds with strings for numbers and numbers for strings.
func OtherTypes(w http.ResponseWriter, _ *http.Request) {
	_, _ = io.WriteString(w, `{"result":true,"users":[{"id":"1","name":2}],"user":{"id":"1"},"listings":[{"id":"1"}],"listing":[]}`)
}

// Half closes the connection in the middle of a response.
func Half(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", "5000")
	_, _ = io.WriteString(w, `{"result":true,"users":[{"id":1,"name":"secret"},`)
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

// Huge responds with 40 MiB of valid JSON and no Content-Length.
func Huge(w http.ResponseWriter, _ *http.Request) {
	_, _ = io.WriteString(w, `{"result":true,"users":[],"listings":[]`)
	blank := strings.Repeat(" ", 1<<20)
	for range 40 {
		if _, err := io.WriteString(w, blank); err != nil {
			return
		}
	}
	_, _ = io.WriteString(w, `}`)
}

// RedirectTo returns a handler that redirects every request to another server.
func RedirectTo(target string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, target+r.URL.Path, http.StatusFound) }
}

// Hang returns a handler that does not respond for a minute. If gone is not nil,
// it receives a value when the caller gives up.
func Hang(gone chan<- struct{}) http.HandlerFunc {
	return func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // until then, net/http does not notice that a caller left
		select {
		case <-r.Context().Done():
		case <-time.After(time.Minute):
			return
		}
		if gone != nil {
			gone <- struct{}{}
		}
	}
}
