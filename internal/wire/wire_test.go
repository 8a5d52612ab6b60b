package wire

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/veranda-go/veranda/internal/fault"
)

// TestHandle turns errors into answers: what is public is shown, the cause is
// in the log alone, and only for what is not the caller's doing.
func TestHandle(t *testing.T) {
	t.Parallel()
	secret := errors.New(`pq: relation "listings" at /var/lib/db`)
	for _, test := range []struct {
		err        error
		status     int
		sentence   string
		retryAfter string
	}{
		{secret, 500, "internal error", ""},
		{fault.Wrap(fault.Invalid, "price: must be at least 1", secret), 400, "price: must be at least 1", ""},
		{fault.Wrap(fault.NotFound, "no such thing", secret), 404, "no such thing", ""},
		{fault.Wrap(fault.TooLarge, "too large", secret), 413, "too large", ""},
		{fault.Wrap(fault.MediaType, "content type", secret), 415, "content type", ""},
		{fault.Wrap(fault.Unsupported, "not supported", secret), 501, "not supported", ""},
		{fault.Wrap(fault.Unavailable, "database unavailable", secret), 503, "database unavailable", "1"},
		{&fault.Fault{Kind: fault.Unavailable, Problems: []fault.Problem{{Text: "busy"}}, RetryAfter: 1500 * time.Millisecond}, 503, "busy", "2"},
		{fmt.Errorf("%w: %w", context.DeadlineExceeded, secret), 504, "deadline passed", ""},
	} {
		var log strings.Builder
		h := Handle(slog.New(slog.NewTextHandler(&log, nil)), func(http.ResponseWriter, *http.Request) error { return test.err })
		rec := httptest.NewRecorder()
		h(rec, httptest.NewRequest("GET", "/x", nil))
		want := fmt.Sprintf(`{"result":false,"errors":[%q]}`, test.sentence)
		if rec.Code != test.status || rec.Body.String() != want || rec.Header().Get("Content-Type") != "application/json" {
			t.Errorf("%v: %d %q %s, want %d %s", test.err, rec.Code, rec.Header().Get("Content-Type"), rec.Body, test.status, want)
		}
		if got := rec.Header().Get("Retry-After"); got != test.retryAfter {
			t.Errorf("%v: Retry-After %q, want %q", test.err, got, test.retryAfter)
		}
		if got, want := strings.Contains(log.String(), "relation"), test.status >= 500 && errors.Is(test.err, secret); got != want {
			t.Errorf("%v: the cause is logged: %t, want %t", test.err, got, want)
		}
	}
}

func TestAppendString(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		"", "plain", `"quotes" \ and / more`, "\x00\x1f\x7f\n\r\t", "名前 🏡", "<b>&amp;</b>", "\u2028\u2029\ufeff", "\U0010ffff",
	} {
		var got string
		if err := json.Unmarshal(AppendString(nil, s), &got); err != nil || got != s {
			t.Errorf("%q came back as %q, %v", s, got, err)
		}
	}
	var got string
	if err := json.Unmarshal(AppendString(nil, "a\xffb"), &got); err != nil || got != "a\ufffdb" {
		t.Errorf("invalid UTF-8 came back as %q, %v", got, err)
	}
	if got := string(AppendStrings(nil, nil)); got != "[]" {
		t.Errorf("no strings are %s, want an array", got)
	}
	if got := string(AppendList(nil, []int{1, 2}, func(n *int, b []byte) []byte { return fmt.Append(b, *n) })); got != "[1,2]" {
		t.Errorf("list %s, want [1,2]", got)
	}
}

// TestWriteDoesNotMix writes from many goroutines through the shared buffers.
func TestWriteDoesNotMix(t *testing.T) {
	t.Parallel()
	for w := range 8 {
		t.Run(fmt.Sprint(w), func(t *testing.T) {
			t.Parallel()
			for i := range 200 {
				want := strings.Repeat(string(rune('a'+w)), (i*37)%5000)
				rec := httptest.NewRecorder()
				Write(rec, http.StatusOK, func(b []byte) []byte { return append(b, want...) })
				if rec.Body.String() != want || rec.Header().Get("Content-Length") != fmt.Sprint(len(want)) {
					t.Fatalf("wrote %d bytes of %q, got %d", len(want), want[:min(1, len(want))], rec.Body.Len())
				}
			}
		})
	}
}

func TestRequestID(t *testing.T) {
	t.Parallel()
	var inside string
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { inside = RequestID(WithRequestID(r.Context(), w, r)) })
	ask := func(id string) string {
		r := httptest.NewRequest("GET", "/", nil)
		if id != "" {
			r.Header.Set(RequestIDHeader, id)
		}
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		if got := rec.Header().Get(RequestIDHeader); got != inside || got == "" {
			t.Errorf("id %q was answered with %q, and is %q inside", id, got, inside)
		}
		return inside
	}
	for _, id := range []string{"a", "A-Z_0.9", strings.Repeat("x", 64)} {
		if got := ask(id); got != id {
			t.Errorf("id %q became %q", id, got)
		}
	}
	seen := map[string]bool{}
	for _, id := range []string{"", "", strings.Repeat("x", 65), "two words", "line\nbreak", "quote\"", "名", "<b>", "\x00"} {
		got := ask(id)
		if got == id || seen[got] || !plainID(got) {
			t.Errorf("id %q became %q, want a fresh one", id, got)
		}
		seen[got] = true
	}
	if got := RequestID(t.Context()); got != "" {
		t.Errorf("outside of a request the id is %q", got)
	}
}
