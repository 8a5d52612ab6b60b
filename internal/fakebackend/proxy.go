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

// Proxy stands between a caller and a service. It records the requests, and may
// respond in place of the service.
type Proxy struct {
	// URL is the proxy's base URL.
	URL string

	mu       sync.Mutex
	calls    []Call
	inFlight int
	most     int // requests in flight at once
	instead  http.HandlerFunc
	next     http.Handler
}

// Call is one recorded request.
type Call struct {
	// Route is the method and the path: "GET /users/batch".
	Route string
	Query url.Values
	// RequestID is the header X-Request-Id.
	RequestID string
}

// NewProxy returns a proxy in front of a handler. It listens until the test ends.
func NewProxy(t testing.TB, service http.Handler) *Proxy {
	p := &Proxy{next: service}
	srv := httptest.NewServer(p)
	p.URL = srv.URL
	t.Cleanup(func() {
		srv.CloseClientConnections() // a response that hangs would not end
		srv.Close()
	})
	return p
}

// ProxyURL is NewProxy in front of the service at a base URL.
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
			panic(http.ErrAbortHandler) // as if no service listened there
		},
	})
}

// Instead makes h respond from now on in place of the service; nil makes the
// service respond again.
func (p *Proxy) Instead(h http.HandlerFunc) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.instead = h
}

// Calls returns the requests since the last call of Calls or Routes, in order of
// arrival.
func (p *Proxy) Calls() []Call {
	p.mu.Lock()
	defer p.mu.Unlock()
	calls := p.calls
	p.calls, p.most = nil, p.inFlight
	return calls
}

// Routes returns each route of Calls with the number of its requests, such as
// "GET /users/{id} ×3", sorted. An id at the end of a path is {id}.
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

// MostAtOnce returns the largest number of requests in flight at once since the
// last call of Calls or Routes.
func (p *Proxy) MostAtOnce() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.most
}

// ServeHTTP is part of http.Handler.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.calls = append(p.calls, Call{r.Method + " " + r.URL.Path, r.URL.Query(), r.Header.Get("X-Request-Id")})
	p.inFlight++
	p.most = max(p.most, p.inFlight)
	h := p.next.ServeHTTP
	if p.instead != nil {
		h = p.instead
	}
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		p.inFlight--
		p.mu.Unlock()
	}()
	h(w, r)
}

// Leaks returns the first internal detail in a response, "" if there is none.
func Leaks(response string) string {
	lower := strings.ToLower(response)
	i := slices.IndexFunc(details, func(detail string) bool { return strings.Contains(lower, detail) })
	if i < 0 {
		return ""
	}
	return details[i]
}

// details are parts of stack traces, paths, SQL, and of the messages of database
// drivers, package net and the bad responses of this package.
var details = []string{
	"goroutine", ".go", "panic", "runtime", "traceback", "/home/", "/srv/", "/tmp/", ".db", "sqlite", "postgres",
	"pgx", "sqlstate", "select ", "insert ", "from users", "dial", "tcp", "refused", "reset by", "broken pipe",
	"eof", "127.0.0.1", "localhost", "context ", "http:", "status 5", "json:", "jsontext", "unmarshal", "not understood",
	"secret",
}
