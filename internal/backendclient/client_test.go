package backendclient

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/veranda-go/veranda/internal/apierror"
	"github.com/veranda-go/veranda/internal/requestid"
)

// patience is how long a call may take that is not meant to time out.
const patience = time.Minute

// backend serves f and gives a client of it.
func backend(t *testing.T, timeout time.Duration, f http.HandlerFunc) *Client {
	t.Helper()
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	return clientOf(t, server.URL, timeout)
}

func clientOf(t *testing.T, base string, timeout time.Duration) *Client {
	t.Helper()
	transport := NewTransport()
	t.Cleanup(transport.CloseIdleConnections)
	c, err := NewClient("listing service", base, timeout, transport)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// respond returns a handler with a fixed response.
func respond(status int, body string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func TestNewClient(t *testing.T) {
	t.Parallel()
	for _, base := range []string{
		"", "localhost:6000", "//localhost:6000", "/listings", "ftp://localhost", "http://", "http:///x", "http://a b",
		"http://user:password@localhost", "http://localhost?a=b", "http://localhost#a", "unix:///socket",
	} {
		if _, err := NewClient("listing service", base, patience, nil); err == nil || !strings.Contains(err.Error(), "listing service") {
			t.Errorf("%q: error %v, want one that names the service", base, err)
		}
	}
	for _, path := range []string{"", "/", "/behind/a/proxy", "/behind/a/proxy/"} {
		server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if want := strings.TrimSuffix(path, "/") + "/listings"; r.URL.Path != want || r.URL.RawQuery != "page_num=1" {
				t.Errorf("called %s?%s, want %s", r.URL.Path, r.URL.RawQuery, want)
			}
		}))
		if err := clientOf(t, server.URL+path, patience).Get(t.Context(), "/listings", "page_num=1", nil); err != nil {
			t.Error(err)
		}
		server.Close()
	}
}

