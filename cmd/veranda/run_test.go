package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

func quote(s string) string {
	b, _ := jsontext.AppendQuote(nil, s)
	return string(b)
}

// shape replaces the times in an answer by T, which must be of this minute
// and in microseconds.
func shape(t *testing.T, body string) string {
	t.Helper()
	return regexp.MustCompile(`_at":(\d+)`).ReplaceAllStringFunc(body, func(m string) string {
		var us int64
		fmt.Sscanf(m, `_at":%d`, &us)
		if age := time.Since(time.UnixMicro(us)); age < -time.Minute || age > 5*time.Minute {
			t.Errorf("%s is not now", m)
		}
		return `_at":T`
	})
}

const (
	user1    = `{"id":1,"name":"Suresh Subramaniam","created_at":T,"updated_at":T}`
	user2    = `{"id":2,"name":"Lorel Ipsum","created_at":T,"updated_at":T}`
	listing1 = `{"id":1,"user_id":1,"listing_type":"rent","price":6000,"created_at":T,"updated_at":T}`
	listing2 = `{"id":2,"user_id":1,"listing_type":"sale","price":4500000000,"created_at":T,"updated_at":T}`
	public1  = `{"id":1,"listing_type":"rent","price":6000,"created_at":T,"updated_at":T,"user":` + user1 + `}`
	public2  = `{"id":2,"listing_type":"sale","price":4500000000,"created_at":T,"updated_at":T,"user":` + user1 + `}`
)

// backends reads the services' addresses from the greeting.
func (p *program) backends(t *testing.T) (listing, user string) {
	t.Helper()
	m := regexp.MustCompile(`  listing service +(http://\S+)\n  user service +(http://\S+)\n`).FindStringSubmatch(p.out.String())
	if m == nil {
		t.Fatalf("no backends in %s", p.out.String())
	}
	return m[1], m[2]
}

// The documented lines, in order, with their responses byte for byte, over both
// implementations of HTTP/1.1.
func TestDocumentedSystem(t *testing.T) {
	for _, kind := range []string{"fast", "std"} {
		t.Run(kind, func(t *testing.T) { testDocumentedSystem(t, kind) })
	}
}

