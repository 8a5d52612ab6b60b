// Package backendclient is the client half of HTTP between the public layer and
// a service: it sends requests with a deadline, limits what it reads, and turns
// statuses back into errors of package apierror. The clients of
// backend/listings and backend/users are built on it; the server half is
// package httpapi.
package backendclient

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/veranda-go/veranda/internal/apierror"
	"github.com/veranda-go/veranda/internal/fastjson"
	"github.com/veranda-go/veranda/internal/http1"
	"github.com/veranda-go/veranda/internal/idempotency"
	"github.com/veranda-go/veranda/internal/requestid"
)

// Limits of what is read from a backend.
const (
	// maxBody is the largest response in bytes. A batch of 100 pages of 100
	// listings takes about 1.3 MB.
	maxBody = 32 << 20
	// maxMessages and maxMessage, in bytes, bound the messages of a response that
	// are passed on.
	maxMessages = 10
	maxMessage  = 300
	// maxRetryAfter is the longest Retry-After that is passed on, in seconds.
	maxRetryAfter = 3600
)

// Client calls the routes of one backend. Make it with NewClient.
type Client struct {
	service   string // its name in messages: "listing service"
	base      *url.URL
	transport http.RoundTripper
	timeout   time.Duration
}

// NewClient returns a client of the service whose routes are below base, an http
// or https URL. A call takes at most timeout.
func NewClient(service, base string, timeout time.Duration, transport http.RoundTripper) (*Client, error) {
	u, err := url.Parse(base)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return nil, fmt.Errorf("%s URL %q: must look like http://host:port", service, base)
	}
	u.Path = strings.TrimSuffix(u.Path, "/")
	// Not an http.Client: it follows redirects, which lead to any host.
	return &Client{service, u, transport, timeout}, nil
}

// NewTransport returns a pool of connections from one public layer to one
// backend.
func NewTransport() Transport { return http1.NewTransport() }

// NewStandardTransport returns such a pool that uses net/http alone.
func NewStandardTransport() Transport { return http1.NewStandardTransport() }

// Transport makes requests and keeps connections.
type Transport interface {
	http.RoundTripper
	CloseIdleConnections()
}

// Get calls path and decodes the JSON of the response into out. Its errors are
// Unavailable, Timeout, and those that a backend may respond with: Invalid and
// NotFound.
func (c *Client) Get(ctx context.Context, path, query string, out any) error {
	return c.GetLong(ctx, 0, path, query, out)
}

// GetLong is Get for a request that the backend holds for up to wait: its timeout
// is that much longer.
func (c *Client) GetLong(ctx context.Context, wait time.Duration, path, query string, out any) error {
	_, err := c.call(ctx, request{path: path, query: query, wait: wait}, out)
	return err
}

// PostForm sends a form and decodes the response as Get does. key, unless empty,
// is its idempotency key; replayed reports whether the response is that of an
// earlier request with this key. Its errors are those of Get, and with a key
// Conflict and KeyMismatch.
func (c *Client) PostForm(ctx context.Context, path string, form url.Values, key string, out any) (replayed bool, err error) {
	header, err := c.call(ctx, request{path: path, form: form.Encode(), key: key}, out)
	return header.Get(idempotency.ReplayedHeader) == "true", err
}

// Ping calls path and accepts any body.
func (c *Client) Ping(ctx context.Context, path, query string) error {
	return c.Get(ctx, path, query, nil)
}

// HonorsKeys reports whether the backend lists at path, a ping that is not
// documented, that it honors idempotency keys. A backend without such a ping
// does not.
func (c *Client) HonorsKeys(ctx context.Context, path string) (bool, error) {
	header, err := c.call(ctx, request{path: path}, nil)
	switch {
	case err == nil:
	case LacksRoute(err):
		return false, nil
	default:
		return false, err
	}
	for feature := range strings.SplitSeq(header.Get(idempotency.FeaturesHeader), ",") {
		if strings.TrimSpace(feature) == idempotency.Feature {
			return true, nil
		}
	}
	return false, nil
}

// request is a call of a backend: a POST if it has a form, otherwise a GET.
type request struct {
	path, query string // escaped
	form        string
	key         string        // for idempotency
	wait        time.Duration // added to the timeout
}

// http returns q as an HTTP request. http.NewRequest would parse the base URL
// each time.
func (c *Client) http(ctx context.Context, q request) *http.Request {
	u := *c.base
	u.Path, u.RawQuery = c.base.Path+q.path, q.query
	r := &http.Request{
		Method: http.MethodGet, URL: &u, Host: u.Host,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Accept": {"application/json"}},
	}
	if id := requestid.From(ctx); id != "" {
		r.Header[requestid.Header] = []string{id}
	}
	if q.form != "" {
		r.Method = http.MethodPost
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Body = io.NopCloser(strings.NewReader(q.form))
		r.ContentLength = int64(len(q.form))
	}
	if q.key != "" {
		r.Header.Set(idempotency.Header, q.key)
	}
	return r.WithContext(ctx)
}