func TestRequest(t *testing.T) {
	t.Parallel()
	var got struct {
		method, target, contentType, accept, requestID, body string
	}
	c := backend(t, patience, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got.method, got.target, got.contentType, got.accept, got.requestID, got.body = r.Method, r.RequestURI,
			r.Header.Get("Content-Type"), r.Header.Get("Accept"), r.Header.Get(requestid.Header), string(body)
		_, _ = io.WriteString(w, `{"n":7,"other":{"n":1}}`)
	})
	var response struct {
		N int `json:"n"`
	}
	ctx, meter := WithMeter(requestid.With(t.Context(), "id-1"))
	if err := c.Get(ctx, "/listings", "user_id=5", &response); err != nil || response.N != 7 {
		t.Errorf("get: %d, %v, want 7", response.N, err)
	}
	want := got
	want.method, want.target, want.contentType, want.accept, want.requestID, want.body = "GET", "/listings?user_id=5", "", "application/json", "id-1", ""
	if got != want {
		t.Errorf("get sent %+v, want %+v", got, want)
	}
	form := url.Values{"name": {"a&user_id=2 50% + 名"}}
	if _, err := c.PostForm(ctx, "/users", form, "", &response); err != nil {
		t.Errorf("post: %v", err)
	}
	want.method, want.target, want.contentType, want.body = "POST", "/users", "application/x-www-form-urlencoded", "name=a%26user_id%3D2+50%25+%2B+%E5%90%8D"
	if got != want {
		t.Errorf("post sent %+v, want %+v", got, want)
	}
	if err := c.Ping(t.Context(), "/ping", ""); err != nil || got.requestID != "" {
		t.Errorf("ping outside of a request: %v, request id %q", err, got.requestID)
	}
	if meter.Calls() != 2 {
		t.Errorf("counted %d calls, want the 2 that were made under the meter", meter.Calls())
	}
	if got := string(AppendIDs([]byte("?"), "id", []int64{1, -2, 3})); got != "?id=1&id=-2&id=3" {
		t.Errorf("ids are %s", got)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	const unavailable, notThere, late, refusal = "listing service unavailable", "no such thing at the listing service", "listing service did not answer in time", "refused by the listing service"
	long := "a" + strings.Repeat("名", 500) // byte 300 is inside a character
	many := `"x: y"` + strings.Repeat(`,"x: y"`, 99)
	tenTimes := strings.Split(strings.Repeat("x: y\n", 9)+"x: y", "\n")
	for _, test := range []struct {
		status   int
		body     string
		kind     apierror.Kind
		messages []string
	}{
		{400, `{"result":false,"errors":["price: must be at least 1","user_id: required"]}`, apierror.Invalid, []string{"price: must be at least 1", "user_id: required"}},
		{400, `{"result":false,"errors":["no parameter here: truly"]}`, apierror.Invalid, []string{"no parameter here: truly"}},
		{400, `{"result":false,"errors":["` + long + `"]}`, apierror.Invalid, []string{"a" + strings.Repeat("名", 99) + "…"}},
		{400, `{"result":false,"errors":[` + many + `]}`, apierror.Invalid, tenTimes},
		{400, `{"result":false,"errors":[]}`, apierror.Invalid, []string{refusal}},
		{400, `{"result":false,"errors":"price"}`, apierror.Invalid, []string{refusal}},
		{400, `<html>Bad Request</html>`, apierror.Invalid, []string{refusal}},
		{400, ``, apierror.Invalid, []string{refusal}},
		{404, `{"result":false,"errors":["id: no such listing"]}`, apierror.NotFound, []string{"id: no such listing"}},
		{404, `<html>Not Found</html>`, apierror.NotFound, []string{refusal}},
		{405, ``, apierror.NotFound, []string{notThere}},
		{501, ``, apierror.NotFound, []string{notThere}},
		{504, ``, apierror.Timeout, []string{late}},
		// Failures of the backend, whose text is not passed on.
		{500, `{"result":false,"errors":["table listings is missing"]}`, apierror.Unavailable, []string{unavailable}},
		{502, ``, apierror.Unavailable, []string{unavailable}},
		{503, ``, apierror.Unavailable, []string{unavailable}},
		{401, ``, apierror.Unavailable, []string{unavailable}},
		{413, ``, apierror.Unavailable, []string{unavailable}},
		{429, ``, apierror.Unavailable, []string{unavailable}},
		{204, ``, apierror.Unavailable, []string{unavailable}},
		// Bodies that are not JSON, not whole, or of another shape.
		{200, ``, apierror.Unavailable, []string{unavailable}},
		{200, `pong!`, apierror.Unavailable, []string{unavailable}},
		{200, `{"n":1`, apierror.Unavailable, []string{unavailable}},
		{200, `{"n":1}{"n":2}`, apierror.Unavailable, []string{unavailable}},
		{200, `{"n":"1"}`, apierror.Unavailable, []string{unavailable}},
		{200, `{"n":1.5}`, apierror.Unavailable, []string{unavailable}},
		{200, `{"n":9223372036854775808}`, apierror.Unavailable, []string{unavailable}},
		{200, `[1]`, apierror.Unavailable, []string{unavailable}},
		{201, `pong!`, apierror.Unavailable, []string{unavailable}},
	} {
		c := backend(t, patience, respond(test.status, test.body))
		var response struct {
			N int64 `json:"n"`
		}
		err := c.Get(t.Context(), "/x", "", &response)
		wantError(t, fmt.Sprint(test.status, " ", test.body), err, test.kind, test.messages...)
		if err != nil && !strings.Contains(err.Error(), "/x") {
			t.Errorf("%d %s: the error does not name the path: %v", test.status, test.body, err)
		}
	}

	var created struct {
		N int64 `json:"n"`
	}
	if err := backend(t, patience, respond(201, `{"n":7}`)).Get(t.Context(), "/x", "", &created); err != nil || created.N != 7 {
		t.Errorf("status 201: %d, %v, want a success", created.N, err)
	}

	f := apierror.From(backend(t, patience, respond(400, `{"errors":["price: must be at least 1"]}`)).Get(t.Context(), "/x", "", nil))
	if want := (apierror.FieldError{Field: "price", Message: "must be at least 1"}); f.Fields[0] != want {
		t.Errorf("field error %+v, want %+v", f.Fields[0], want)
	}
}

// TestClassification tests what a failure says of the route that was called.
func TestClassification(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		status         int
		lacks, crashed bool
	}{
		{400, true, false}, {404, true, false}, {405, true, false}, {501, true, false},
		{500, false, true}, {409, false, false}, {422, false, false}, {502, false, false}, {503, false, false}, {504, false, false},
	} {
		err := backend(t, patience, respond(test.status, "")).Ping(t.Context(), "/", "")
		if LacksRoute(err) != test.lacks || Crashed(err) != test.crashed {
			t.Errorf("%d: lacks the route: %t, crashed: %t", test.status, LacksRoute(err), Crashed(err))
		}
	}
	if err := clientOf(t, "http://127.0.0.1:1", patience).Ping(t.Context(), "/", ""); LacksRoute(err) || Crashed(err) {
		t.Errorf("no backend: lacks the route: %t, crashed: %t", LacksRoute(err), Crashed(err))
	}
	if LacksRoute(nil) || Crashed(nil) {
		t.Error("a success is classified as a failure")
	}
}

func TestRetryAfterIsPassedOn(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]time.Duration{
		"7": 7 * time.Second, "3600": time.Hour,
		"": 0, "0": 0, "-1": 0, "3601": 0, "soon": 0, "Wed, 21 Oct 2065 07:28:00 GMT": 0, "99999999999999999999": 0,
	} {
		for _, status := range []int{429, 503} {
			err := backend(t, patience, respond(status, "", "Retry-After", header)).Ping(t.Context(), "/", "")
			if f := apierror.From(err); f.Kind != apierror.Unavailable || f.RetryAfter != want {
				t.Errorf("%d with Retry-After %q: kind %d, %v, want unavailable, %v", status, header, f.Kind, f.RetryAfter, want)
			}
		}
	}
}