func testDocumentedSystem(t *testing.T, kind string) {
	p := start(t, "--http", kind, "--data-dir", t.TempDir())
	listing, user := p.backends(t)
	for _, line := range []struct {
		method, url, body string
		want              string
	}{
		{"GET", listing + "/listings/ping", "", "pong!"},
		{"GET", user + "/users/ping", "", "pong!"},
		{"GET", p.url + "/public-api/listings", "", `{"result":true,"listings":[]}`},
		{"GET", listing + "/listings", "", `{"result":true,"listings":[]}`},
		{"GET", user + "/users", "", `{"result":true,"users":[]}`},

		{"POST", p.url + "/public-api/users", `{"name":"Suresh Subramaniam"}`, `{"result":true,"user":` + user1 + `}`},
		{"POST", user + "/users", "name=Lorel+Ipsum", `{"result":true,"user":` + user2 + `}`},
		{"GET", user + "/users/1", "", `{"result":true,"user":` + user1 + `}`},
		{"GET", user + "/users?page_num=1&page_size=10", "", `{"result":true,"users":[` + user2 + `,` + user1 + `]}`},
		{"GET", user + "/users?page_num=2&page_size=1", "", `{"result":true,"users":[` + user1 + `]}`},
		{"GET", user + "/users/batch?id=1&id=7", "", `{"result":true,"users":[` + user1 + `]}`},

		{"POST", p.url + "/public-api/listings", `{"user_id":1,"listing_type":"rent","price":6000}`, `{"result":true,"listing":` + listing1 + `}`},
		{"POST", listing + "/listings", "user_id=1&listing_type=sale&price=4500000000", `{"result":true,"listing":` + listing2 + `}`},
		{"GET", listing + "/listings?page_num=1&page_size=10&user_id=1", "", `{"result":true,"listings":[` + listing2 + `,` + listing1 + `]}`},
		{"GET", listing + "/listings?user_id=2", "", `{"result":true,"listings":[]}`},
		{"GET", listing + "/listings/1", "", `{"result":true,"listing":` + listing1 + `}`},
		{"GET", listing + "/listings/batch?user_id=1&user_id=2&page_size=1", "", `{"result":true,"listings":[` + listing2 + `]}`},

		{"GET", p.url + "/public-api/listings?page_num=1&page_size=10", "", `{"result":true,"listings":[` + public2 + `,` + public1 + `]}`},
		{"GET", p.url + "/public-api/listings?page_num=2&page_size=1&user_id=1", "", `{"result":true,"listings":[` + public1 + `]}`},
		{"GET", p.url + "/public-api/listings?page_num=3&page_size=1", "", `{"result":true,"listings":[]}`},
		{"GET", p.url + "/public-api/listings?user_id=2", "", `{"result":true,"listings":[]}`},

		{"POST", p.url + "/graphql", `{"query":"{ listings(pageSize: 1) { id listingType price user { id name } } }"}`,
			`{"data":{"listings":[{"id":"2","listingType":"SALE","price":4500000000,"user":{"id":"1","name":"Suresh Subramaniam"}}]}}`},
		{"GET", p.url + "/graphql?query=" + url.QueryEscape(`{ user(id: 2) { name } }`), "", `{"data":{"user":{"name":"Lorel Ipsum"}}}`},

		{"GET", p.url + "/livez", "", `{"result":true}`},
		{"GET", p.url + "/readyz", "", `{"result":true}`},
		{"GET", listing + "/livez", "", `{"result":true}`},
		{"GET", listing + "/readyz", "", `{"result":true}`},
		{"GET", user + "/livez", "", `{"result":true}`},
		{"GET", user + "/readyz", "", `{"result":true}`},
	} {
		contentType := "application/json"
		if line.body != "" && line.body[0] != '{' {
			contentType = "application/x-www-form-urlencoded"
		}
		r := do(t, line.method, line.url, line.body, "Content-Type", contentType)
		if got := shape(t, r.body); r.status != http.StatusOK || got != line.want {
			t.Errorf("%s %s\n got %d %s\nwant %s", line.method, line.url, r.status, got, line.want)
		}
		want := "application/json"
		if line.want == "pong!" {
			want = "text/plain"
		}
		if got := r.header.Get("Content-Type"); !strings.HasPrefix(got, want) {
			t.Errorf("%s %s: content type %q", line.method, line.url, got)
		}
	}
	for _, path := range []string{"/", "/playground"} {
		if r := get(t, p.url+path); r.status != http.StatusOK || !strings.Contains(r.body, "<html") {
			t.Errorf("%s: %d %s", path, r.status, r.body)
		}
	}
}

func TestGreeting(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "for you")
	p := start(t, "--data-dir="+dir)
	listing, user := p.backends(t)
	for _, want := range []string{dir, p.url + "/playground", p.url + "/graphql", listing, user,
		"curl '" + p.url + "/public-api/listings?page_num=1&page_size=10'", "seed --public-url " + p.url} {
		if !strings.Contains(p.out.String(), want) {
			t.Errorf("no %q in\n%s", want, p.out.String())
		}
	}
	for _, address := range []string{p.url, listing, user} {
		if !strings.HasPrefix(address, "http://127.0.0.1:") || strings.HasSuffix(address, ":0") {
			t.Errorf("listens on %s", address)
		}
	}
}

func TestRestartKeepsData(t *testing.T) {
	dir := t.TempDir()
	p := start(t, "--data-dir", dir)
	p.addListing(t, p.addUser(t, "名前"), "rent", 6000)
	before := get(t, p.url+"/public-api/listings").body
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := net.DialTimeout("tcp", strings.TrimPrefix(p.url, "http://"), time.Second); err == nil {
		t.Error("it is stopped, and something still listens")
	}
	p = start(t, "--data-dir", dir)
	if after := get(t, p.url+"/public-api/listings").body; after != before || !strings.Contains(after, "名前") {
		t.Errorf("before %s\nafter  %s", before, after)
	}
	if id := p.addUser(t, "next"); id != "2" {
		t.Errorf("the next user is %s", id)
	}
}

