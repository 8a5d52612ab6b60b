package seed

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/go-json-experiment/json"

	"github.com/veranda-go/veranda/internal/backendclient"
	"github.com/veranda-go/veranda/internal/idempotency"
)

const (
	requestTimeout = 30 * time.Second // longer than a veranda server takes
	maxTries       = 8
	maxWait        = 2 * time.Minute // of all tries of a request
	firstWait      = 100 * time.Millisecond
	maxBody        = 64 << 10 // bytes; the response to a creation has a few hundred
)

// user and listing are the bodies of the public routes.
type user struct {
	Name string `json:"name"`
}

type listing struct {
	UserID int64  `json:"user_id"`
	Type   string `json:"listing_type"`
	Price  int64  `json:"price"`
}

// client calls the two public routes that create.
type client struct {
	base string
	http http.Client
}

func newClient(base string) *client {
	return &client{strings.TrimSuffix(base, "/"), http.Client{
		Transport: backendclient.NewTransport(), // its pool holds more than inFlight connections
		Timeout:   requestTimeout,
		// A POST that follows a redirect may become a GET, whose success creates nothing.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// create creates object and returns its id. It retries what may succeed later,
// with the same idempotency key, so that no retry creates a second object. If
// the backends do not support keys, it retries only what certainly created
// nothing.
func (c *client) create(ctx context.Context, path string, object any) (id int64, _ error) {
	body, err := json.Marshal(object)
	if err != nil {
		return 0, err
	}
	key := rand.Text()
	pace := backoff.NewExponentialBackOff()
	pace.InitialInterval = firstWait
	return backoff.Retry(ctx, func() (int64, error) {
		id, resp, err := c.post(path, body, key)
		if resp.StatusCode == http.StatusNotImplemented && key != "" {
			key = "" // not supported
			id, resp, err = c.post(path, body, key)
		}
		if err == nil {
			return id, nil
		}
		mayRetry := resp.StatusCode == http.StatusTooManyRequests || key != "" && !errors.Is(err, errUnreachable) &&
			slices.Contains([]int{noResponse, http.StatusConflict, http.StatusServiceUnavailable, http.StatusGatewayTimeout}, resp.StatusCode)
		if !mayRetry {
			return 0, backoff.Permanent(err)
		}
		if wait := retryAfter(resp.Header.Get("Retry-After")); wait > 0 {
			wait += mathrand.N(wait / 4) // not all clients at once
			err = fmt.Errorf("%w (%w)", err, &backoff.RetryAfterError{Duration: wait})
		}
		return 0, err
	}, backoff.WithBackOff(pace), backoff.WithMaxTries(maxTries), backoff.WithMaxElapsedTime(maxWait))
}

// retryAfter returns the duration of a Retry-After field, in seconds or until a
// date (RFC 9110, section 10.2.3), and 0 if there is none.
func retryAfter(field string) time.Duration {
	if s, err := strconv.ParseUint(field, 10, 31); err == nil {
		return time.Duration(s) * time.Second
	}
	at, err := http.ParseTime(field)
	if err != nil {
		return 0
	}
	return max(time.Until(at), 0)
}

var (
	errUnreachable = errors.New("is veranda running?")
	errShape       = errors.New("the response is not that of a creation: is this the public layer?")
)

// noResponse is the status of a request whose response did not arrive.
const noResponse = 0

// post sends one request and returns the id of the created object. It takes no
// context: the outcome of a canceled request would be unknown.
func (c *client) post(path string, body []byte, key string) (id int64, resp *http.Response, _ error) {
	none := &http.Response{StatusCode: noResponse}
	req, err := http.NewRequest(http.MethodPost, c.base+path, bytes.NewReader(body))
	if err != nil {
		return 0, none, err
	}
	req.Header.Set("Content-Type", "application/json")
	if key != "" {
		req.Header.Set(idempotency.Header, key)
	}
	resp, err = c.http.Do(req)
	if err != nil {
		var op *net.OpError
		if errors.As(err, &op) && op.Op == "dial" {
			err = fmt.Errorf("cannot reach %s: %w (%w)", req.URL.Host, errUnreachable, op)
		}
		return 0, none, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	if err != nil {
		return 0, none, fmt.Errorf("POST %s: %w", path, err)
	}
	type object struct {
		ID int64 `json:"id"`
	}
	var created struct {
		Result  bool     `json:"result"`
		Errors  []string `json:"errors"`
		User    object   `json:"user"`
		Listing object   `json:"listing"`
	}
	err = json.Unmarshal(text, &created)
	id = max(created.User.ID, created.Listing.ID)
	switch {
	case len(created.Errors) > 0:
		err = errors.New(strings.Join(created.Errors, "; "))
	case resp.StatusCode != http.StatusOK:
		err = errors.New(http.StatusText(resp.StatusCode))
	case err != nil || !created.Result || id < 1:
		err = errShape
	default:
		return id, resp, nil
	}
	return 0, resp, fmt.Errorf("POST %s: status %d: %w", path, resp.StatusCode, err)
}
