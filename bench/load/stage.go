package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/veranda-go/veranda/bench"
)

// Rows of the neutral backends.
const (
	listings = 100_000
	users    = 10_000
)

// layout says which cores do what. Empty means any.
type layout struct {
	gateway, backend, client string
}

func (l layout) String() string {
	if l.gateway == "" {
		return "Nothing is pinned to a core."
	}
	s := fmt.Sprintf("Gateway on core %s, backends on core %s, load on core %s.", l.gateway, l.backend, l.client)
	if l.backend == l.client {
		s += " Backends and load share a core, so the fastest cells are bound by that core and say less than they could."
	}
	return s
}

// stage is where a run takes place: programs, processes, cores.
type stage struct {
	ctx       context.Context
	dir       string   // of programs and scripts
	cores     []string // all that we may use; asked before pin takes them away
	layout    layout
	notes     []string
	processes []*process
	backend   *process
	urls      []string // of the listing and the user service
	data      *bench.Data
	client    *http.Client
	wrkPath   string
}

func newStage(ctx context.Context, dir string) (*stage, error) {
	s := &stage{ctx: ctx, dir: dir, cores: allowedCores(), data: bench.NewData(listings, users), client: &http.Client{
		Transport: bench.NewTransport(), Timeout: 30 * time.Second,
	}}
	for name, pkg := range map[string]string{"veranda": "./cmd/veranda", "serve": "./bench/serve", "plainserver": "./bench/plainserver"} {
		build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", filepath.Join(dir, name), pkg)
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("build %s: %w\n%s", pkg, err, out)
		}
	}
	var err error
	if s.wrkPath, err = findWrk(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// findWrk finds wrk, and installs it where that is ours to do.
func findWrk(ctx context.Context) (string, error) {
	name, err := exec.LookPath("wrk")
	if _, noApt := exec.LookPath("apt-get"); err == nil || os.Getuid() != 0 || noApt != nil {
		if err != nil {
			err = errors.New("wrk is not installed; on Debian: apt-get install wrk")
		}
		return name, err
	}
	for _, args := range [][]string{{"update"}, {"install", "-y", "--no-install-recommends", "wrk"}} {
		if out, err := exec.CommandContext(ctx, "apt-get", args...).CombinedOutput(); err != nil {
			return "", fmt.Errorf("apt-get %s: %w\n%s", args[0], err, out)
		}
	}
	return exec.LookPath("wrk")
}

// pin shares the cores out, and takes this process off the gateway's.
func (s *stage) pin() {
	cores := s.cores
	if _, err := exec.LookPath("taskset"); err != nil || len(cores) < 2 {
		s.notes = append(s.notes, "not pinned: that takes taskset and two cores")
		return
	}
	switch n := len(cores); {
	case n >= 4:
		s.layout = layout{cores[0] + "," + cores[1], cores[2], cores[3]}
	case n == 3:
		s.layout = layout{cores[0], cores[1], cores[2]}
	default:
		s.layout = layout{cores[0], cores[1], cores[1]}
	}
	_ = exec.Command("taskset", "-apc", s.layout.client, strconv.Itoa(os.Getpid())).Run()
}

// allowedCores are the cores that this process may use.
func allowedCores() []string {
	status, _ := os.ReadFile("/proc/self/status")
	m := regexp.MustCompile(`Cpus_allowed_list:\s*(\S+)`).FindSubmatch(status)
	if m == nil {
		return nil
	}
	var cores []string
	for span := range strings.SplitSeq(string(m[1]), ",") {
		from, to, isSpan := strings.Cut(span, "-")
		if !isSpan {
			to = from
		}
		a, _ := strconv.Atoi(from)
		b, _ := strconv.Atoi(to)
		for ; a <= b; a++ {
			cores = append(cores, strconv.Itoa(a))
		}
	}
	return cores
}

// process is a program that runs.
type process struct {
	cmd  *exec.Cmd
	url  string
	done chan struct{}
	log  *tail
}

// start starts a program on some cores. args that are not in the build folder
// are run as they are.
func (s *stage) start(cores string, env []string, args ...string) (*process, error) {
	if own := filepath.Join(s.dir, args[0]); exists(own) {
		args[0] = own
	}
	if cores != "" {
		args = append([]string{"taskset", "-c", cores}, args...)
	}
	p := &process{cmd: exec.Command(args[0], args[1:]...), done: make(chan struct{}), log: &tail{}}
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "VERANDA_") {
			p.cmd.Env = append(p.cmd.Env, v)
		}
	}
	p.cmd.Env = append(p.cmd.Env, env...)
	out, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	p.cmd.Stdout, p.cmd.Stderr = in, in
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	in.Close()
	s.processes = append(s.processes, p)
	go func() {
		_, _ = io.Copy(p.log, out)
		_ = p.cmd.Wait()
		out.Close()
		close(p.done)
	}()
	return p, nil
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

