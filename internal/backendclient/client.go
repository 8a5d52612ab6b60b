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
	"github.com/veranda-go/veranda/internal/httpapi"
)

// Limits of what a backend may cost us.
const (
	// maxAnswer is the largest answer in bytes that is read from a backend: a
	// batch of 100 pages of 100 listings is about 1.3 MB.
	maxAnswer = 32 << 20
	// maxSentences and maxSentence bound what is passed on of a refusal.
	maxSentences = 10
	maxSentence  = 300
)

// Client calls the routes of one backend. Make it with NewClient.
type Client struct {
	service   string // as it is called in sentences: "listing service"
	base      *url.URL
	transport http.RoundTripper
	timeout   time.Duration
}

// NewClient is a client for the service whose routes start at base, an http
// or https URL. Every call ends after timeout at the latest.
func NewClient(service, base string, timeout time.Duration, transport http.RoundTripper) (*Client, error) {
	u, err := url.Parse(base)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return nil, fmt.Errorf("%s URL %q: must look like http://host:port", service, base)
	}
	u.Path = strings.TrimSuffix(u.Path, "/")
	// No http.Client around the transport: it would follow redirects, which
	// turn a question for a backend into one for anybody.
	return &Client{service, u, transport, timeout}, nil
}

// NewTransport is a pool of connections for the load of one public layer in
// front of one backend.
func NewTransport() *http1.Transport { return http1.NewTransport() }

// Get asks for path and decodes the answer's JSON into out, which has one
// field for each member that matters. Faults: the backend's own refusal
// (Invalid, NotFound), Unavailable, Timeout.
func (c *Client) Get(ctx context.Context, path, query string, out any) error {
	return c.GetLong(ctx, 0, path, query, out)
}

// GetLong is Get for a question that the backend may think about: it gets
// wait more time.
func (c *Client) GetLong(ctx context.Context, wait time.Duration, path, query string, out any) error {
	_, err := c.call(ctx, question{path: path, query: query, wait: wait}, out)
	return err
}

// PostForm sends a form and decodes the answer as Get does. key, unless "",
// is its idempotency key; replayed tells that the answer is that of an
// earlier request with this key. Faults beside those of Get: Conflict and
// Mismatch.
func (c *Client) PostForm(ctx context.Context, path string, form url.Values, key string, out any) (replayed bool, err error) {
	header, err := c.call(ctx, question{path: path, form: form.Encode(), key: key}, out)
	return header.Get(httpapi.ReplayedHeader) == "true", err
}

// Features asks for path, a ping of ours, and tells whether the backend lists
// feature there. One without such a ping has no features.
func (c *Client) Features(ctx context.Context, path, feature string) (bool, error) {
	header, err := c.call(ctx, question{path: path}, nil)
	switch apierror.KindOf(err) {
	case apierror.NotFound, apierror.Invalid:
		return false, nil
	}
	if err != nil {
		return false, err
	}
	for f := range strings.SplitSeq(header.Get(httpapi.FeaturesHeader), ",") {
		if strings.TrimSpace(f) == feature {
			return true, nil
		}
	}
	return false, nil
}

// question is one call of a backend: a POST if it has a form, else a GET.
type question struct {
	path, query string // as they stand in a URL
	form        string
	key         string        // for idempotency
	wait        time.Duration // on top of the timeout
}

// request makes the HTTP request of a question. http.NewRequest would take
// the base URL apart each time.
func (c *Client) request(ctx context.Context, q question) *http.Request {
	u := *c.base
	u.Path, u.RawQuery = c.base.Path+q.path, q.query
	req := &http.Request{
		Method: http.MethodGet, URL: &u, Host: u.Host,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Accept": acceptJSON},
	}
	if id := httpapi.RequestID(ctx); id != "" {
		req.Header[httpapi.RequestIDHeader] = []string{id}
	}
	if q.form != "" {
		req.Method = http.MethodPost
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Body = io.NopCloser(strings.NewReader(q.form))
		req.ContentLength = int64(len(q.form))
	}
	if q.key != "" {
		req.Header.Set(httpapi.IdempotencyKeyHeader, q.key)
	}
	return req.WithContext(ctx)
}

var acceptJSON = []string{httpapi.MediaJSON}