// Two programs on one folder see each other's data, and neither loses a write.
func TestTwoProgramsOnOneFolder(t *testing.T) {
	dir := t.TempDir()
	programs := []*program{start(t, "--data-dir", dir), start(t, "--data-dir", dir)}
	const each = 20
	failed := make(chan error, 2)
	for _, p := range programs {
		go func() {
			for range each {
				resp, err := client.Post(p.url+"/public-api/users", "application/json", strings.NewReader(`{"name":"x"}`))
				if err == nil {
					_, _ = io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
					if resp.StatusCode != http.StatusOK {
						err = errors.New(resp.Status)
					}
				}
				if err != nil {
					failed <- err
					return
				}
			}
			failed <- nil
		}()
	}
	for range programs {
		if err := <-failed; err != nil {
			t.Error(err)
		}
	}
	for _, p := range programs {
		_, user := p.backends(t)
		if got := strings.Count(get(t, user+"/users?page_size=100").body, `"id":`); got != 2*each {
			t.Errorf("%s has %d users, want %d", user, got, 2*each)
		}
	}
}

func TestSingleServices(t *testing.T) {
	s := startProxied(t)
	for _, p := range []*program{s.listingService, s.userService, s.program} {
		if r := get(t, p.url+"/readyz"); r.status != http.StatusOK {
			t.Errorf("%d %s", r.status, r.body)
		}
		if p.out.String() != "" {
			t.Errorf("printed %s", p.out.String())
		}
	}
	s.addListing(t, s.addUser(t, "Ada"), "sale", 9)
	if got := shape(t, get(t, s.url+"/public-api/listings").body); !strings.Contains(got, `"user":{"id":1,"name":"Ada"`) {
		t.Errorf("got %s", got)
	}
}

func TestDebug(t *testing.T) {
	for args, want := range map[string]bool{"--debug": true, "--debug=true": true, "--debug=false": false, "--host=127.0.0.1": false} {
		p := start(t, "--data-dir", t.TempDir(), args)
		get(t, p.url+"/public-api/listings?page_size=7")
		if err := p.stop(); err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(p.err.String(), `"path":"/public-api/listings"`); got != want {
			t.Errorf("%s: request in the log: %t, want %t\n%s", args, got, want, p.err.String())
		}
	}
}

// runBriefly is for what ends by itself.
func runBriefly(t *testing.T, environ []string, args ...string) (out string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var buf output
	err = run(ctx, args, environ, &buf, io.Discard)
	if ctx.Err() != nil {
		t.Errorf("%v %v did not end", environ, args)
	}
	return buf.String(), err
}

