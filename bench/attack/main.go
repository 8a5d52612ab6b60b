// Command attack sends queries and bodies that bring GraphQL servers down to
// the public layer and to a plain gqlgen server (bench/plainserver), both in
// front of the neutral backends of package bench, and prints what became of
// each server as a table.
//
//	go run ./bench/attack [--timeout 20s]
//
// It builds and starts everything itself, on free ports of the loopback
// interface, with a fresh process for each attack, so that none finds a server
// that another one has damaged. It needs Linux, whose /proc tells what a
// process took. docs/graphql.md has the table.
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
	build := exec.CommandContext(ctx, "go", "build", "-o", dir, "./cmd/veranda", "./bench/serve", "./bench/plainserver")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("run it from the root of the repository: %w\n%s", err, out)
	}
	backend, err := start(ctx, timeout, 2, filepath.Join(dir, "serve"), "neutral", "100000", "10000")
	if err != nil {
		return err
	}
	defer backend.end()
	servers := [2]func() (*target, error){
		func() (*target, error) {
			return start(ctx, timeout, 1, filepath.Join(dir, "plainserver"), backend.urls...)
		},
		func() (*target, error) {
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

// outcome is what became of one server.
type outcome struct {
	status    string
	wall, cpu time.Duration
	memory    int64 // growth of the peak in KiB
}

// String is four cells of the table.
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
func (a *attack) try(fresh func() (*target, error), plain bool) outcome {
	if plain && a.plain == none {
		return outcome{status: "no such field"}
	}
	t, err := fresh()
	if err != nil {
		return outcome{status: err.Error()}
	}
	defer t.end()
	for range 300 { // nobody meets a cold server
		if status := t.post(of("{listings{id user{name}}}")); status != "200" {
			return outcome{status: "not up: " + status}
		}
	}
	body := a.body
	if plain && a.plain != "" {
		body = a.plain
	}
	done := make(chan struct{})
	memory := t.watch(done)
	cpu, begin := t.cpu(), time.Now()
	send := a.send
	if send == nil {
		send = func(t *target) string { return t.post(body) }
	}
	status := send(t)
	o := outcome{status: status, wall: time.Since(begin)}
	if t.took > 0 {
		o.wall = t.took
	}
	time.Sleep(20 * time.Millisecond) // it may not have noticed that we are gone
	select {
	case <-t.ended:
		o.status = "**crashed**"
		o.cpu = t.cmd.ProcessState.UserTime() + t.cmd.ProcessState.SystemTime() - cpu
	default:
		o.cpu = t.cpu() - cpu
	}
	close(done)
	o.memory = <-memory
	return o
}

// target is a server that runs.
type target struct {
	urls    []string
	url     string
	timeout time.Duration
	took    time.Duration // what an attack measured itself
	cmd     *exec.Cmd
	ended   chan struct{}
	client  *http.Client
}

var urlPattern = regexp.MustCompile(`http://127\.0\.0\.1:\d+`)

// start starts a program that prints where it listens, at so many places.
func start(ctx context.Context, timeout time.Duration, places int, name string, args ...string) (*target, error) {
	t := &target{timeout: timeout, cmd: exec.CommandContext(ctx, name, args...), ended: make(chan struct{})}
	t.client = &http.Client{Timeout: timeout, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "VERANDA_") {
			t.cmd.Env = append(t.cmd.Env, v)
		}
	}
	out := &output{}
	t.cmd.Stdout, t.cmd.Stderr = out, out
	if err := t.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = t.cmd.Wait() // how it ended is told by what came before
		close(t.ended)
	}()
	for range 1000 {
		if t.urls = urlPattern.FindAllString(out.String(), -1); len(t.urls) >= places {
			t.url = t.urls[len(t.urls)-1]
			return t, nil
		}
		select {
		case <-t.ended:
			return nil, fmt.Errorf("%s ended: %s", name, out)
		case <-time.After(10 * time.Millisecond):
		}
	}
	t.end()
	return nil, fmt.Errorf("%s does not say where it listens: %s", name, out)
}

// end ends a server, however busy it is.
func (t *target) end() {
	t.client.CloseIdleConnections()
	_ = t.cmd.Process.Kill()
	<-t.ended
}

// output keeps the beginning of what a program prints.
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

// post sends a body and tells the status and, if there is one, the error.
func (t *target) post(body string) string {
	req, err := http.NewRequest(http.MethodPost, t.url+"/graphql", strings.NewReader(body))
	if err != nil {
		return err.Error()
	}
	return t.do(req)
}

func (t *target) do(req *http.Request) string {
	req.Header.Set("Content-Type", "application/json")
	resp, err := t.client.Do(req)
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
		return "answer broken off"
	}
	var answer struct {
		Errors []struct {
			Message    string
			Extensions struct{ Code string }
		}
	}
	status := strconv.Itoa(resp.StatusCode)
	if json.Unmarshal(text, &answer) != nil || len(answer.Errors) == 0 {
		if len(text) > 1<<20 {
			status += fmt.Sprintf(", answer of %d MB", len(text)>>20)
		}
		return status
	}
	message := strings.NewReplacer("|", "/", "\n", " ", "`", "'").Replace(answer.Errors[0].Message)
	const enough = 50
	if r := []rune(message); len(r) > enough {
		message = string(r[:enough]) + "…"
	}
	return status + " " + message
}

// cpu is what the process has taken so far, to the nanosecond: /proc/PID/stat
// counts in hundredths of a second.
func (t *target) cpu() time.Duration {
	var sum time.Duration
	threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", t.cmd.Process.Pid))
	for _, name := range threads {
		text, _ := os.ReadFile(name)
		first, _, _ := strings.Cut(string(text), " ")
		ns, _ := strconv.ParseInt(first, 10, 64)
		sum += time.Duration(ns)
	}
	return sum
}

var sizePattern = regexp.MustCompile(`Vm(HWM|RSS):\s+(\d+) kB`)

// memory gives the peak and the present size in KiB, 0 if the process is gone.
func (t *target) memory() (peak, now int64) {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", t.cmd.Process.Pid))
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

// watch tells, once done is closed, by how much the peak has passed the size
// at the beginning. It looks often, since a process that crashes leaves
// nothing to look at.
func (t *target) watch(done <-chan struct{}) <-chan int64 {
	_ = os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", t.cmd.Process.Pid), []byte("5"), 0) // the peak begins anew
	_, before := t.memory()
	grown := make(chan int64, 1)
	go func() {
		var most int64
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for last := false; ; {
			peak, _ := t.memory()
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