func (c *Client) call(ctx context.Context, q request, out any) (http.Header, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout+q.wait)
	defer cancel()
	r := c.http(ctx, q)
	countCall(ctx)
	resp, err := c.transport.RoundTrip(r)
	if err != nil {
		return nil, c.failed(ctx, err)
	}
	defer resp.Body.Close()
	body, err := readBody(resp)
	if err != nil {
		return nil, c.failed(ctx, err)
	}
	if resp.StatusCode/100 != 2 {
		return nil, c.refused(r, q, resp, body)
	}
	if out == nil {
		return resp.Header, nil
	}
	if scanned, ok := out.(fastjson.Scanned); ok && scanned.ScanJSON(fastjson.NewScan(body)) {
		return resp.Header, nil
	}
	if err := json.Unmarshal(body, out); err != nil {
		return nil, c.failed(ctx, fmt.Errorf("%s %s: malformed response: %w", r.Method, q.path, err))
	}
	return resp.Header, nil
}

func readBody(resp *http.Response) ([]byte, error) {
	if resp.ContentLength > maxBody {
		return nil, errTooLarge
	}
	var buf bytes.Buffer
	buf.Grow(int(max(resp.ContentLength, 0)) + bytes.MinRead)
	n, err := buf.ReadFrom(io.LimitReader(resp.Body, maxBody+1))
	if err == nil && n > maxBody {
		err = errTooLarge
	}
	return buf.Bytes(), err
}

var errTooLarge = errors.New("response too large")

// failed returns the error of a call without a whole response: of a deadline that
// passed, a caller that is gone, or a backend that cannot be reached.
func (c *Client) failed(ctx context.Context, err error) error {
	var timeout interface{ Timeout() bool }
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return context.Canceled
	case errors.Is(ctx.Err(), context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout() && !isDial(err):
		return apierror.Wrap(apierror.Timeout, c.service+" did not answer in time", err)
	default:
		return apierror.Wrap(apierror.Unavailable, c.service+" unavailable", err)
	}
}

// isDial reports whether no connection could be made. Then the service is down,
// even if it took a timeout to find out.
func isDial(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// LacksRoute reports whether err, returned by a route that is not documented,
// may mean that the backend does not have the route: there is no such route,
// the path was read as one of a documented route with a malformed id, or the
// response was not of the route's shape.
func LacksRoute(err error) bool {
	switch apierror.KindOf(err) {
	case apierror.NotFound, apierror.Invalid, apierror.Unsupported:
		return true
	}
	return false
}

// Crashed reports whether the backend responded to the request, with an
// internal error. A backend that lacks a route may do so when it reads the path
// as one of a documented route.
func Crashed(err error) bool {
	var status *statusError
	return errors.As(err, &status) && status.code == http.StatusInternalServerError
}

// statusError is the private cause of an error that a backend responded with.
type statusError struct {
	method, path string
	code         int
}

func (e *statusError) Error() string {
	return fmt.Sprintf("%s %s: status %d", e.method, e.path, e.code)
}

// refused returns the error of a response that is not a success: apierror's table
// of statuses backward, with the exceptions below. Messages are passed on only
// where they are about the request.
func (c *Client) refused(r *http.Request, q request, resp *http.Response, body []byte) error {
	kind, _ := apierror.KindOfStatus(resp.StatusCode) // Internal if it is unknown
	if resp.StatusCode == http.StatusMethodNotAllowed {
		kind = apierror.Unsupported
	}
	if q.key == "" && (kind == apierror.Conflict || kind == apierror.KeyMismatch) {
		kind = apierror.Internal // without a key the status may mean anything
	}
	cause := &statusError{r.Method, r.URL.Path, resp.StatusCode}
	switch kind {
	case apierror.Invalid, apierror.NotFound, apierror.Conflict, apierror.KeyMismatch:
		e := apierror.Wrap(kind, "refused by the "+c.service, cause)
		if fields := fieldErrors(body); len(fields) > 0 {
			e.Fields = fields
		}
		return e
	case apierror.Unsupported:
		return apierror.Wrap(apierror.NotFound, "no such thing at the "+c.service, cause)
	case apierror.Timeout:
		return apierror.Wrap(apierror.Timeout, c.service+" did not answer in time", cause)
	default: // the backend's failure, or a request of this package that it does not accept
		e := apierror.Wrap(apierror.Unavailable, c.service+" unavailable", cause)
		if s, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && s > 0 && s <= maxRetryAfter {
			e.RetryAfter = time.Duration(s) * time.Second
		}
		return e
	}
}

// fieldErrors returns the messages of a failure envelope, none if body is not
// one.
func fieldErrors(body []byte) []apierror.FieldError {
	var envelope struct {
		Errors []string `json:"errors"`
	}
	if json.Unmarshal(body, &envelope) != nil {
		return nil
	}
	var fields []apierror.FieldError
	for _, text := range envelope.Errors[:min(len(envelope.Errors), maxMessages)] {
		if len(text) > maxMessage {
			text = strings.ToValidUTF8(text[:maxMessage], "") + "…"
		}
		field, message, ok := strings.Cut(text, ": ")
		if !ok || strings.Contains(field, " ") {
			field, message = "", text
		}
		fields = append(fields, apierror.FieldError{Field: field, Message: message})
	}
	return fields
}

// AppendIDs appends name=1&name=2… to a query string.
func AppendIDs(b []byte, name string, ids []int64) []byte {
	b = slices.Grow(b, len(ids)*(len(name)+len("=1234567&")))
	for i, id := range ids {
		if i > 0 {
			b = append(b, '&')
		}
		b = append(append(b, name...), '=')
		b = strconv.AppendInt(b, id, 10)
	}
	return b
}