func TestHelp(t *testing.T) {
	flags := map[string][]string{
		"": {"data-dir=./data", "host=127.0.0.1", "public-port=8000", "listing-port=6000", "user-port=7000",
			"backend-timeout=5s", "max-page-size=100", "drain-delay=1s", "debug=false", "http=fast"},
		"listing-service": {"port=6000", "host=127.0.0.1", "database-url=sqlite:./data/listings.db", "max-page-size=100", "drain-delay=1s", "debug=false", "http=fast"},
		"user-service":    {"port=7000", "host=127.0.0.1", "database-url=sqlite:./data/users.db", "max-page-size=100", "drain-delay=1s", "debug=false", "http=fast"},
		"public-api": {"port=8000", "host=127.0.0.1", "listing-service-url=http://127.0.0.1:6000", "user-service-url=http://127.0.0.1:7000",
			"backend-timeout=5s", "max-page-size=100", "drain-delay=1s", "debug=false", "http=fast"},
		"seed": {"public-url=http://127.0.0.1:8000", "users=100", "listings=1000"},
	}
	parser, err := newParser(nil, io.Discard, nil)
	if err != nil {
		t.Fatal(err)
	}
	commands := parser.Model.Children
	for i, c := range commands {
		args, name := []string{c.Name, "--help"}, c.Name
		if i == 0 {
			args, name = args[1:], ""
		}
		help, err := runBriefly(t, nil, args...)
		if err != nil {
			t.Errorf("%v: %v", args, err)
		}
		if len(flags[name]) == 0 {
			t.Errorf("a command %q that this test does not know", name)
		}
		help = strings.Join(strings.Fields(help), " ") // as if it were on one line
		shown := func(name, def string) {
			t.Helper()
			variable := "VERANDA_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
			line := regexp.MustCompile(` --` + name + `(=\w+)? [^()]+( \([^()]*\)[^()]*)?\(default ` + def + `; ` + variable + `\)( |$)`)
			if !line.MatchString(help) {
				t.Errorf("%v: no line for --%s with default %s and %s in\n%s", args, name, def, variable, help)
			}
		}
		for _, flag := range flags[name] {
			name, def, _ := strings.Cut(flag, "=")
			shown(name, regexp.QuoteMeta(def))
		}
		// The help shows everything that can be set.
		for _, f := range c.Flags {
			shown(f.Name, `[^ ()]+`)
		}
	}
	all, _ := runBriefly(t, nil, "--help")
	for _, again := range [][]string{{"help"}, {"-h"}} {
		if got, err := runBriefly(t, nil, again...); err != nil || got != all {
			t.Errorf("%v: %v, got\n%s", again, err, got)
		}
	}
	if seed, _ := runBriefly(t, nil, "seed", "--help"); seed == all {
		t.Error("the help of seed is that of all")
	}
	for _, c := range commands[1:] {
		if !strings.Contains(all, "\n  "+c.Name+" ") {
			t.Errorf("no command %q in\n%s", c.Name, all)
		}
	}
}

func TestUsageErrors(t *testing.T) {
	for _, test := range []struct {
		environ string
		args    string
		want    string
	}{
		{"", "serve", `unexpected argument serve`},
		{"", "Seed", `unexpected argument Seed`},
		{"", "--prot 8000", "unknown flag --prot"},
		{"", "--port 8000", "unknown flag --port"}, // the single services' only
		{"", "--debug yes", `unexpected argument yes`},
		{"", "--debug=maybe", `--debug: bool value must be true, 1, yes, false, 0 or no but got "maybe"`},
		{"", "more", `unexpected argument more`},
		{"", "--public-port", "--public-port: "},
		{"", "--public-port 65536", "--public-port: must be a whole number from 0 to 65535"},
		{"", "--public-port=-1", "--public-port: must be a whole number from 0 to 65535"},
		{"", "--public-port http", "must be a whole number from 0 to 65535"},
		{"", "--max-page-size 0", "must be a whole number from 1 to 1000"},
		{"", "--max-page-size 1001", "must be a whole number from 1 to 1000"},
		{"", "--backend-timeout 5", "must be a duration such as 250ms, from 0 to 1h"},
		{"", "--drain-delay=-1s", "must be a duration such as 250ms, from 0 to 1h"},
		{"VERANDA_PUBLIC_PROT=1", "", "unknown environment variable VERANDA_PUBLIC_PROT"},
		{"VERANDA_=1", "", "unknown environment variable VERANDA_"},
		{"VERANDA_PUBLIC_PORT=x", "", `environment variable VERANDA_PUBLIC_PORT: invalid value "x"`},
		{"VERANDA_DEBUG=maybe", "", `environment variable VERANDA_DEBUG: invalid value "maybe"`},
		{"VERANDA_HTTP=slow", "", "must be one of"},
		{"", "--http=slow", "must be one of"},
		{"VERANDA_PORT_NUMBER=1", "", "unknown environment variable VERANDA_PORT_NUMBER"},
		{"VERANDA_PUBLIC_PORTS=tcp://10.0.0.1:8000", "", "unknown environment variable VERANDA_PUBLIC_PORTS"},
		{"VERANDA_PROT=1", "user-service", "unknown environment variable VERANDA_PROT"},
		{"", "user-service --database-url mysql://x", "--database-url: must be sqlite:PATH or postgres://"},
		{"", "listing-service --database-url sqlite:", "--database-url: must be sqlite:PATH or postgres://"},
		{"", "listing-service --database-url=", "--database-url: must be sqlite:PATH or postgres://"},
		{"", "user-service --data-dir x", "unknown flag --data-dir"},
		{"", "seed --users -1", "--users"},
		{"", "seed --users=-1", "--users: must be a whole number from 0 to 10000000"},
		{"", "seed --users=10000001", "--users: must be a whole number from 0 to 10000000"},
		{"", "seed --listings=-1", "--listings: must be a whole number from 0 to 10000000"},
		{"", "seed --listings=10000001", "--listings: must be a whole number from 0 to 10000000"},
		{"", "public-api --port 0 --user-service-url localhost:7000", "user service URL"},
		{"", "public-api --port 0 --listing-service-url=", "listing service URL"},
		{"", "public-api --port 0 --listing-service-url ftp://127.0.0.1", "listing service URL"},
	} {
		var environ []string
		if test.environ != "" {
			environ = []string{test.environ}
		}
		out, err := runBriefly(t, environ, strings.Fields(test.args)...)
		var usage usageError
		if !errors.As(err, &usage) || !strings.Contains(err.Error(), test.want) || out != "" {
			t.Errorf("%s veranda %s: got %v, want a mistake in usage: %s", test.environ, test.args, err, test.want)
		}
	}
}

