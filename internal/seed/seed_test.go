package seed

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/go-json-experiment/json"
)

// fake stands for the public layer.
type fake struct {
	// before may respond in place of the route, and reports whether it did. n
	// counts the requests from 1.
	before func(n int, w http.ResponseWriter, r *http.Request) bool
	// after may respond in place of a route that has created an object, or break
	// the connection, and reports whether it did.
	after func(n int, w http.ResponseWriter) bool

	mu       sync.Mutex
	requests int
	keys     map[string]string // responses by idempotency key
	noKeys   bool              // keys are not supported
	users    []string          // the id is the index + 1
	listings []listing
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.requests++
	n := f.requests
	if f.before != nil && f.before(n, w, r) {
		return
	}
	key := r.Header.Get("Idempotency-Key")
	if key != "" && f.noKeys {
		refuse(w, http.StatusNotImplemented, "Idempotency-Key: not supported by this backend")
		return
	}
	body, ok := f.keys[key]
	if !ok {
		rec := httptest.NewRecorder()
		f.create(rec, r)
		if body = rec.Body.String(); rec.Code != http.StatusOK {
			w.WriteHeader(rec.Code)
		} else if key != "" {
			if f.keys == nil {
				f.keys = map[string]string{}
			}
			f.keys[key] = body
		}
	}
	if f.after != nil && f.after(n, w) {
		return
	}
	fmt.Fprint(w, body)
}

func (f *fake) create(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" {
		http.Error(w, r.Method+" "+r.Header.Get("Content-Type"), http.StatusTeapot)
		return
	}
	strict := json.RejectUnknownMembers(true)
	switch r.URL.Path {
	case "/public-api/users":
		var u user
		if err := json.UnmarshalRead(r.Body, &u, strict); err != nil {
			refuse(w, http.StatusBadRequest, err.Error())
			return
		}
		f.users = append(f.users, u.Name)
		fmt.Fprintf(w, `{"result":true,"user":{"id":%d,"name":"","created_at":1,"updated_at":1}}`, len(f.users))
	case "/public-api/listings":
		var l listing
		if err := json.UnmarshalRead(r.Body, &l, strict); err != nil {
			refuse(w, http.StatusBadRequest, err.Error())
			return
		}
		if l.UserID < 1 || l.UserID > int64(len(f.users)) {
			refuse(w, http.StatusBadRequest, "user_id: no such user")
			return
		}
		f.listings = append(f.listings, l)
		fmt.Fprintf(w, `{"result":true,"listing":{"id":%d,"user_id":%d}}`, len(f.listings), l.UserID)
	default:
		refuse(w, http.StatusNotFound, "no such route")
	}
}

