// Command load measures the public layer of veranda side by side with other
// gateways, all in front of the same backends, and checks under load that
// responses are right and fresh.
//
//	go run -C bench ./load [flags]
//
// It builds, starts and stops every program itself, on loopback addresses.
// Rounds alternate between the candidates, since the speed of a shared machine
// drifts: compare ratios within one run only, and take a difference under 15 %
// for a tie. docs/performance.md has the published results.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/veranda-go/veranda/bench"
)

// config has the flags of a run.
type config struct {
	rounds                 int
	seconds, warmup, fresh time.Duration
	distinct               int
	workloads, candidates  string
	further                []further
	tailcall               string
	goBenchmarks, model    bool
	doc, busy              bool
}

// Where results go. The working directory is the folder bench, and out is
// ignored by git.
const (
	out         = "../bin/bench"
	goResults   = "go.txt"
	loadResults = "load.txt"
)

// further is a candidate of -variant or -binary: veranda with other flags, or
// of another build.
type further struct {
	name, binary string
	flags        []string
}

// addVariant parses name=flags.
func (c *config) addVariant(text string) error {
	name, flags, ok := strings.Cut(text, "=")
	if !ok || name == "" {
		return errors.New("want name=flags")
	}
	c.further = append(c.further, further{name, "veranda", strings.Fields(flags)})
	return nil
}

// addBinary parses name=path, where the path may be followed by flags.
func (c *config) addBinary(text string) error {
	name, command, _ := strings.Cut(text, "=")
	fields := strings.Fields(command)
	if name == "" || len(fields) == 0 || !filepath.IsAbs(fields[0]) {
		return errors.New("want name=path with an absolute path")
	}
	c.further = append(c.further, further{name, fields[0], fields[1:]})
	return nil
}