// A password must not get into a log by way of an error.
func TestSecretsAreNotShown(t *testing.T) {
	for _, args := range []string{
		"user-service --port 0 --database-url mysql://me:hunter2@host/db",
		"user-service --port 0 --database-url postgres://me:hunter2@127.0.0.1:1/db?sslmode=nonsense",
		"user-service --port 0 --database-url postgres://127.0.0.1:1/db?sslmode=nonsense&password=hunter2",
		"user-service postgres://me:hunter2@127.0.0.1/db",
		"user-service postgres://me:p@ss/hunter2@127.0.0.1/db",
		"user-service postgres://127.0.0.1/db?password=hunter2&sslmode=disable",
		"user-service --databse-url=postgres://me:hunter2@127.0.0.1/db",
		"user-service --port=postgres://me:hunter2@127.0.0.1/db",
		"public-api --port 0 --user-service-url http://me:hunter2@127.0.0.1",
		"seed --public-url http://me:hunter2@127.0.0.1?x",
		"seed --public-url http://me:hunter2@127.0.0.1:1",
		"--allowed-origins https://me:hunter2@127.0.0.1",
		"VERANDA_PORT=postgres://me:hunter2@127.0.0.1/db",
		"VERANDA_DATABASE_URL=mysql://me:hunter2@127.0.0.1/db",
	} {
		var environ []string
		fields := strings.Fields(args)
		if strings.HasPrefix(args, envPrefix) {
			environ, fields = fields, []string{"user-service"}
		}
		out, err := runBriefly(t, environ, fields...)
		if err == nil || strings.Contains(err.Error(), "hunter2") || out != "" {
			t.Errorf("%s: got %v", args, err)
		}
	}
}