func refuse(w http.ResponseWriter, status int, message string) {
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"result":false,"errors":[%q]}`, message)
}

// run runs against f and also returns what was shown.
func run(t *testing.T, ctx context.Context, f *fake, c Config) (Result, string, error) {
	t.Helper()
	srv := httptest.NewServer(f)
	defer srv.Close()
	var shown strings.Builder
	c.PublicURL, c.Progress = srv.URL+"/", &shown
	res, err := Run(ctx, c)
	return res, shown.String(), err
}

// lastLines returns the last line about users and the last one about listings: a
// slow run shows more lines.
func lastLines(shown string) (last string) {
	lines := strings.SplitAfter(shown, "\n")
	for i, line := range lines {
		what, _, _ := strings.Cut(line, ":")
		if i+1 == len(lines) || !strings.HasPrefix(lines[i+1], what+":") {
			last += line
		}
	}
	return last
}

func TestRun(t *testing.T) {
	var f fake
	res, shown, err := run(t, t.Context(), &f, Config{Users: 300, Listings: 3000})
	if err != nil || res.Users != 300 || res.Listings != 3000 {
		t.Fatalf("got %v, %v", res, err)
	}
	if len(f.users) != 300 || len(f.listings) != 3000 {
		t.Errorf("the server has %d users and %d listings", len(f.users), len(f.listings))
	}
	if want := "users: 300 of 300\nlistings: 3000 of 3000\n"; lastLines(shown) != want {
		t.Errorf("shown %q, want %q", shown, want)
	}
	listingsOf := map[int64]int{}
	for _, l := range f.listings {
		listingsOf[l.UserID]++
	}
	most := 0
	for _, n := range listingsOf {
		most = max(most, n)
	}
	if most < 50 {
		t.Errorf("no user has more than %d of 3000 listings, want users with many listings", most)
	}
	// The listings of a user are all of the market of the name.
	marketOf := map[string]market{}
	for _, o := range origins() {
		for _, name := range allNames(o) {
			marketOf[name] = markets[o.Market]
		}
	}
	for _, l := range f.listings {
		m := marketOf[f.users[l.UserID-1]]
		p, ok := map[string]prices{"rent": m.rent, "sale": m.sale}[l.Type]
		if !ok || float64(l.Price) < p.low || float64(l.Price) > p.high {
			t.Fatalf("%s has %+v", f.users[l.UserID-1], l)
		}
	}
}

func TestRunOnATerminal(t *testing.T) {
	_, shown, err := run(t, t.Context(), &fake{}, Config{Users: 3, Listings: 10, Terminal: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"\rusers    ", "(3/3", "\rlistings ", "(10/10"} {
		if !strings.Contains(shown, want) {
			t.Errorf("shown %q, want %q in it", shown, want)
		}
	}
	if strings.Count(shown, "\n") != 2 {
		t.Errorf("shown %q, want one line each for users and listings", shown)
	}
}

func TestRunOfNothing(t *testing.T) {
	var f fake
	res, shown, err := run(t, t.Context(), &f, Config{})
	if err != nil || shown != "" || f.requests != 0 {
		t.Errorf("got %v, %q, %v after %d requests", res, shown, err, f.requests)
	}
	if got, want := (Result{}).String(), "created 0 users and 0 listings in 0.0 s (0 per second)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestRunRetriesBusyServer(t *testing.T) {
	f := fake{before: func(n int, w http.ResponseWriter, _ *http.Request) bool {
		switch n {
		case 2:
			w.Header().Set("Retry-After", "1")
			refuse(w, http.StatusServiceUnavailable, "user service unavailable")
		case 5:
			refuse(w, http.StatusTooManyRequests, "too many requests")
		}
		return n == 2 || n == 5
	}}
	res, _, err := run(t, t.Context(), &f, Config{Users: 4, Listings: 20})
	if err != nil || res.Users != 4 || res.Listings != 20 {
		t.Fatalf("got %v, %v", res, err)
	}
	if f.requests != 26 || len(f.users) != 4 || len(f.listings) != 20 {
		t.Errorf("%d requests made %d users and %d listings", f.requests, len(f.users), len(f.listings))
	}
}

// A creation whose connection breaks, or whose response is an error, after the
// object was created is retried and creates no second one.
func TestRetriesDoNotDouble(t *testing.T) {
	for name, after := range map[string]func(w http.ResponseWriter){
		"connection broken": func(http.ResponseWriter) { panic(http.ErrAbortHandler) },
		"unavailable":       func(w http.ResponseWriter) { refuse(w, http.StatusServiceUnavailable, "listing service unavailable") },
		"timeout": func(w http.ResponseWriter) {
			refuse(w, http.StatusGatewayTimeout, "listing service did not answer in time")
		},
		"in progress": func(w http.ResponseWriter) { refuse(w, http.StatusConflict, "Idempotency-Key: in use") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := fake{after: func(n int, w http.ResponseWriter) bool {
				if n%7 == 0 {
					after(w)
				}
				return n%7 == 0
			}}
			res, _, err := run(t, t.Context(), &f, Config{Users: 20, Listings: 100})
			if err != nil || res.Users != 20 || res.Listings != 100 {
				t.Fatalf("got %v, %v", res, err)
			}
			if len(f.users) != 20 || len(f.listings) != 100 || f.requests < 130 {
				t.Errorf("%d requests made %d users and %d listings", f.requests, len(f.users), len(f.listings))
			}
		})
	}
}

// Backends without keys get the creations without them, and no retry that may
// create a second object.
func TestRunWithoutKeys(t *testing.T) {
	f := fake{noKeys: true, before: func(n int, w http.ResponseWriter, _ *http.Request) bool {
		if n%5 == 0 {
			refuse(w, http.StatusTooManyRequests, "too many requests") // nothing was created
		}
		return n%5 == 0
	}}
	res, _, err := run(t, t.Context(), &f, Config{Users: 4, Listings: 20})
	if err != nil || res.Users != 4 || res.Listings != 20 || len(f.users) != 4 || len(f.listings) != 20 {
		t.Fatalf("got %v, %v", res, err)
	}
	for name, after := range map[string]func(w http.ResponseWriter){
		"connection broken": func(http.ResponseWriter) { panic(http.ErrAbortHandler) },
		"unavailable":       func(w http.ResponseWriter) { refuse(w, http.StatusServiceUnavailable, "user service unavailable") },
		"timeout": func(w http.ResponseWriter) {
			refuse(w, http.StatusGatewayTimeout, "user service did not answer in time")
		},
	} {
		f := fake{noKeys: true, after: func(_ int, w http.ResponseWriter) bool { after(w); return true }}
		if res, _, err := run(t, t.Context(), &f, Config{Users: 1}); err == nil || res.Users != 0 || len(f.users) != 1 {
			t.Errorf("%s: got %v, %v, and the server has %d users", name, res, err, len(f.users))
		}
	}
}

func TestRunFails(t *testing.T) {
	for _, tc := range []struct {
		name    string
		respond func(w http.ResponseWriter)
		want    string
	}{
		{"refused", func(w http.ResponseWriter) {
			refuse(w, 400, "price: must be at least 1")
		}, "POST /public-api/listings: status 400: price: must be at least 1"},
		{"no result", func(w http.ResponseWriter) {
			fmt.Fprint(w, `{"result":false,"errors":["no"]}`)
		}, "POST /public-api/listings: status 200: no"},
		{"no id", func(w http.ResponseWriter) {
			fmt.Fprint(w, `{"result":true,"listings":[]}`)
		}, errShape.Error()},
		{"not JSON", func(w http.ResponseWriter) {
			fmt.Fprint(w, `<html>`)
		}, errShape.Error()},
		{"success with another status", func(w http.ResponseWriter) {
			w.WriteHeader(http.StatusCreated)
			fmt.Fprint(w, `{"result":true,"listing":{"id":1}}`)
		}, "status 201"},
		{"redirect", func(w http.ResponseWriter) {
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(http.StatusFound)
		}, "status 302: Found"},
		{"proxy without a server", func(w http.ResponseWriter) {
			w.WriteHeader(http.StatusBadGateway)
			fmt.Fprint(w, `<html>`)
		}, "status 502: Bad Gateway"},
		{"busy for long", func(w http.ResponseWriter) {
			w.Header().Set("Retry-After", "3600")
			refuse(w, http.StatusServiceUnavailable, "closed for the night")
		}, "closed for the night"},
		{"connection cut", func(http.ResponseWriter) {
			panic(http.ErrAbortHandler)
		}, "EOF"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			f := fake{before: func(n int, w http.ResponseWriter, _ *http.Request) bool {
				if n > 50 {
					tc.respond(w)
				}
				return n > 50
			}}
			res, shown, err := run(t, t.Context(), &f, Config{Users: 10, Listings: 1000})
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
			if res.Users != 10 || res.Listings != 40 {
				t.Errorf("got %v, want 10 users and 40 listings", res)
			}
			if want := "users: 10 of 10\nlistings: 40 of 1000\n"; lastLines(shown) != want {
				t.Errorf("shown %q, want %q", shown, want)
			}
		})
	}
}

func TestRunWithoutServer(t *testing.T) {
	srv := httptest.NewServer(nil)
	srv.Close()
	var shown strings.Builder
	_, err := Run(t.Context(), Config{PublicURL: srv.URL, Users: 1, Progress: &shown})
	if err == nil || !strings.Contains(err.Error(), "is veranda running?") {
		t.Errorf("got %v", err)
	}
}

// A run that is stopped still counts all that the server created.
func TestRunStopped(t *testing.T) {
	for _, tc := range []struct {
		name string
		stop int // at which request
		wait bool
	}{
		{"between requests", 400, false},
		{"during the wait for a busy server", 400, true},
		{"before the listings", 30, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			f := fake{before: func(n int, w http.ResponseWriter, _ *http.Request) bool {
				if n == tc.stop {
					cancel()
				}
				if tc.wait && n >= tc.stop {
					w.Header().Set("Retry-After", "30")
					refuse(w, http.StatusServiceUnavailable, "later")
					return true
				}
				return false
			}}
			res, _, err := run(t, ctx, &f, Config{Users: 100, Listings: 100_000})
			if err != context.Canceled {
				t.Errorf("got %v, want context.Canceled", err)
			}
			if res.Users != len(f.users) || res.Listings != len(f.listings) {
				t.Errorf("got %v, but the server has %d users and %d listings", res, len(f.users), len(f.listings))
			}
			if res.Users+res.Listings < tc.stop-inFlight || res.Listings == 100_000 {
				t.Errorf("got %v, stopped at request %d", res, tc.stop)
			}
		})
	}
}

func TestCheck(t *testing.T) {
	const url = "http://127.0.0.1:8000"
	for _, tc := range []struct {
		c    Config
		want string
	}{
		{Config{PublicURL: url}, ""},
		{Config{PublicURL: url, Users: 1}, ""},
		{Config{PublicURL: "https://example.com/below", Users: 10_000_000, Listings: 10_000_000}, ""},
		{Config{PublicURL: url, Users: -1}, "users and listings: "},
		{Config{PublicURL: url, Users: 1, Listings: -1}, "users and listings: "},
		{Config{PublicURL: url, Listings: 1}, "users: must be at least 1"},
		{Config{}, "public URL: "},
		{Config{PublicURL: "127.0.0.1:8000"}, "public URL: "},
		{Config{PublicURL: "localhost:8000"}, "public URL: "},
		{Config{PublicURL: "ftp://localhost"}, "public URL: "},
		{Config{PublicURL: "http://"}, "public URL: "},
		{Config{PublicURL: url + "?a=b"}, "public URL: "},
	} {
		err := tc.c.Check()
		if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.HasPrefix(err.Error(), tc.want)) {
			t.Errorf("%+v: got %v, want %q", tc.c, err, tc.want)
		}
		if err == nil {
			continue
		}
		if _, runErr := Run(t.Context(), tc.c); runErr == nil || runErr.Error() != err.Error() {
			t.Errorf("%+v: Run gave %v, want %v", tc.c, runErr, err)
		}
	}
}

func allNames(o origin) []string {
	names := []string{""}
	for i, part := range o.Parts {
		var longer []string
		for _, start := range names {
			for _, end := range part {
				if i > 0 {
					end = o.Separator + end
				}
				longer = append(longer, start+end)
			}
		}
		names = longer
	}
	return slices.Compact(slices.Sorted(slices.Values(names)))
}
