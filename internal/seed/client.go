package seed

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/veranda-go/veranda/internal/backendclient"
)

const (
	// requestTimeout is longer than a server of ours takes over any request.
	requestTimeout = 30 * time.Second
	// maxTries and the waits bound how long a busy server is asked again.
	maxTries  = 10
	firstWait = 100 * time.Millisecond
	maxWait   = time.Minute
	// maxAnswer is in bytes; an answer to a creation has a few hundred.
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

// answer is what comes back.
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

var errShape = errors.New("the answer is not that of a creation: is this the public layer?")

// create posts until the answer is a success or a refusal. A server that is
// busy or not ready is asked again, at the pace that it wishes. It may have
// created the thing all the same, before it said so; then the retry makes a
// second one. That does no harm to demo data, and only acknowledged creations
// are counted. A connection that breaks says even less, so it ends the run.
func (c *client) create(ctx context.Context, path string, what any) (answer, error) {
	body, err := json.Marshal(what)
	if err != nil {
		return answer{}, err
	}
	for try := 0; ; try++ {
		a, resp, err := c.post(path, body)
		if err == nil || resp == nil {
			return a, err
		}
		busy := resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusServiceUnavailable
		wait := pause(try, resp.Header.Get("Retry-After"))
		if !busy || try+1 == maxTries || wait > maxWait {
			return answer{}, err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return answer{}, context.Cause(ctx)
		}
	}
}

// pause is how long to wait after a number of tries: what the server wishes,
// in seconds or as a date, or else twice as long each time. A random part
// keeps many who were refused together from coming back together.
func pause(tries int, retryAfter string) time.Duration {
	wait := firstWait << tries
	if s, err := strconv.ParseUint(retryAfter, 10, 31); err == nil {
		wait = max(time.Duration(s)*time.Second, firstWait)
	} else if at, err := http.ParseTime(retryAfter); err == nil {
		wait = max(time.Until(at), firstWait)
	}
	return wait + rand.N(wait/4)
}

// post sends one request. The response comes with its error when there was an
// answer, but not a success. A request that is sent is not cut off when the
// run stops: its outcome would be unknown.
func (c *client) post(path string, body []byte) (answer, *http.Response, error) {
	req, err := http.NewRequest(http.MethodPost, c.base+path, bytes.NewReader(body))
	if err != nil {
		return answer{}, nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.http.Do(req)
	if err != nil {
		var op *net.OpError
		if errors.As(err, &op) && op.Op == "dial" {
			err = fmt.Errorf("cannot reach %s: is veranda running? (%w)", req.URL.Host, op)
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
