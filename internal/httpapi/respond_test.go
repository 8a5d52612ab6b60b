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
	"github.com/veranda-go/veranda/internal/requestid"
)

// TestHandle tests that the public half of an error is in the response, and the
// cause in the log alone, and only if the client did not cause it.
func TestHandle(t *testing.T) {
	t.Parallel()
	secret := errors.New(`pq: relation "listings" at /var/lib/db`)
	for _, test := range []struct {
		err        error
		status     int
		message    string
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
		want := fmt.Sprintf(`{"result":false,"errors":[%q]}`, test.message)
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

// TestWithTimeout tests what a request's context ends by, and a stream's.
func TestWithTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client, leave := context.WithCancel(requestid.With(t.Context(), "id-1"))
		defer leave()
		for _, test := range []struct {
			name         string
			end          func(cancel func())
			want, stream error // of the request and of a stream
		}{
			{"deadline", func(func()) { time.Sleep(RequestTimeout) }, context.DeadlineExceeded, nil},
			{"end", func(cancel func()) { cancel() }, context.Canceled, nil},
			{"client", func(func()) { leave() }, context.Canceled, context.Canceled},
		} {
			ctx, cancel := WithTimeout(client, t.Context())
			defer cancel()
			if at, ok := ctx.Deadline(); !ok || time.Until(at) != RequestTimeout || ctx.Err() != nil || Draining(ctx) != t.Context() {
				t.Errorf("%s: deadline %v, %v", test.name, at, ctx.Err())
			}
			r := httptest.NewRequest("GET", "/", nil).WithContext(ctx)
			stream, drain, done, _ := Stream(httptest.NewRecorder(), r)
			defer done()
			if _, ok := stream.Deadline(); ok || requestid.From(stream) != "id-1" || drain != t.Context() {
				t.Errorf("%s: the stream has a deadline, or no id", test.name)
			}
			test.end(cancel)
			<-ctx.Done()
			if ctx.Err() != test.want || stream.Err() != test.stream {
				t.Errorf("%s: request %v, stream %v", test.name, ctx.Err(), stream.Err())
			}
		}
	})
}