func TestRedirectIsNotFollowed(t *testing.T) {
	t.Parallel()
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the redirect was followed") }))
	t.Cleanup(other.Close)
	for _, status := range []int{301, 302, 303, 307, 308} {
		c := backend(t, patience, respond(status, "{}", "Location", other.URL))
		wantError(t, "get", c.Get(t.Context(), "/", "", nil), apierror.Unavailable, "listing service unavailable")
		_, err := c.PostForm(t.Context(), "/", url.Values{"a": {"b"}}, "", nil)
		wantError(t, "post", err, apierror.Unavailable, "listing service unavailable")
	}
}

// TestSlowBackend calls backends that stop at each stage of a response.
func TestSlowBackend(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(http.ResponseWriter){
		"nothing": func(http.ResponseWriter) {},
		"header":  func(w http.ResponseWriter) { w.WriteHeader(200); w.(http.Flusher).Flush() },
		"half":    func(w http.ResponseWriter) { _, _ = io.WriteString(w, `{"n":`); w.(http.Flusher).Flush() },
		"refusal": func(w http.ResponseWriter) { w.WriteHeader(400); w.(http.Flusher).Flush() },
	} {
		slow := func(w http.ResponseWriter, r *http.Request) {
			start(w)
			<-r.Context().Done()
		}
		wantError(t, name, backend(t, 30*time.Millisecond, slow).Get(t.Context(), "/", "", new(any)),
			apierror.Timeout, "listing service did not answer in time")

		// The deadline of the caller counts too; a canceled call is not a timeout.
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
		wantError(t, name+", caller's deadline", backend(t, patience, slow).Get(ctx, "/", "", new(any)),
			apierror.Timeout, "listing service did not answer in time")
		cancel()
		ctx, cancel = context.WithCancel(t.Context())
		left := backend(t, patience, func(w http.ResponseWriter, r *http.Request) {
			start(w)
			cancel()
			<-r.Context().Done()
		})
		if err := left.Get(ctx, "/", "", new(any)); !errors.Is(err, context.Canceled) || apierror.KindOf(err) == apierror.Timeout {
			t.Errorf("%s, canceled: %v, want %v", name, err, context.Canceled)
		}
	}
}

func TestBackendGone(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	wantError(t, "refused", clientOf(t, "http://"+ln.Addr().String(), patience).Ping(t.Context(), "/", ""),
		apierror.Unavailable, "listing service unavailable")
	wantError(t, "cut off", backend(t, patience, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"n":`)
		panic(http.ErrAbortHandler)
	}).Get(t.Context(), "/", "", new(any)), apierror.Unavailable, "listing service unavailable")
	wantError(t, "short", backend(t, patience, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, `{}`)
	}).Get(t.Context(), "/", "", new(any)), apierror.Unavailable, "listing service unavailable")

	// A connection that cannot be made in time is a service that is not there.
	c, err := NewClient("listing service", "http://127.0.0.1:1", patience, &http.Transport{
		DialContext: func(context.Context, string, string) (net.Conn, error) {
			return nil, &net.OpError{Op: "dial", Err: context.DeadlineExceeded}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	wantError(t, "dial too slow", c.Ping(t.Context(), "/", ""), apierror.Unavailable, "listing service unavailable")
}

// TestLargeResponse has responses with and without a Content-Length.
func TestLargeResponse(t *testing.T) {
	t.Parallel()
	block := []byte(strings.Repeat(" ", 1<<20))
	for _, test := range []struct {
		header string
		most   int64 // bytes that the backend gets rid of; the network's buffers hold some more
	}{
		{"", 2 * maxBody},
		{fmt.Sprint(maxBody + 1), maxBody / 2},
	} {
		var sent atomic.Int64
		c := backend(t, patience, func(w http.ResponseWriter, _ *http.Request) {
			if test.header != "" {
				w.Header().Set("Content-Length", test.header)
			}
			for {
				n, err := w.Write(block)
				if sent.Add(int64(n)); err != nil {
					return // the client has had enough
				}
			}
		})
		wantError(t, "length "+test.header, c.Get(t.Context(), "/", "", new(any)), apierror.Unavailable, "listing service unavailable")
		if got := sent.Load(); got > test.most {
			t.Errorf("length %q: %d bytes of it were read, want at most %d", test.header, got, test.most)
		}
	}
}

func wantError(t *testing.T, what string, err error, kind apierror.Kind, messages ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: no error, want %q", what, messages)
		return
	}
	f := apierror.From(err)
	if got := f.Messages(); f.Kind != kind || !slices.Equal(got, messages) {
		t.Errorf("%s: kind %d, %q, want kind %d, %q", what, f.Kind, got, kind, messages)
	}
}
