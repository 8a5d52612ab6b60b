package creationtest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/veranda-go/veranda/internal/apierror"
	"github.com/veranda-go/veranda/internal/backendclient"
	"github.com/veranda-go/veranda/internal/creation"
)

// Client is what the tests call of a service's client.
type Client[D, Row any] interface {
	Create(ctx context.Context, d D, key string) (Row, bool, error)
	HonorsKeys(ctx context.Context) (bool, error)
}

// HTTPSuite is the input of the tests of a service over HTTP.
type HTTPSuite[D creation.Draft[Row], Row comparable] struct {
	// Path is where creations are sent to.
	Path string
	// Forms all spell the same creation; Other is a valid one that differs from it.
	Forms []string
	Other string
	// Invalid is a form with errors in InvalidFields.
	Invalid       string
	InvalidFields []string
	// Drafts differ from each other.
	Drafts [2]D
	// Open returns the handler of a service with an empty store, and a function
	// that counts the store's rows. The handler calls before, unless it is nil,
	// before each call of the store's Create.
	Open func(t *testing.T, before func()) (h http.Handler, count func() int)
	// NewClient returns the service's client.
	NewClient func(*backendclient.Client) Client[D, Row]
}

// HTTP runs the tests of idempotency keys over HTTP.
func HTTP[D creation.Draft[Row], Row comparable](t *testing.T, s HTTPSuite[D, Row]) {
	for name, run := range map[string]func(*testing.T){
		"keys":        s.testKeys,
		"in progress": s.testInProgress,
		"client":      s.testClient,
		"features":    s.testFeatures,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run(t)
		})
	}
}

func (s HTTPSuite[D, Row]) serve(t *testing.T, before func()) (url string, count func() int) {
	t.Helper()
	h, count := s.Open(t, before)
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.URL, count
}

func (s HTTPSuite[D, Row]) client(t *testing.T, url string) Client[D, Row] {
	t.Helper()
	c, err := backendclient.NewClient("service", url, time.Minute, http.DefaultTransport)
	if err != nil {
		t.Fatal(err)
	}
	return s.NewClient(c)
}

// post sends a creation with idempotency keys, each in a header of its own.
func (s HTTPSuite[D, Row]) post(t *testing.T, url, form string, keys ...string) (*http.Response, string) {
	t.Helper()
	return send(t, "POST", url+s.Path, form, http.Header{
		"Content-Type":    {"application/x-www-form-urlencoded"},
		"Idempotency-Key": keys,
	})
}

func send(t *testing.T, method, url, body string, header http.Header) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = header
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(text)
}

// wantInvalid tests for status 400 with one message for each of fields.
func wantInvalid(t *testing.T, resp *http.Response, body string, fields ...string) {
	t.Helper()
	var failure struct {
		Result *bool
		Errors []string
	}
	d := json.NewDecoder(strings.NewReader(body))
	d.DisallowUnknownFields()
	err := d.Decode(&failure)
	var got []string
	for _, message := range failure.Errors {
		field, _, _ := strings.Cut(message, ": ")
		got = append(got, field)
	}
	if resp.StatusCode != http.StatusBadRequest || resp.Header.Get("Content-Type") != "application/json" ||
		err != nil || failure.Result == nil || *failure.Result || !slices.Equal(got, fields) {
		t.Errorf("%d %s, want 400 with a message for each of %q", resp.StatusCode, body, fields)
	}
}

func (s HTTPSuite[D, Row]) testKeys(t *testing.T) {
	url, count := s.serve(t, nil)
	resp, body := s.post(t, url, s.Forms[0], "a")
	if resp.StatusCode != 200 || resp.Header.Get("Idempotency-Replayed") != "" {
		t.Fatalf("first: %d %v %s", resp.StatusCode, resp.Header, body)
	}
	for _, form := range s.Forms {
		again, bodyAgain := s.post(t, url, form, "a")
		if again.StatusCode != 200 || again.Header.Get("Idempotency-Replayed") != "true" || bodyAgain != body {
			t.Errorf("%s again: %d %v\n got %s\nwant %s", form, again.StatusCode, again.Header, bodyAgain, body)
		}
	}
	for _, key := range []string{"b", "A", "!", "~", strings.Repeat("k", 255)} {
		resp, bodyOther := s.post(t, url, s.Forms[0], key)
		if resp.StatusCode != 200 || resp.Header.Get("Idempotency-Replayed") != "" || bodyOther == body {
			t.Errorf("key %.20s: %d %v %s", key, resp.StatusCode, resp.Header, bodyOther)
		}
	}

	resp, body = s.post(t, url, s.Other, "a")
	if want := `{"result":false,"errors":["Idempotency-Key: already used with other parameters"]}`; resp.StatusCode != 422 || body != want {
		t.Errorf("other parameters: %d %s", resp.StatusCode, body)
	}
	resp, body = s.post(t, url, s.Invalid, "a")
	wantInvalid(t, resp, body, s.InvalidFields...)

	for _, keys := range [][]string{
		{""}, {" "}, {"a b"}, {"a\tb"}, {"ключ"}, {"\x80"}, {"\"a b\""}, {strings.Repeat("k", 256)}, {"a", "a"}, {"a", "b"},
	} {
		resp, body := s.post(t, url, s.Forms[0], keys...)
		wantInvalid(t, resp, body, "Idempotency-Key")
	}
	if n := count(); n != 6 {
		t.Errorf("%d rows, want 6", n)
	}
}