// tail is the beginning of what a process wrote.
type tail struct {
	mu   sync.Mutex
	text strings.Builder
}

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.text.Len() < 64<<10 {
		t.text.Write(b)
	}
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text.String()
}

var urlPattern = regexp.MustCompile(`http://127\.0\.0\.1:\d+`)

// waitURLs waits until a process has said where it listens.
func (p *process) waitURLs(n int) ([]string, error) {
	for range 1000 {
		if urls := urlPattern.FindAllString(p.log.String(), -1); len(urls) >= n {
			return urls, nil
		}
		select {
		case <-p.done:
			return nil, fmt.Errorf("%s ended: %s", p.cmd.Args, p.log)
		case <-time.After(10 * time.Millisecond):
		}
	}
	return nil, fmt.Errorf("%s does not say where it listens: %s", p.cmd.Args, p.log)
}

// end asks a process to end, and makes it.
func (p *process) end() {
	_ = p.cmd.Process.Signal(os.Interrupt)
	select {
	case <-p.done:
	case <-time.After(3 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.done
	}
}

func (s *stage) stop() {
	for _, p := range s.processes {
		p.end()
	}
}

// pids are the process and those that it started.
func (p *process) pids() []int {
	pids := []int{p.cmd.Process.Pid}
	for i := 0; i < len(pids); i++ {
		lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pids[i]))
		for _, list := range lists {
			text, _ := os.ReadFile(list)
			for field := range strings.FieldsSeq(string(text)) {
				pid, _ := strconv.Atoi(field)
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// usage is the processor time that the process has used.
func (p *process) usage() (time.Duration, error) {
	var sum time.Duration
	for _, pid := range p.pids() {
		t, err := processTimes(pid)
		if err != nil {
			return 0, err
		}
		sum += t.own
	}
	return sum, nil
}

// resetPeak lets peak count from now on.
func (p *process) resetPeak() {
	for _, pid := range p.pids() {
		_ = os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0)
	}
}

var peakPattern = regexp.MustCompile(`VmHWM:\s*(\d+) kB`)

// peak is the largest resident memory in MiB.
func (p *process) peak() float64 {
	sum := 0.0
	for _, pid := range p.pids() {
		status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if m := peakPattern.FindSubmatch(status); m != nil {
			kb, _ := strconv.ParseFloat(string(m[1]), 64)
			sum += kb / 1024
		}
	}
	return sum
}

func (s *stage) startBackend() (err error) {
	if s.backend, err = s.start(s.layout.backend, nil, "serve", "neutral", strconv.Itoa(listings), strconv.Itoa(users)); err != nil {
		return err
	}
	s.urls, err = s.backend.waitURLs(2)
	return err
}

func (s *stage) get(url string) (string, error) {
	resp, err := s.client.Get(url)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return string(b), err
}

func (s *stage) backendCalls() (int64, error) {
	text, err := s.get(s.urls[0] + bench.CallsPath)
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(text, 10, 64)
}

func (s *stage) delayBackend(us int) error {
	_, err := s.get(s.urls[0] + bench.DelayPath + "?us=" + strconv.Itoa(us))
	return err
}

// machine describes the machine in general words.
func machine() string {
	model, memory := runtime.GOARCH, ""
	if f, err := os.Open("/proc/cpuinfo"); err == nil {
		defer f.Close()
		for lines := bufio.NewScanner(f); lines.Scan(); {
			if name, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	if info, err := os.ReadFile("/proc/meminfo"); err == nil {
		if m := regexp.MustCompile(`MemTotal:\s*(\d+) kB`).FindSubmatch(info); m != nil {
			kb, _ := strconv.ParseFloat(string(m[1]), 64)
			memory = fmt.Sprintf(", %.0f GiB of memory", kb/(1<<20))
		}
	}
	return fmt.Sprintf("%d cores (%s)%s, %s, %s", len(allowedCores()), model, memory, runtime.GOOS, runtime.Version())
}
