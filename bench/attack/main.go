// Command attack sends requests that bring GraphQL servers down to the public
// layer of veranda and to a plain gqlgen server (bench/plainserver), both in
// front of the in-memory backends of package bench, and prints a table of the
// outcomes.
//
//	go run -C bench ./attack [--timeout 20s]
//
// It builds, starts and stops every program itself, on free loopback ports, and
// each attack has a fresh process. It needs Linux, for /proc. docs/graphql.md
// has the table.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

func main() {
	timeout := flag.Duration("timeout", 20*time.Second, "how long one attack may take")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *timeout); err != nil {
		fmt.Fprintln(os.Stderr, "attack:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, timeout time.Duration) error {
	dir, err := os.MkdirTemp("", "veranda-attack")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	for module, packages := range map[string][]string{"..": {"./cmd/veranda"}, ".": {"./serve", "./plainserver"}} {
		build := exec.CommandContext(ctx, "go", append([]string{"build", "-C", module, "-o", dir}, packages...)...)
		if out, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("run it in the folder bench (go run -C bench ./attack): %w\n%s", err, out)
		}
	}
	backend, err := start(ctx, timeout, 2, filepath.Join(dir, "serve"), "backends", "100000", "10000")
	if err != nil {
		return err
	}
	defer backend.end()
	servers := [2]func() (*server, error){
		func() (*server, error) {
			return start(ctx, timeout, 1, filepath.Join(dir, "plainserver"), backend.urls...)
		},
		func() (*server, error) {
			return start(ctx, timeout, 1, filepath.Join(dir, "veranda"), "public-api", "--port", "0",
				"--listing-service-url", backend.urls[0], "--user-service-url", backend.urls[1])
		},
	}
	rows := make([][2]outcome, len(attacks))
	var slow sync.WaitGroup
	for i, a := range attacks {
		for j, fresh := range servers {
			try := func() {
				if rows[i][j] = a.try(fresh, j == 0); ctx.Err() == nil {
					fmt.Fprintf(os.Stderr, "%s: %s\n", a.name, rows[i][j])
				}
			}
			if a.slow {
				slow.Go(try)
			} else {
				try()
			}
		}
	}
	slow.Wait()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	fmt.Println("| attack | bytes, plain / ours | plain gqlgen | time | CPU | memory | veranda | time | CPU | memory |")
	fmt.Println("|---|--:|---|--:|--:|--:|---|--:|--:|--:|")
	for i, a := range attacks {
		size := "—"
		if a.body != "" {
			if size = number(len(a.body)); a.plain != "" && a.plain != none {
				size = number(len(a.plain)) + " / " + size
			}
		}
		fmt.Printf("| %s | %s | %s | %s |\n", a.name, size, rows[i][0], rows[i][1])
	}
	return nil
}

// number writes n with commas between its thousands.
func number(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// outcome is what an attack did to a server.
type outcome struct {
	status    string
	wall, cpu time.Duration
	memory    int64 // growth of the peak in KiB
}

// String returns four cells of the table.
func (o outcome) String() string {
	if o.wall == 0 {
		return o.status + " | — | — | —"
	}
	wall := fmt.Sprintf("%.0f ms", o.wall.Seconds()*1000)
	if o.wall >= time.Second {
		wall = fmt.Sprintf("%.1f s", o.wall.Seconds())
	}
	cpu := fmt.Sprintf("%.1f ms", o.cpu.Seconds()*1000)
	if o.cpu >= time.Second {
		cpu = fmt.Sprintf("%.1f s", o.cpu.Seconds())
	}
	return fmt.Sprintf("%s | %s | %s | %.1f MB", o.status, wall, cpu, float64(o.memory)/1024)
}

// try sends an attack to a fresh server.
func (a *attack) try(fresh func() (*server, error), plain bool) outcome {
	if plain && a.plain == none {
		return outcome{status: "no such field"}
	}
	s, err := fresh()
	if err != nil {
		return outcome{status: err.Error()}
	}
	defer s.end()
	for range 300 { // warm up
		if status := s.post(of("{listings{id user{name}}}")); status != "200" {
			return outcome{status: "not up: " + status}
		}
	}
	body := a.body
	if plain && a.plain != "" {
		body = a.plain
	}
	done := make(chan struct{})
	memory := s.watch(done)
	cpu, begin := s.cpu(), time.Now()
	send := a.send
	if send == nil {
		send = func(s *server) string { return s.post(body) }
	}
	status := send(s)
	o := outcome{status: status, wall: time.Since(begin)}
	if s.took > 0 {
		o.wall = s.took
	}
	time.Sleep(20 * time.Millisecond) // the server may still work on it
	select {
	case <-s.ended:
		o.status = "**crashed**"
		o.cpu = s.cmd.ProcessState.UserTime() + s.cmd.ProcessState.SystemTime() - cpu
	default:
		o.cpu = s.cpu() - cpu
	}
	close(done)
	o.memory = <-memory
	return o
}

// server is a running server.
type server struct {
	urls    []string
	url     string
	timeout time.Duration
	took    time.Duration // the time of an attack that measures it itself
	cmd     *exec.Cmd
	ended   chan struct{}
	client  *http.Client
}

var urlPattern = regexp.MustCompile(`http://127\.0\.0\.1:\d+`)

// start starts a program that prints n URLs.
func start(ctx context.Context, timeout time.Duration, n int, name string, args ...string) (*server, error) {
	s := &server{timeout: timeout, cmd: exec.CommandContext(ctx, name, args...), ended: make(chan struct{})}
	s.client = &http.Client{Timeout: timeout, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "VERANDA_") {
			s.cmd.Env = append(s.cmd.Env, v)
		}
	}
	out := &output{}
	s.cmd.Stdout, s.cmd.Stderr = out, out
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = s.cmd.Wait() // a crash shows in the outcome
		close(s.ended)
	}()
	for range 1000 {
		if s.urls = urlPattern.FindAllString(out.String(), -1); len(s.urls) >= n {
			s.url = s.urls[len(s.urls)-1]
			return s, nil
		}
		select {
		case <-s.ended:
			return nil, fmt.Errorf("%s ended: %s", name, out)
		case <-time.After(10 * time.Millisecond):
		}
	}
	s.end()
	return nil, fmt.Errorf("%s printed fewer than %d URLs in 10 s: %s", name, n, out)
}

