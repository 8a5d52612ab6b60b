package httpapi

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestNoneMatch(t *testing.T) {
	const tag = `"abc"`
	for _, test := range []struct {
		lines []string
		want  bool
	}{
		{nil, false},
		{[]string{``}, false},
		{[]string{`*`}, true},
		{[]string{` * `}, true},
		{[]string{`"abc"`}, true},
		{[]string{`W/"abc"`}, true},
		{[]string{`"x", "abc"`}, true},
		{[]string{`"x",W/"y" ,	"abc"`}, true},
		{[]string{`"x"`, `"abc"`}, true},
		{[]string{`"a,b", "abc"`}, true},
		{[]string{`"a, "abc", b"`}, false}, // a tag that holds the other's text is not the other
		{[]string{`abc`}, false},
		{[]string{`"ABC"`}, false},
		{[]string{`w/"abc"`}, false},
		{[]string{`"abc`}, false},
		{[]string{`"x" junk "abc"`}, false},
		{[]string{`,,"abc"`}, true},
	} {
		if got := noneMatch(test.lines, tag); got != test.want {
			t.Errorf("%q: %v", test.lines, got)
		}
	}
}

func TestWriteTagged(t *testing.T) {
	body, media := `{"n":1}`, "application/json"
	do := func(method, noneMatch string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(method, "/", nil)
		if noneMatch != "" {
			r.Header.Set("If-None-Match", noneMatch)
		}
		WriteTagged(w, r, media, func(b []byte) []byte { return append(b, body...) })
		return w
	}
	first := do("GET", "")
	tag := first.Header().Get("ETag")
	if first.Code != 200 || first.Body.String() != body || len(tag) < 10 || tag[0] != '"' ||
		first.Header().Get("Cache-Control") != "no-cache" || first.Header().Get("Content-Type") != media {
		t.Errorf("%d %s %v", first.Code, first.Body, first.Header())
	}
	if again := do("GET", ""); again.Header().Get("ETag") != tag {
		t.Error("another tag for the same body")
	}
	for _, method := range []string{"GET", "HEAD"} {
		same := do(method, tag)
		if same.Code != http.StatusNotModified || same.Body.Len() > 0 || same.Header().Get("ETag") != tag ||
			same.Header().Get("Content-Type") != "" || same.Header().Get("Content-Length") != "" {
			t.Errorf("%s with the tag: %d %s %v", method, same.Code, same.Body, same.Header())
		}
	}
	media = "application/graphql-response+json"
	if other := do("GET", tag); other.Code != 200 || other.Header().Get("ETag") == tag {
		t.Error("one tag for two media types")
	}
	media, body = "application/json", `{"n":2}`
	if changed := do("GET", tag); changed.Code != 200 || changed.Body.String() != body {
		t.Errorf("after a change: %d %s", changed.Code, changed.Body)
	}
}