func (s HTTPSuite[D, Row]) testInProgress(t *testing.T) {
	begun, end := make(chan struct{}), make(chan struct{})
	url, _ := s.serve(t, func() {
		begun <- struct{}{}
		<-end
	})
	responses := make(chan string)
	start := func(keys ...string) {
		go func() {
			resp, body := s.post(t, url, s.Forms[0], keys...)
			responses <- fmt.Sprint(resp.StatusCode, resp.Header.Get("Idempotency-Replayed"), body)
		}()
		<-begun
	}
	start("a")
	for range 2 {
		resp, body := s.post(t, url, s.Forms[0], "a")
		want := `{"result":false,"errors":["Idempotency-Key: a request with this key is in progress"]}`
		if resp.StatusCode != 409 || resp.Header.Get("Retry-After") != "1" || body != want {
			t.Errorf("in progress: %d %v %s", resp.StatusCode, resp.Header, body)
		}
	}
	// Requests with another key or none do not wait.
	start("b")
	start()
	for range 3 {
		end <- struct{}{}
		if response := <-responses; !strings.HasPrefix(response, "200{") {
			t.Error(response)
		}
	}
	start("a")
	end <- struct{}{}
	if response := <-responses; !strings.HasPrefix(response, "200true{") {
		t.Errorf("after the first request: %s", response)
	}
}

func (s HTTPSuite[D, Row]) testClient(t *testing.T) {
	ctx := t.Context()
	url, _ := s.serve(t, nil)
	c := s.client(t, url)
	if honors, err := c.HonorsKeys(ctx); err != nil || !honors {
		t.Errorf("honors keys: %v, %v", honors, err)
	}
	made, replayed, err := c.Create(ctx, s.Drafts[0], "a")
	if err != nil || replayed {
		t.Fatalf("create: %v, %v", replayed, err)
	}
	if got, replayed, err := c.Create(ctx, s.Drafts[0], "a"); err != nil || !replayed || got != made {
		t.Errorf("again: %+v, %v, %v, want %+v", got, replayed, err, made)
	}
	_, _, err = c.Create(ctx, s.Drafts[1], "a")
	if e := apierror.From(err); e.Kind != apierror.KeyMismatch || e.Messages()[0] != "Idempotency-Key: already used with other parameters" {
		t.Errorf("another draft: %v of kind %d", err, e.Kind)
	}

	// Responses of another implementation.
	var status int
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = w.Write([]byte(`{"errors":["price: too low"]}`))
	}))
	defer other.Close()
	c = s.client(t, other.URL)
	for _, status = range []int{200, 400, 404} {
		if honors, err := c.HonorsKeys(ctx); err != nil || honors {
			t.Errorf("status %d: honors keys %v, %v", status, honors, err)
		}
	}
	for _, status = range []int{500, 503} {
		if _, err := c.HonorsKeys(ctx); apierror.KindOf(err) != apierror.Unavailable {
			t.Errorf("status %d: %v", status, err)
		}
	}
	for _, test := range []struct {
		status int
		key    string
		want   apierror.Kind
	}{
		{409, "a", apierror.Conflict}, {422, "a", apierror.KeyMismatch}, {409, "", apierror.Unavailable}, {422, "", apierror.Unavailable},
	} {
		status = test.status
		if _, _, err := c.Create(ctx, s.Drafts[0], test.key); apierror.KindOf(err) != test.want {
			t.Errorf("status %d to key %q: %v", status, test.key, err)
		}
	}
}

func (s HTTPSuite[D, Row]) testFeatures(t *testing.T) {
	url, _ := s.serve(t, nil)
	resp, _ := send(t, "GET", url+s.Path+"/ping", "", nil)
	if got := resp.Header.Get("Veranda-Features"); got != "idempotency-key" {
		t.Errorf("features %q", got)
	}
}