// end kills a server.
func (s *server) end() {
	s.client.CloseIdleConnections()
	_ = s.cmd.Process.Kill()
	<-s.ended
}

// output keeps the first 64 KiB that a program prints.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.text.Len() < 64<<10 {
		o.text.Write(b)
	}
	return len(b), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// post sends a body and returns the status and the first error, if any.
func (s *server) post(body string) string {
	req, err := http.NewRequest(http.MethodPost, s.url+"/graphql", strings.NewReader(body))
	if err != nil {
		return err.Error()
	}
	return s.do(req)
}

func (s *server) do(req *http.Request) string {
	req.Header.Set("Content-Type", "application/json")
	resp, err := s.client.Do(req)
	if err != nil {
		if os.IsTimeout(err) {
			return "**timeout**"
		}
		return "connection closed"
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		if os.IsTimeout(err) {
			return "**timeout**"
		}
		return "response cut off"
	}
	var response struct {
		Errors []struct {
			Message    string
			Extensions struct{ Code string }
		}
	}
	status := strconv.Itoa(resp.StatusCode)
	if json.Unmarshal(text, &response) != nil || len(response.Errors) == 0 {
		if len(text) > 1<<20 {
			status += fmt.Sprintf(", response of %d MB", len(text)>>20)
		}
		return status
	}
	message := strings.NewReplacer("|", "/", "\n", " ", "`", "'").Replace(response.Errors[0].Message)
	const enough = 50
	if r := []rune(message); len(r) > enough {
		message = string(r[:enough]) + "…"
	}
	return status + " " + message
}

// cpu returns the CPU time of the process so far. It reads schedstat, which
// counts nanoseconds; /proc/PID/stat counts hundredths of a second.
func (s *server) cpu() time.Duration {
	var sum time.Duration
	threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", s.cmd.Process.Pid))
	for _, name := range threads {
		text, _ := os.ReadFile(name)
		first, _, _ := strings.Cut(string(text), " ")
		ns, _ := strconv.ParseInt(first, 10, 64)
		sum += time.Duration(ns)
	}
	return sum
}

var sizePattern = regexp.MustCompile(`Vm(HWM|RSS):\s+(\d+) kB`)

// memory returns the peak and the current resident memory in KiB, 0 if the process
// has ended.
func (s *server) memory() (peak, now int64) {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	for _, m := range sizePattern.FindAllSubmatch(text, -1) {
		kb, _ := strconv.ParseInt(string(m[2]), 10, 64)
		if string(m[1]) == "HWM" {
			peak = kb
		} else {
			now = kb
		}
	}
	return peak, now
}

// watch sends, once done is closed, by how much the peak of the resident memory
// exceeds its size at the start. It polls, since nothing can be read from a
// process that has crashed.
func (s *server) watch(done <-chan struct{}) <-chan int64 {
	_ = os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", s.cmd.Process.Pid), []byte("5"), 0) // the peak begins anew
	_, before := s.memory()
	grown := make(chan int64, 1)
	go func() {
		var most int64
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for last := false; ; {
			peak, _ := s.memory()
			most = max(most, peak-before)
			if last {
				grown <- most
				return
			}
			select {
			case <-done:
				last = true
			case <-tick.C:
			}
		}
	}()
	return grown
}