func (c *Client) call(ctx context.Context, q question, out any) (http.Header, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout+q.wait)
	defer cancel()
	req := c.request(ctx, q)
	countCall(ctx)
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		return nil, c.unavailable(ctx, err)
	}
	defer resp.Body.Close()
	buf := httpapi.GetBuffer()
	defer httpapi.PutBuffer(buf)
	body, err := readAnswer((*buf)[:0], resp)
	if err != nil {
		return nil, c.unavailable(ctx, err)
	}
	*buf = body
	if resp.StatusCode != http.StatusOK {
		return nil, c.refusal(resp, body)
	}
	if out == nil {
		return resp.Header, nil
	}
	if scanned, ok := out.(fastjson.Scanned); ok && scanned.ScanJSON(fastjson.NewScan(string(body))) {
		return resp.Header, nil
	}
	if err := json.Unmarshal(body, out); err != nil {
		return nil, c.unavailable(ctx, fmt.Errorf("%s %s: answer not understood: %w", req.Method, q.path, err))
	}
	return resp.Header, nil
}

// readAnswer appends the body of an answer to b.
func readAnswer(b []byte, resp *http.Response) ([]byte, error) {
	if resp.ContentLength > maxAnswer {
		return nil, errAnswerTooLarge
	}
	buf := bytes.NewBuffer(slices.Grow(b, int(max(resp.ContentLength, 0))+bytes.MinRead))
	n, err := buf.ReadFrom(io.LimitReader(resp.Body, maxAnswer+1))
	if err == nil && n > maxAnswer {
		err = errAnswerTooLarge
	}
	return buf.Bytes(), err
}

var errAnswerTooLarge = errors.New("answer too large")

// unavailable tells a deadline from a caller that went away, and both from a
// backend that does not answer.
func (c *Client) unavailable(ctx context.Context, err error) error {
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

// isDial tells a connection that could not be made: the service is not there,
// however long finding that out took.
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

// refusal turns a status back into a fault. Only what blames the input keeps
// the backend's sentences; the rest is the backend's own trouble.
func (c *Client) refusal(resp *http.Response, body []byte) error {
	var envelope struct {
		Errors []string `json:"errors"`
	}
	cause := &statusError{resp.Request.Method, resp.Request.URL.Path, resp.StatusCode}
	blame := func(kind apierror.Kind) error {
		f := apierror.Wrap(kind, "refused by the "+c.service, cause)
		if json.Unmarshal(body, &envelope) == nil && len(envelope.Errors) > 0 {
			f.Fields = f.Fields[:0]
			for _, s := range envelope.Errors[:min(len(envelope.Errors), maxSentences)] {
				f.Fields = append(f.Fields, parseProblem(s))
			}
		}
		return f
	}
	if resp.Request.Header.Get(httpapi.IdempotencyKeyHeader) != "" { // without a key these may mean anything
		switch resp.StatusCode {
		case http.StatusConflict:
			return blame(apierror.Conflict)
		case http.StatusUnprocessableEntity:
			return blame(apierror.KeyMismatch)
		}
	}
	switch resp.StatusCode {
	case http.StatusBadRequest:
		return blame(apierror.Invalid)
	case http.StatusNotFound:
		return blame(apierror.NotFound) // its sentence tells a thing from a route
	case http.StatusMethodNotAllowed, http.StatusNotImplemented:
		return apierror.Wrap(apierror.NotFound, "no such thing at the "+c.service, cause)
	case http.StatusGatewayTimeout:
		return apierror.Wrap(apierror.Timeout, c.service+" did not answer in time", cause)
	default:
		f := apierror.Wrap(apierror.Unavailable, c.service+" unavailable", cause)
		if s, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && s > 0 && s <= 3600 {
			f.RetryAfter = time.Duration(s) * time.Second
		}
		return f
	}
}

func parseProblem(sentence string) apierror.FieldError {
	if len(sentence) > maxSentence {
		sentence = strings.ToValidUTF8(sentence[:maxSentence], "") + "…"
	}
	if param, text, ok := strings.Cut(sentence, ": "); ok && !strings.Contains(param, " ") {
		return apierror.FieldError{Field: param, Message: text}
	}
	return apierror.FieldError{Message: sentence}
}

// Ping asks for path and takes any 200 for life, whatever the body.
func (c *Client) Ping(ctx context.Context, path, query string) error {
	_, err := c.call(ctx, question{path: path, query: query}, nil)
	return err
}

// AppendIDs appends name=1&name=2… to a query string.
func AppendIDs(b []byte, name string, ids []int64) []byte {
	b = slices.Grow(b, len(ids)*(len(name)+len("=1234567&")))
	for i, id := range ids {
		if i > 0 {
			b = append(b, '&')
		}
		b = append(b, name...)
		b = append(b, '=')
		b = strconv.AppendInt(b, id, 10)
	}
	return b
}
