package fakebackend

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
)

// Proxy stands between a caller and a service: it notes what is asked, and may
// answer in the service's stead.
type Proxy struct {
	// URL is where it listens.
	URL string

	mu      sync.Mutex
	calls   []Call
	atOnce  int
	most    int
	instead http.HandlerFunc
	next    http.Handler
}

// Call is one request that came by.
type Call struct {
	// Route is the method and the path: "GET /users/batch".
	Route string
	Query url.Values
	// RequestID is the header.
	RequestID string
}

// NewProxy listens in front of a service in this process until the test ends.
func NewProxy(t testing.TB, service http.Handler) *Proxy {
	p := &Proxy{next: service}
	srv := httptest.NewServer(p)
	p.URL = srv.URL
	t.Cleanup(func() {
		srv.CloseClientConnections() // hanging answers would not end
		srv.Close()
	})
	return p
}

// ProxyURL listens in front of a service that runs elsewhere.
func ProxyURL(t testing.TB, service string) *Proxy {
	u, err := url.Parse(service)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 100}
	t.Cleanup(transport.CloseIdleConnections)
	return NewProxy(t, &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(u) },
		Transport: transport,
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) {
			panic(http.ErrAbortHandler) // as if nobody had been there
		},
	})
}

// Instead lets h answer from now on; nil lets the service answer again.
func (p *Proxy) Instead(h http.HandlerFunc) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.instead = h
}

// Calls gives what was asked since the last time, in order of arrival.
func (p *Proxy) Calls() []Call {
	p.mu.Lock()
	defer p.mu.Unlock()
	calls := p.calls
	p.calls, p.most = nil, p.atOnce
	return calls
}

// Routes is Calls without what varies: each route with the times it was asked
// for, ids as {id}, such as "GET /users/{id} ×3", sorted.
func (p *Proxy) Routes() []string {
	times := map[string]int{}
	for _, c := range p.Calls() {
		at := strings.LastIndexByte(c.Route, '/') + 1
		if last := c.Route[at:]; last != "" && last[0] >= '0' && last[0] <= '9' {
			c.Route = c.Route[:at] + "{id}"
		}
		times[c.Route]++
	}
	lines := make([]string, 0, len(times))
	for route, n := range times {
		lines = append(lines, fmt.Sprintf("%s ×%d", route, n))
	}
	slices.Sort(lines)
	return lines
}

// MostAtOnce is how many requests were under way together since the last
// Calls or Routes.
func (p *Proxy) MostAtOnce() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.most
}

// ServeHTTP is part of http.Handler.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.calls = append(p.calls, Call{r.Method + " " + r.URL.Path, r.URL.Query(), r.Header.Get("X-Request-Id")})
	p.atOnce++
	p.most = max(p.most, p.atOnce)
	h := p.next.ServeHTTP
	if p.instead != nil {
		h = p.instead
	}
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		p.atOnce--
		p.mu.Unlock()
	}()
	h(w, r)
}

// Leaks gives the first trace of our insides in an answer, "" if there is
// none.
func Leaks(answer string) string {
	lower := strings.ToLower(answer)
	i := slices.IndexFunc(insides, func(trace string) bool { return strings.Contains(lower, trace) })
	if i < 0 {
		return ""
	}
	return insides[i]
}

// insides are what stacks, paths, SQL and the texts of drivers and of package
// net have in them, and what the bad answers of this package say.
var insides = []string{
	"goroutine", ".go", "panic", "runtime", "traceback", "/home/", "/srv/", "/tmp/", ".db", "sqlite", "postgres",
	"pgx", "sqlstate", "select ", "insert ", "from users", "dial", "tcp", "refused", "reset by", "broken pipe",
	"eof", "127.0.0.1", "localhost", "context ", "http:", "status 5", "json:", "jsontext", "unmarshal", "not understood",
	"secret",
}
