package httpapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/veranda-go/veranda/internal/apierror"
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
		{apierror.Wrap(apierror.Invalid, "price: must be at least 1", secret), 400, "price: must be at least 1", ""},
		{apierror.Wrap(apierror.NotFound, "no such thing", secret), 404, "no such thing", ""},
		{apierror.Wrap(apierror.TooLarge, "too large", secret), 413, "too large", ""},
		{apierror.Wrap(apierror.MediaType, "content type", secret), 415, "content type", ""},
		{apierror.Wrap(apierror.Unsupported, "not supported", secret), 501, "not supported", ""},
		{apierror.Wrap(apierror.Unavailable, "database unavailable", secret), 503, "database unavailable", "1"},
		{&apierror.Error{Kind: apierror.Unavailable, Fields: []apierror.FieldError{{Message: "busy"}}, RetryAfter: 1500 * time.Millisecond}, 503, "busy", "2"},
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

// TestRequestContext ends as a context of package context does, and others may
// stand on it.
func TestRequestContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client, leave := context.WithCancel(t.Context())
		defer leave()
		begin := func() *RequestContext {
			return NewContext(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil).WithContext(client), time.Second, t.Context())
		}
		type key struct{}
		for _, test := range []struct {
			name    string
			end     func(*RequestContext)
			want    error
			untimed error // before End
		}{
			{"deadline", func(*RequestContext) { time.Sleep(time.Second) }, context.DeadlineExceeded, nil},
			{"end", (*RequestContext).End, context.Canceled, nil},
			{"client", func(*RequestContext) { leave() }, context.Canceled, context.Canceled},
		} {
			c := begin()
			late := begin() // nobody waits before the end
			below, cancel := context.WithTimeout(context.WithValue(c, key{}, 1), time.Hour)
			if c.Err() != nil || below.Err() != nil || RequestID(below) != c.id || Draining(below) != t.Context() {
				t.Errorf("%s: at the start: %v, %v", test.name, c.Err(), below.Err())
			}
			if at, ok := below.Deadline(); !ok || time.Until(at) != time.Second {
				t.Errorf("%s: deadline %v", test.name, at)
			}
			untimed := Untimed(below)
			if _, ok := untimed.Deadline(); ok || RequestID(untimed) != c.id {
				t.Errorf("%s: untimed has a deadline, or no id", test.name)
			}
			test.end(c)
			if test.name == "end" {
				late.End()
			}
			<-c.Done()
			<-below.Done()
			<-late.Done()
			if c.Err() != test.want || below.Err() != test.want || late.Err() != test.want {
				t.Errorf("%s: %v, %v, %v", test.name, c.Err(), below.Err(), late.Err())
			}
			if untimed.Err() != test.untimed {
				t.Errorf("%s: untimed: %v", test.name, untimed.Err())
			}
			cancel()
			c.End()
			late.End()
		}
	})
}

func TestRequestID(t *testing.T) {
	t.Parallel()
	var inside string
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := NewContext(w, r, time.Minute, t.Context())
		defer ctx.End()
		inside = RequestID(ctx)
	})
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