func TestEnvironment(t *testing.T) {
	dir := t.TempDir()
	environ := []string{
		"PATH=/bin", "VERANDA_DATA_DIR=" + dir, "VERANDA_DEBUG=true", "VERANDA", "veranda_x=1",
		"VERANDA_PORT=1", // of other commands: one environment may serve several
		"VERANDA_HOST=",  // an empty variable is not set
		"VERANDA_DRAIN_DELAY=2s",
		// What Kubernetes makes of Services named veranda and veranda-public:
		"VERANDA_SERVICE_HOST=10.0.0.1", "VERANDA_SERVICE_PORT=8000", "VERANDA_SERVICE_PORT_HTTP=8000",
		"VERANDA_PORT=tcp://10.0.0.1:8000", "VERANDA_PORT_8000_TCP=tcp://10.0.0.1:8000", "VERANDA_PORT_8000_TCP_PROTO=tcp",
		"VERANDA_PORT_8000_TCP_PORT=8000", "VERANDA_PORT_8000_TCP_ADDR=10.0.0.1",
		"VERANDA_PUBLIC_SERVICE_HOST=10.0.0.2", "VERANDA_PUBLIC_SERVICE_PORT_HTTP=8000", "VERANDA_PUBLIC_PORT=tcp://10.0.0.2:8000", "VERANDA_PUBLIC_PORT_53_UDP=udp://10.0.0.2:53",
	}
	parser, err := newParser(environ, io.Discard, nil)
	if err != nil {
		t.Fatal(err)
	}
	command, err := parser.Parse([]string{"--debug=false"})
	if err != nil {
		t.Fatal(err)
	}
	got := command.Selected().Target.Interface().(allCommand)
	if got.DataDir != dir || got.Debug || got.Host != "127.0.0.1" || got.PublicPort != 8000 || got.DrainDelay != 2*time.Second {
		t.Errorf("%+v: a flag comes before a variable, and a variable before the default", got)
	}
}

func TestPortInUse(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	dir := t.TempDir()
	for _, test := range []struct{ service, args string }{
		{"public-api", "--public-port " + port + " --listing-port 0 --user-port 0 --data-dir " + dir},
		{"user-service", "--public-port 0 --listing-port 0 --user-port " + port + " --data-dir " + dir},
		{"listing-service", "--public-port 0 --user-port 0 --listing-port " + port + " --data-dir " + dir},
		{"listing-service", "listing-service --port " + port + " --database-url sqlite:" + dir + "/l.db"},
		{"user-service", "user-service --port " + port + " --database-url sqlite:" + dir + "/u.db"},
		{"public-api", "public-api --port " + port},
	} {
		out, err := runBriefly(t, nil, strings.Fields(test.args)...)
		want := test.service + ": 127.0.0.1:" + port + " is in use by another program"
		if err == nil || err.Error() != want || out != "" {
			t.Errorf("%s: got %v, want %s", test.args, err, want)
		}
	}
	// What was started before is stopped, so the folder is free again.
	start(t, "--data-dir", dir)
}

func TestFolderThatCannotBe(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	start(t, "listing-service", "--database-url", "sqlite:"+file) // makes it
	out, err := runBriefly(t, nil, "--data-dir", file, "--public-port", "0", "--user-port", "0", "--listing-port", "0")
	if err == nil || !strings.Contains(err.Error(), "listing service: ") || out != "" {
		t.Errorf("got %v, %q", err, out)
	}
}

// A stop lets what is under way finish.
func TestStopWaits(t *testing.T) {
	asked, release := make(chan struct{}), make(chan struct{})
	s := startProxied(t)
	s.listings.Instead(func(w http.ResponseWriter, _ *http.Request) {
		close(asked)
		<-release
		fmt.Fprint(w, `{"result":true,"listings":[]}`)
	})
	got := make(chan reply)
	go func() { got <- get(t, s.url+"/public-api/listings") }()
	<-asked
	stopped := make(chan error)
	go func() { stopped <- s.stop() }()
	for { // until the port is closed, which is what stopping begins with
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
		if err != nil {
			break
		}
		conn.Close()
	}
	select {
	case err := <-stopped:
		t.Errorf("stopped before the answer: %v", err)
	default:
	}
	close(release)
	if r := <-got; r.status != http.StatusOK || r.body != `{"result":true,"listings":[]}` {
		t.Errorf("got %d %s", r.status, r.body)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}