func main() {
	var c config
	flag.IntVar(&c.rounds, "rounds", 3, "rounds for each workload and candidate")
	flag.DurationVar(&c.seconds, "time", 5*time.Second, "length of a round")
	flag.DurationVar(&c.warmup, "warmup", 2*time.Second, "unmeasured load before the first round of a workload")
	flag.DurationVar(&c.fresh, "fresh", 5*time.Second, "how long to test each candidate's freshness; 0 leaves it out")
	flag.IntVar(&c.distinct, "distinct", 100_000, "how many distinct queries to send before memory is measured; 0 leaves it out")
	flag.StringVar(&c.workloads, "workloads", "W1,W2,W3,W4,W5,W6", "comma-separated `workloads`")
	flag.StringVar(&c.candidates, "candidates", "", "comma-separated `candidates`; all if empty")
	flag.Func("variant", "a further candidate `name=flags`: veranda public-api with these flags (repeatable)", c.addVariant)
	flag.Func("binary", "a further candidate `name=path`: the veranda binary at an absolute path, with any flags after it (repeatable)", c.addBinary)
	flag.StringVar(&c.tailcall, "tailcall", "", "`command` that runs Tailcall; off leaves it out; if empty, npm installs it")
	flag.BoolVar(&c.goBenchmarks, "go", true, "run the Go benchmarks first; allocations are exact only there")
	flag.BoolVar(&c.model, "model", true, "measure veranda with varying rows, connections and latency")
	flag.BoolVar(&c.doc, "doc", false, "publish: write the results to docs/performance.md, its plot and bench/results")
	flag.BoolVar(&c.busy, "busy", false, "publish even if other programs kept the machine busy; the page then says so")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, c); err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, c config) (err error) {
	if _, err := os.Stat("load/mercurius.mjs"); err != nil {
		return fmt.Errorf("run it in the folder bench (go run -C bench ./load): %w", err)
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "veranda-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)

	h, err := newHarness(ctx, dir)
	if err != nil {
		return err
	}
	defer h.stop()
	r := &results{machine: machine(), rounds: c.rounds, seconds: c.seconds}
	if c.goBenchmarks {
		if err := r.runGoBenchmarks(ctx, filepath.Join(out, goResults)); err != nil {
			return err
		}
	}
	h.pin()
	if err := h.startBackend(); err != nil {
		return err
	}
	all, err := h.candidates(c)
	if err != nil {
		return err
	}
	r.layout, r.notes = h.layout.String(), h.notes
	for _, p := range all {
		if p.writes {
			r.ours = append(r.ours, ours{p.name, p.cached})
		}
	}
	fmt.Println(r.layout)
	for _, n := range h.notes {
		fmt.Println("NOTE:", n)
	}

	meter := startMeter(h)
	for _, w := range bench.Workloads {
		if named(c.workloads, w.Name) {
			if err := h.measure(c, r, w, all); err != nil {
				return err
			}
		}
	}
	if c.model && slices.ContainsFunc(all, func(p *candidate) bool { return p.name == veranda }) {
		if err := h.measureModel(c, r, all); err != nil {
			return err
		}
	}
	r.others, r.othersKnown = meter.others(h)
	if c.fresh > 0 {
		if err := h.tryFreshness(c, r, all); err != nil {
			return err
		}
	}
	if c.distinct > 0 {
		if err := h.tryMemory(c, r, all); err != nil {
			return err
		}
	}

	r.print(os.Stdout)
	if err := r.writeBenchstat(filepath.Join(out, loadResults)); err != nil {
		return err
	}
	if n := r.wrong(); n > 0 {
		return fmt.Errorf("%d wrong responses from veranda", n)
	}
	if c.doc {
		return r.publish("../docs/performance.md", "../docs/performance.svg", "results", out, c.busy)
	}
	return nil
}

// named reports whether a comma-separated list has name. An empty list has
// every name.
func named(list, name string) bool {
	return list == "" || slices.Contains(strings.Split(list, ","), name)
}

// measure runs the rounds of one workload.
func (h *harness) measure(c config, r *results, w bench.Workload, all []*candidate) error {
	if err := h.delayBackend(w.DelayUS); err != nil {
		return err
	}
	able := slices.DeleteFunc(slices.Clone(all), func(p *candidate) bool { return !named(p.workloads, w.Name) })
	for _, p := range able {
		if _, err := h.load(p, w, c.warmup, 0); err != nil {
			return err
		}
	}
	for round := range c.rounds {
		for _, p := range able {
			sample, err := h.load(p, w, c.seconds, int64(round)+1)
			if err != nil {
				return err
			}
			r.add(w, p.name, sample)
			fmt.Printf("%s %-16s round %d: %8.0f req/s  p50 %6.2f ms  p99 %7.2f ms  cpu %6.1f us/req  calls %5.2f/req  peak %4.0f MiB  checked %d, wrong %d  errors %d\n",
				w.Name, p.name, round+1, sample.rps, sample.p50/1000, sample.p99/1000, sample.cpu, sample.calls, sample.peak, sample.checked, sample.wrong, sample.errors)
			if sample.firstWrong != "" {
				fmt.Println("   ", sample.firstWrong)
			}
		}
	}
	return h.delayBackend(0)
}

// load loads one candidate once, checks a sample of its responses meanwhile,
// and returns what it measured.
func (h *harness) load(p *candidate, w bench.Workload, d time.Duration, seed int64) (sample, error) {
	h.settle()
	ctx, cancel := context.WithCancel(h.ctx)
	defer cancel()
	checked := make(chan checks, 1)
	go func() { checked <- h.check(ctx, p, w, seed) }()

	before, err := p.usage()
	if err != nil {
		return sample{}, err
	}
	p.resetPeak()
	calls, err := h.backendCalls()
	if err != nil {
		return sample{}, err
	}
	result, err := h.wrk(p, w, d, seed)
	if err != nil {
		return sample{}, fmt.Errorf("%s %s: %w", w.Name, p.name, err)
	}
	callsAfter, err := h.backendCalls()
	if err != nil {
		return sample{}, err
	}
	after, err := p.usage()
	if err != nil {
		return sample{}, err
	}
	cancel()
	n := float64(max(result.requests, 1))
	return sample{
		rps: float64(result.requests) / result.duration.Seconds(), p50: result.p50, p99: result.p99,
		cpu: float64((after - before).Microseconds()) / n, calls: float64(callsAfter-calls) / n,
		peak: p.peak(), requests: result.requests, errors: result.errors, checks: <-checked,
	}, nil
}

// settle waits until all candidates are idle, at most 10 s: a candidate that
// still works on abandoned requests would slow the next one down, and its
// backend calls would count as the next one's.
func (h *harness) settle() {
	const look = 100 * time.Millisecond
	used := h.ownTime()
	for range 10 * time.Second / look {
		time.Sleep(look)
		now := h.ownTime()
		if now-used <= tick {
			return
		}
		used = now
	}
	fmt.Println("NOTE: a candidate was still busy 10 s after its load; the next one shares its core")
}
