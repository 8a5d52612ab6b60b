// Command load measures the public layer beside other ways to answer the same
// questions, all in front of the same neutral backends, and checks while it
// measures that what is answered fast is also right and fresh.
//
//	go run ./bench/load [flags]
//
// It builds and starts everything itself, on loopback addresses, and stops
// what it started. Rounds alternate between the candidates, since cores of
// shared machines drift: only ratios out of one run mean something, and
// differences under 15 % are ties. docs/performance.md tells what came out.
package main

import (
	"context"
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

// config is what a run does.
type config struct {
	rounds                 int
	seconds, warmup, fresh time.Duration
	distinct               int
	workloads, candidates  string
	variants               variants
	tailcall               string
	goBenchmarks, model    bool
	doc, busy              bool
}

// Where results go: out is no part of the repository.
const (
	out         = "bin/bench"
	goResults   = "go.txt"
	loadResults = "load.txt"
)

// variants are further ways to start the project, by name.
type variants []variant

type variant struct {
	name string
	args []string
}

func (v *variants) String() string { return "" }

func (v *variants) Set(text string) error {
	name, args, _ := strings.Cut(text, "=")
	*v = append(*v, variant{name, strings.Fields(args)})
	return nil
}

func main() {
	var c config
	flag.IntVar(&c.rounds, "rounds", 3, "rounds of each cell")
	flag.DurationVar(&c.seconds, "time", 5*time.Second, "length of a round")
	flag.DurationVar(&c.warmup, "warmup", 2*time.Second, "load before the first round of a cell, not measured")
	flag.DurationVar(&c.fresh, "fresh", 5*time.Second, "how long freshness is tried on each candidate; 0 leaves it out")
	flag.IntVar(&c.distinct, "distinct", 100_000, "distinct queries after which memory is measured; 0 leaves it out")
	flag.StringVar(&c.workloads, "workloads", "W1,W2,W3,W4,W5,W6", "which `workloads`")
	flag.StringVar(&c.candidates, "candidates", "", "which `candidates`, all that there are if empty")
	flag.Var(&c.variants, "variant", "a further candidate `name=flags`: public-api started with flags (repeatable)")
	flag.StringVar(&c.tailcall, "tailcall", "", "`command` that runs Tailcall; off leaves it out; if empty, it is installed with npm")
	flag.BoolVar(&c.goBenchmarks, "go", true, "run the Go benchmarks first: allocations are exact only there")
	flag.BoolVar(&c.model, "model", true, "measure the project over rows, connections and latency")
	flag.BoolVar(&c.doc, "doc", false, "publish: put the results into docs/performance.md, its plot and bench/results")
	flag.BoolVar(&c.busy, "busy", false, "publish although other programs kept the machine busy; the page then says so")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, c); err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, c config) (err error) {
	if _, err := os.Stat("schema.graphqls"); err != nil {
		return fmt.Errorf("run it from the root of the repository: %w", err)
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "veranda-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)

	s, err := newStage(ctx, dir)
	if err != nil {
		return err
	}
	defer s.stop()
	r := &results{machine: machine(), rounds: c.rounds, seconds: c.seconds}
	if c.goBenchmarks {
		if err := r.runGoBenchmarks(ctx, filepath.Join(out, goResults)); err != nil {
			return err
		}
	}
	s.pin()
	if err := s.startBackend(); err != nil {
		return err
	}
	all, err := s.candidates(c)
	if err != nil {
		return err
	}
	r.layout, r.notes = s.layout.String(), s.notes
	for _, p := range all {
		if p.writes {
			r.ours = append(r.ours, ours{p.name, p.cached})
		}
	}
	fmt.Println(r.layout)
	for _, n := range s.notes {
		fmt.Println("NOTE:", n)
	}

	meter := startMeter(s)
	for _, w := range bench.Workloads {
		if named(c.workloads, w.Name) {
			if err := s.measure(c, r, w, all); err != nil {
				return err
			}
		}
	}
	if c.model && slices.ContainsFunc(all, func(p *candidate) bool { return p.name == project }) {
		if err := s.measureModel(c, r, all); err != nil {
			return err
		}
	}
	r.others, r.othersKnown = meter.others(s)
	if c.fresh > 0 {
		if err := s.tryFreshness(c, r, all); err != nil {
			return err
		}
	}
	if c.distinct > 0 {
		if err := s.tryMemory(c, r, all); err != nil {
			return err
		}
	}

	r.print(os.Stdout)
	if err := r.writeBenchstat(filepath.Join(out, loadResults)); err != nil {
		return err
	}
	if n := r.wrongAnswers(); n > 0 {
		return fmt.Errorf("%d wrong answers from the project", n)
	}
	if c.doc {
		return r.publish("docs/performance.md", "docs/performance.svg", "bench/results", out, c.busy)
	}
	return nil
}

// named tells whether a list of names, apart by commas, has name. An empty
// list has all.
func named(list, name string) bool {
	return list == "" || slices.Contains(strings.Split(list, ","), name)
}

// measure runs the rounds of one workload.
func (s *stage) measure(c config, r *results, w bench.Workload, all []*candidate) error {
	if err := s.delayBackend(w.DelayUS); err != nil {
		return err
	}
	able := slices.DeleteFunc(slices.Clone(all), func(p *candidate) bool { return !named(p.workloads, w.Name) })
	for _, p := range able {
		if _, err := s.load(p, w, c.warmup, 0); err != nil {
			return err
		}
	}
	for round := range c.rounds {
		for _, p := range able {
			sample, err := s.load(p, w, c.seconds, int64(round)+1)
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
	return s.delayBackend(0)
}

// load loads one candidate once, checks a sample of its answers meanwhile,
// and tells what it cost.
func (s *stage) load(p *candidate, w bench.Workload, d time.Duration, seed int64) (sample, error) {
	s.settle()
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	checked := make(chan checks, 1)
	go func() { checked <- s.check(ctx, p, w, seed) }()

	before, err := p.usage()
	if err != nil {
		return sample{}, err
	}
	p.resetPeak()
	calls, err := s.backendCalls()
	if err != nil {
		return sample{}, err
	}
	result, err := s.wrk(p, w, d, seed)
	if err != nil {
		return sample{}, fmt.Errorf("%s %s: %w", w.Name, p.name, err)
	}
	callsAfter, err := s.backendCalls()
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

// settle waits until all candidates are at rest, at most 10 seconds: one that
// still works on what its clients no longer wait for would slow the next one
// down, and have calls counted to it.
func (s *stage) settle() {
	const look = 100 * time.Millisecond
	used := s.ownTime()
	for range 10 * time.Second / look {
		time.Sleep(look)
		now := s.ownTime()
		if now-used <= tick {
			return
		}
		used = now
	}
	fmt.Println("NOTE: a candidate was not at rest 10 s after its load: the next one shares its core")
}
