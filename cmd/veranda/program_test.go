package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/veranda-go/veranda/internal/fakebackend"
)

// program is a call of run that goes on in the background.
type program struct {
	url      string // the public layer's, or that of the only service
	out, err output
	stop     func() error
}

// The lines by which a program says that it is up.
var (
	greeted = regexp.MustCompile(`(?s)  start page +(http://\S+)/\n.*Ctrl-C stops it\.\n`)
	logged  = regexp.MustCompile(`"serving","service":"[^"]+","url":"(http://[^"]+)"`)
)

// start runs a command, on free ports unless args say otherwise, and waits
// until it is up. It is stopped when the test ends, without an error.
func start(t *testing.T, args ...string) *program {
	t.Helper()
	up, free := logged, []string{"VERANDA_PORT=0"}
	if len(args) == 0 || strings.HasPrefix(args[0], "-") {
		up, free = greeted, []string{"VERANDA_LISTING_PORT=0", "VERANDA_USER_PORT=0", "VERANDA_PUBLIC_PORT=0"}
	}
	ctx, cancel := context.WithCancel(context.Background())
	p, ended := &program{}, make(chan error, 1)
	go func() { ended <- run(ctx, args, free, &p.out, &p.err) }()
	p.stop = sync.OnceValue(func() error {
		cancel()
		select {
		case err := <-ended:
			return err
		case <-time.After(time.Minute):
			return fmt.Errorf("still running a minute after it was stopped")
		}
	})
	t.Cleanup(func() {
		if err := p.stop(); err != nil {
			t.Errorf("%v: %v", args, err)
		}
	})
	watched := &p.err
	if up == greeted {
		watched = &p.out
	}
	for {
		if m := up.FindStringSubmatch(watched.String()); m != nil {
			p.url = m[1]
			return p
		}
		select {
		case err := <-ended:
			ended <- nil
			t.Fatalf("%v ended: %v\n%s%s", args, err, p.out.String(), p.err.String())
		case <-watched.written():
		}
	}
}

// output is a buffer that may be read while it is written.
type output struct {
	mu   sync.Mutex
	buf  bytes.Buffer
	news chan struct{}
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.news != nil {
		close(o.news)
		o.news = nil
	}
	return o.buf.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// written is closed by the next write, or soon: what was written between a
// look and this call must not be waited for.
func (o *output) written() <-chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.news == nil {
		o.news = make(chan struct{})
		news := o.news
		time.AfterFunc(50*time.Millisecond, func() {
			o.mu.Lock()
			defer o.mu.Unlock()
			if o.news == news {
				close(news)
				o.news = nil
			}
		})
	}
	return o.news
}

// proxied is the three services, each a program of its own, with a recording proxy between
// the public layer and each backend.
type proxied struct {
	*program
	listingService, userService *program
	listings, users             *fakebackend.Proxy
}

func startProxied(t *testing.T, args ...string) *proxied {
	t.Helper()
	dir := t.TempDir()
	s := &proxied{
		listingService: start(t, "listing-service", "--database-url", "sqlite:"+filepath.Join(dir, "listings.db")),
		userService:    start(t, "user-service", "--database-url", "sqlite:"+filepath.Join(dir, "users.db")),
	}
	s.listings, s.users = fakebackend.ProxyURL(t, s.listingService.url), fakebackend.ProxyURL(t, s.userService.url)
	s.program = startPublic(t, s.listings, s.users, args...)
	return s
}

// startPublic starts the public layer between two taps.
func startPublic(t *testing.T, listings, users *fakebackend.Proxy, args ...string) *program {
	t.Helper()
	return start(t, append([]string{"public-api", "--listing-service-url", listings.URL, "--user-service-url", users.URL}, args...)...)
}

// A reply is an answer that was read whole.
type reply struct {
	status int
	header http.Header
	body   string
}

// client has no limit of its own: a test that hangs is stopped by go test.
var client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 8, IdleConnTimeout: time.Second}}

func do(t *testing.T, method, target, body string, header ...string) reply {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, target, err)
	}
	return reply{resp.StatusCode, resp.Header, string(text)}
}

func get(t *testing.T, target string) reply {
	t.Helper()
	return do(t, "GET", target, "")
}

func postJSON(t *testing.T, target, body string) reply {
	t.Helper()
	return do(t, "POST", target, body, "Content-Type", "application/json")
}

func postForm(t *testing.T, target string, form url.Values) reply {
	t.Helper()
	return do(t, "POST", target, form.Encode(), "Content-Type", "application/x-www-form-urlencoded")
}

// graphQL sends a document with variables, which are JSON.
func (p *program) graphQL(t *testing.T, query, variables string) reply {
	t.Helper()
	if variables == "" {
		variables = "{}"
	}
	return postJSON(t, p.url+"/graphql", fmt.Sprintf(`{"query":%s,"variables":%s}`, quote(query), variables))
}

// addUser and addListing create through the public layer and give the id.
func (p *program) addUser(t *testing.T, name string) string {
	t.Helper()
	return created(t, postJSON(t, p.url+"/public-api/users", fmt.Sprintf(`{"name":%s}`, quote(name))))
}

func (p *program) addListing(t *testing.T, userID, listingType string, price int64) string {
	t.Helper()
	return created(t, postJSON(t, p.url+"/public-api/listings",
		fmt.Sprintf(`{"user_id":%s,"listing_type":%q,"price":%d}`, userID, listingType, price)))
}

var firstID = regexp.MustCompile(`"id":(\d+)`)

func created(t *testing.T, r reply) string {
	t.Helper()
	m := firstID.FindStringSubmatch(r.body)
	if r.status != http.StatusOK || m == nil {
		t.Fatalf("status %d: %s", r.status, r.body)
	}
	return m[1]
}
