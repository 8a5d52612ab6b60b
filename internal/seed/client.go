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
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/veranda-go/veranda/internal/backendclient"
	"github.com/veranda-go/veranda/internal/idempotency"
)

const (
	// requestTimeout is longer than a veranda server takes for any request.
	requestTimeout = 30 * time.Second
	// maxTries and the waits bound the retries of one request.
	maxTries  = 10
	maxBroken = 5 // tries with a broken connection
	firstWait = 100 * time.Millisecond
	maxWait   = time.Minute
	// maxAnswer is in bytes; the response to a creation has a few hundred.
	maxAnswer = 64 << 10
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

// answer is the body of a response.
type answer struct {
	Result  bool     `json:"result"`
	Errors  []string `json:"errors"`
	User    created  `json:"user"`
	Listing created  `json:"listing"`
}

type created struct {
	ID int64 `json:"id"`
}

// client calls the two public routes that create.
type client struct {
	base string
	http http.Client
}

func newClient(base string) *client {
	return &client{
		base: strings.TrimSuffix(base, "/"),
		http: http.Client{
			Transport: backendclient.NewTransport(), // its pool holds more than inFlight connections
			Timeout:   requestTimeout,
			// Followed, a POST may turn into a GET, whose success creates nothing.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

func (c *client) close() { c.http.CloseIdleConnections() }

func (c *client) createUser(ctx context.Context, u user) (int64, error) {
	a, err := c.create(ctx, "/public-api/users", u)
	if err == nil && a.User.ID < 1 {
		err = errShape
	}
	return a.User.ID, err
}

func (c *client) createListing(ctx context.Context, l listing) error {
	a, err := c.create(ctx, "/public-api/listings", l)
	if err == nil && a.Listing.ID < 1 {
		err = errShape
	}
	return err
}

var errShape = errors.New("the response is not that of a creation: is this the public layer?")

// create posts until the response is a success or a refusal. A server that is
// busy or not ready is asked again, at the pace that it asks for, and so is one
// whose connection broke. The idempotency key makes sure that no retry creates
// a second object; where the backends do not support keys, only responses that
// say that nothing was created are retried.
func (c *client) create(ctx context.Context, path string, object any) (answer, error) {
	body, err := json.Marshal(object)
	if err != nil {
		return answer{}, err
	}
	key := rand.Text()
	for try := 0; ; try++ {
		a, resp, err := c.post(path, body, key)
		if err == nil {
			return a, nil
		}
		wait, retry := pause(try, ""), key != "" && !errors.Is(err, errUnreachable)
		if resp == nil && try+1 == maxBroken {
			retry = false
		}
		if resp != nil {
			switch resp.StatusCode {
			case http.StatusNotImplemented: // keys are not supported
				retry = key != ""
				key, wait = "", 0
			case http.StatusTooManyRequests, http.StatusServiceUnavailable, http.StatusConflict:
				wait, retry = pause(try, resp.Header.Get("Retry-After")), true
			default:
				retry = false
			}
		}
		if !retry || try+1 == maxTries || wait > maxWait {
			return answer{}, err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return answer{}, context.Cause(ctx)
		}
	}
}

// errUnreachable is a server to which there is no connection.
var errUnreachable = errors.New("is veranda running?")

// pause returns the time to wait after a number of tries: what the server asks
// for, in seconds or as a date, or else twice as long each time. A random part
// keeps clients that were refused together from retrying together.
func pause(tries int, retryAfter string) time.Duration {
	wait := firstWait << tries
	if s, err := strconv.ParseUint(retryAfter, 10, 31); err == nil {
		wait = max(time.Duration(s)*time.Second, firstWait)
	} else if at, err := http.ParseTime(retryAfter); err == nil {
		wait = max(time.Until(at), firstWait)
	}
	return wait + mathrand.N(wait/4)
}

// post sends one request. The response comes with an error if it is no success.
// A request that is sent is not canceled when the run stops: its outcome would
// be unknown.
func (c *client) post(path string, body []byte, key string) (answer, *http.Response, error) {
	req, err := http.NewRequest(http.MethodPost, c.base+path, bytes.NewReader(body))
	if err != nil {
		return answer{}, nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	if key != "" {
		req.Header.Set(idempotency.Header, key)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		var op *net.OpError
		if errors.As(err, &op) && op.Op == "dial" {
			err = fmt.Errorf("cannot reach %s: %w (%w)", req.URL.Host, errUnreachable, op)
		}
		return answer{}, nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return answer{}, nil, fmt.Errorf("POST %s: %w", path, err)
	}
	var a answer
	err = json.Unmarshal(text, &a)
	switch {
	case resp.StatusCode == http.StatusOK && err == nil && a.Result:
		return a, resp, nil
	case len(a.Errors) > 0:
		err = errors.New(strings.Join(a.Errors, "; "))
	case resp.StatusCode == http.StatusOK:
		err = errShape
	default:
		err = errors.New(http.StatusText(resp.StatusCode))
	}
	return answer{}, resp, fmt.Errorf("POST %s: status %d: %w", path, resp.StatusCode, err)
}
