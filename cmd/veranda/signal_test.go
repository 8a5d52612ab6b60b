package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/veranda-go/veranda/internal/fakebackend"
)

// runMain makes the test binary be the program, so that a test can start it
// as a process of its own.
const runMain = "RUN_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(runMain) != "" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// child is the program as a process.
type child struct {
	*exec.Cmd
	url      string
	out, err output
	exited   chan error
}

func startChild(t *testing.T, up *regexp.Regexp, args ...string) *child {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := &child{Cmd: exec.Command(exe, args...), exited: make(chan error, 1)}
	c.Env = append(os.Environ(), runMain+"=1")
	c.Stdout, c.Stderr = &c.out, &c.err
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { c.exited <- c.Wait() }()
	t.Cleanup(func() { _ = c.Process.Kill() })
	for {
		if m := up.FindStringSubmatch(c.out.String() + c.err.String()); m != nil {
			c.url = m[1]
			return c
		}
		select {
		case err := <-c.exited:
			t.Fatalf("%v ended: %v\n%s%s", args, err, c.out.String(), c.err.String())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (c *child) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := c.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// untilNotReady asks /readyz until it fails, on a connection for each time,
// as a load balancer does. false is a closed port.
func (c *child) untilNotReady(t *testing.T) bool {
	t.Helper()
	for {
		conn, err := net.Dial("tcp", strings.TrimPrefix(c.url, "http://"))
		if err != nil {
			return false
		}
		conn.Close()
		r, err := http.Get(c.url + "/readyz")
		if err != nil {
			return false
		}
		var body bytes.Buffer
		_, _ = body.ReadFrom(r.Body)
		r.Body.Close()
		if r.StatusCode == http.StatusServiceUnavailable {
			if got := body.String(); got != `{"result":false,"errors":["draining"]}` || r.Header.Get("Retry-After") == "" {
				t.Errorf("readyz says %s with %v", got, r.Header)
			}
			return true
		}
	}
}

func TestSignals(t *testing.T) {
	for _, test := range []struct {
		signal syscall.Signal
		// drains is set if /readyz fails for a while before the port closes. After
		// an interrupt the port closes at once: a request that was accepted just
		// before may still see /readyz fail.
		drains bool
	}{{syscall.SIGTERM, true}, {syscall.SIGINT, false}} {
		t.Run(test.signal.String(), func(t *testing.T) {
			fake := &fakebackend.Backend{}
			listings, users := fakebackend.NewProxy(t, fake.ListingService()), fakebackend.NewProxy(t, fake.UserService())
			c := startChild(t, logged, "public-api", "--port", "0", "--drain-delay", "3s", "--listing-service-url", listings.URL, "--user-service-url", users.URL)

			asked, release := make(chan struct{}), make(chan struct{})
			listings.Instead(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/listings/ping" { // /readyz asks this
					return
				}
				close(asked)
				<-release
				fmt.Fprint(w, `{"result":true,"listings":[]}`)
			})
			got := make(chan reply)
			go func() { got <- get(t, c.url+"/public-api/listings") }()
			<-asked
			c.signal(t, test.signal)
			if drained := c.untilNotReady(t); test.drains && !drained {
				t.Error("the port closed before readyz failed")
			}
			if test.drains {
				if r := postJSON(t, c.url+"/public-api/users", `{"name":"late"}`); r.status != http.StatusOK {
					t.Errorf("while draining: %d %s", r.status, r.body)
				}
			}
			select {
			case err := <-c.exited:
				t.Fatalf("ended with a request under way: %v", err)
			default:
			}
			close(release)
			if r := <-got; r.status != http.StatusOK || r.body != `{"result":true,"listings":[]}` {
				t.Errorf("got %d %s", r.status, r.body)
			}
			if err := <-c.exited; err != nil {
				t.Errorf("%v\n%s", err, c.err.String())
			}
		})
	}
}

func TestSignalStopsEverything(t *testing.T) {
	dir := t.TempDir()
	for i, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGTERM} {
		c := startChild(t, greeted, "--data-dir", dir, "--public-port", "0", "--listing-port", "0", "--user-port", "0", "--drain-delay", "0s")
		if id := created(t, postJSON(t, c.url+"/public-api/users", `{"name":"x"}`)); id != fmt.Sprint(i+1) {
			t.Errorf("the user is %s, want %d: something was lost", id, i+1)
		}
		c.signal(t, signal)
		if err := <-c.exited; err != nil {
			t.Errorf("%s: %v\n%s", signal, err, c.err.String())
		}
	}
}

// What was answered is on disk, whatever happens next.
func TestKillLosesNothing(t *testing.T) {
	dir := t.TempDir()
	args := []string{"--data-dir", dir, "--public-port", "0", "--listing-port", "0", "--user-port", "0"}
	c := startChild(t, greeted, args...)
	for range 10 {
		owner := created(t, postJSON(t, c.url+"/public-api/users", `{"name":"x"}`))
		created(t, postJSON(t, c.url+"/public-api/listings", `{"user_id":`+owner+`,"listing_type":"sale","price":1}`))
	}
	c.signal(t, syscall.SIGKILL)
	<-c.exited
	c = startChild(t, greeted, args...)
	body := get(t, c.url+"/public-api/listings?page_size=100").body
	if listings, users := strings.Count(body, `"listing_type":`), strings.Count(body, `"name":"x"`); listings != 10 || users != 10 {
		t.Errorf("%d listings and %d users are left of 10", listings, users)
	}
}

// A second signal ends a drain that takes too long.
func TestSecondSignal(t *testing.T) {
	for _, second := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(second.String(), func(t *testing.T) {
			c := startChild(t, logged, "user-service", "--port", "0", "--drain-delay", "1h",
				"--database-url", "sqlite:"+filepath.Join(t.TempDir(), "users.db"))
			c.signal(t, syscall.SIGTERM)
			if !c.untilNotReady(t) {
				t.Fatal("the port is closed already")
			}
			c.signal(t, second)
			select {
			case err := <-c.exited:
				var exit *exec.ExitError
				if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != second {
					t.Errorf("got %v", err)
				}
			case <-time.After(10 * time.Second):
				t.Error("still running")
			}
		})
	}
}

func TestExitCodes(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		args string
		code int
		want string
	}{
		{"--help", 0, ""},
		{"--no-such-flag", 2, "veranda: unknown flag --no-such-flag\nRun 'veranda --help' for usage.\n"},
		{"user-service --port 0 --database-url sqlite:/dev/null/x", 1, "veranda: user service: "},
	} {
		cmd := exec.Command(exe, strings.Fields(test.args)...)
		cmd.Env = append(os.Environ(), runMain+"=1")
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		_ = cmd.Run()
		if code := cmd.ProcessState.ExitCode(); code != test.code || !strings.HasPrefix(stderr.String(), test.want) || test.want == "" && stderr.Len() > 0 {
			t.Errorf("%s: exit code %d and %q, want %d and %q", test.args, code, stderr.String(), test.code, test.want)
		}
	}
}
