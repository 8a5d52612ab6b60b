package main

import (
	"bufio"
	"context"
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

// Rows of the backends.
const (
	listings = 100_000
	users    = 10_000
)

// layout has the cores of each part, as taskset takes them; empty means any.
type layout struct {
	gateway, backend, client string
}

// gatewayCores returns the number of cores that a gateway may use.
func (l layout) gatewayCores() int {
	if l.gateway == "" {
		return runtime.NumCPU()
	}
	return 1 + strings.Count(l.gateway, ",")
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

// harness has the programs, processes and cores of a run.
type harness struct {
	ctx       context.Context
	dir       string   // of programs and scripts; removed after the run
	cores     []string // that this process could use before pin
	layout    layout
	notes     []string
	processes []*process
	backend   *process
	urls      []string // of the listing and the user service
	data      *bench.Data
	client    *http.Client
	wrkPath   string
}

func newHarness(ctx context.Context, dir string) (*harness, error) {
	h := &harness{ctx: ctx, dir: dir, cores: allowedCores(), data: bench.NewData(listings, users), client: &http.Client{
		Transport: bench.NewTransport(), Timeout: 30 * time.Second,
	}}
	// Veranda is built in its own module, with its own versions.
	for module, packages := range map[string][]string{"..": {"./cmd/veranda"}, ".": {"./serve", "./plainserver"}} {
		build := exec.CommandContext(ctx, "go", append([]string{"build", "-C", module, "-trimpath", "-o", dir}, packages...)...)
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("build %s: %w\n%s", packages, err, out)
		}
	}
	var err error
	if h.wrkPath, err = exec.LookPath("wrk"); err != nil {
		return nil, fmt.Errorf("%w; on Debian: apt-get install wrk", err)
	}
	return h, nil
}

// pin divides the cores between gateway, backends and load, and moves this
// process to the load's.
func (h *harness) pin() {
	cores := h.cores
	if _, err := exec.LookPath("taskset"); err != nil || len(cores) < 2 {
		h.notes = append(h.notes, "not pinned: pinning needs taskset and two cores")
		return
	}
	switch n := len(cores); {
	case n >= 4:
		h.layout = layout{cores[0] + "," + cores[1], cores[2], cores[3]}
	case n == 3:
		h.layout = layout{cores[0], cores[1], cores[2]}
	default:
		h.layout = layout{cores[0], cores[1], cores[1]}
	}
	_ = exec.Command("taskset", "-apc", h.layout.client, strconv.Itoa(os.Getpid())).Run()
}

// allowedCores returns the cores that this process may use.
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

// process is a running program.
type process struct {
	cmd  *exec.Cmd
	url  string
	done chan struct{}
	log  *output
}

// start starts a program on the given cores; empty means any. A program of the
// build folder is found by its name alone.
func (h *harness) start(cores string, env []string, args ...string) (*process, error) {
	if built := filepath.Join(h.dir, args[0]); exists(built) {
		args[0] = built
	}
	if cores != "" {
		args = append([]string{"taskset", "-c", cores}, args...)
	}
	p := &process{cmd: exec.Command(args[0], args[1:]...), done: make(chan struct{}), log: &output{}}
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
	h.processes = append(h.processes, p)
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

// output keeps the first 64 KiB that a process writes.
type output struct {
	mu   sync.Mutex
	text strings.Builder
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

var urlPattern = regexp.MustCompile(`http://127\.0\.0\.1:\d+`)

// waitURLs waits until the process has printed n URLs.
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
	return nil, fmt.Errorf("%s printed fewer than %d URLs in 10 s: %s", p.cmd.Args, n, p.log)
}

// end interrupts the process, and kills it if it still runs after 3 s.
func (p *process) end() {
	_ = p.cmd.Process.Signal(os.Interrupt)
	select {
	case <-p.done:
	case <-time.After(3 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.done
	}
}

func (h *harness) stop() {
	for _, p := range h.processes {
		p.end()
	}
}

// pids returns the ids of the process and its descendants.
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

// usage returns the CPU time that the process and its descendants have used.
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

// resetPeak starts the measurement of peak anew.
func (p *process) resetPeak() {
	for _, pid := range p.pids() {
		_ = os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0)
	}
}

var peakPattern = regexp.MustCompile(`VmHWM:\s*(\d+) kB`)

// peak returns the largest resident memory since resetPeak, in MiB.
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

func (h *harness) startBackend() (err error) {
	if h.backend, err = h.start(h.layout.backend, nil, "serve", "backends", strconv.Itoa(listings), strconv.Itoa(users)); err != nil {
		return err
	}
	h.urls, err = h.backend.waitURLs(2)
	return err
}

func (h *harness) get(url string) (string, error) {
	resp, err := h.client.Get(url)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return string(b), err
}

func (h *harness) backendCalls() (int64, error) {
	text, err := h.get(h.urls[0] + bench.CallsPath)
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(text, 10, 64)
}

func (h *harness) delayBackend(us int) error {
	_, err := h.get(h.urls[0] + bench.DelayPath + "?us=" + strconv.Itoa(us))
	return err
}

// machine describes the machine: cores, memory, system.
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
