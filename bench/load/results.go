package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/veranda-go/veranda/bench"
)

// sample is one round of a cell.
type sample struct {
	rps              float64 // requests per second
	p50, p99         float64 // latency in microseconds
	cpu              float64 // CPU time of the gateway per request, in microseconds
	calls            float64 // backend calls per request
	peak             float64 // resident memory in MiB
	requests, errors int64
	checks
}

// results has everything that a run measured.
type results struct {
	machine, layout string
	notes           []string
	others          float64 // cores that other programs kept busy meanwhile
	othersKnown     bool
	rounds          int
	seconds         time.Duration
	cells           []cell
	fresh           []freshness
	memory          []memory
	model           []measured
	allocs          map[string]float64 // of the Go benchmarks, by workload/candidate
	ours            []ours
}

// ours is a candidate that is veranda.
type ours struct {
	name   string
	cached bool
}

// cell is one candidate under one workload.
type cell struct {
	workload  bench.Workload
	candidate string
	rounds    []sample
}

func (r *results) add(w bench.Workload, candidate string, x sample) {
	for i := range r.cells {
		if r.cells[i].workload.Name == w.Name && r.cells[i].candidate == candidate {
			r.cells[i].rounds = append(r.cells[i].rounds, x)
			return
		}
	}
	r.cells = append(r.cells, cell{w, candidate, []sample{x}})
}

func (r *results) cell(workload, candidate string) *cell {
	for i := range r.cells {
		if r.cells[i].workload.Name == workload && r.cells[i].candidate == candidate {
			return &r.cells[i]
		}
	}
	return nil
}

// has reports whether a candidate took part.
func (r *results) has(candidate string) bool {
	return slices.ContainsFunc(r.cells, func(c cell) bool { return c.candidate == candidate })
}

// metric is one number of a sample.
type metric struct {
	name string
	of   func(sample) float64
}

var (
	rps = metric{"requests/s", func(x sample) float64 { return x.rps }}
	p99 = metric{"p99", func(x sample) float64 { return x.p99 }}
	cpu = metric{"CPU per request", func(x sample) float64 { return x.cpu }}
)

func (c *cell) median(of func(sample) float64) float64 {
	var all []float64
	for _, x := range c.rounds {
		all = append(all, of(x))
	}
	return median(all)
}

func median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	slices.Sort(v)
	if n := len(v); n%2 == 0 {
		return (v[n/2-1] + v[n/2]) / 2
	}
	return v[len(v)/2]
}

// ratio returns the median over the rounds of a ÷ b. Both run within a round,
// so the machine's drift cancels out.
func (r *results) ratio(m metric, workload, a, b string) (float64, bool) {
	x, y := r.cell(workload, a), r.cell(workload, b)
	if x == nil || y == nil {
		return 0, false
	}
	var all []float64
	for i := range min(len(x.rounds), len(y.rounds)) {
		if d := m.of(y.rounds[i]); d > 0 {
			all = append(all, m.of(x.rounds[i])/d)
		}
	}
	return median(all), len(all) > 0
}

// tie is the largest difference that means nothing on a shared machine.
const tie = 0.15

// verdict is a target and its result.
type verdict struct {
	text   string
	result string // pass, miss, tie, noise, not measured
	got    string
}

// target is a wanted ratio: at least limit, or at most.
type target struct {
	workload, against string
	metric            metric
	limit             float64
	atMost            bool
}

// targets returns the targets of veranda without and with its user cache.
func targets(cached bool) []target {
	toBaseline, rest := 0.6, 0.9
	if cached {
		toBaseline, rest = 1.0, 1.1
	}
	list := []target{
		{"W1", tailcall, rps, 2, false}, {"W1", tailcall, cpu, 1, true},
		{"W2", tailcall, rps, 1.2, false}, {"W2", tailcall, cpu, 1, true},
		{"W3", constant, rps, 0.85, false},
		{"W4", baseline, rps, toBaseline, false}, {"W4", tailcall, rps, 3.5, false}, {"W4", mercurius, rps, 2, false},
		{"W6", baseline, rps, toBaseline, false}, {"W6", tailcall, rps, 3.5, false}, {"W6", mercurius, rps, 2, false},
		{"W5", baseline, rps, rest, false},
	}
	for _, w := range bench.Workloads {
		list = append(list, target{w.Name, baseline, p99, 1, true})
	}
	return list
}

// verdicts compares each veranda with its targets.
func (r *results) verdicts() []verdict {
	var out []verdict
	judge := func(name string, cached bool) {
		for _, t := range targets(cached) {
			if r.cell(t.workload, name) == nil {
				continue
			}
			v := verdict{text: fmt.Sprintf("%s %s: %s ÷ %s %s %.2f", t.workload, name, t.metric.name, t.against, map[bool]string{false: "≥", true: "≤"}[t.atMost], t.limit)}
			got, ok := r.ratio(t.metric, t.workload, name, t.against)
			v.got = fmt.Sprintf("%.2f", got)
			switch off := got/t.limit - 1; {
			case !ok:
				v.result, v.got = "not measured", "–"
			case r.noisy() && t.metric.name != cpu.name:
				v.result = "noise"
			case !t.atMost && off >= 0, t.atMost && off <= 0:
				v.result = "pass"
			case !t.atMost && off >= -tie, t.atMost && off <= tie:
				v.result = "tie"
			default:
				v.result = "miss"
			}
			out = append(out, v)
		}
	}
	for _, o := range r.ours {
		judge(o.name, o.cached)
	}
	absolute := func(text string, got, limit float64, unit string) {
		result := "pass"
		if got >= limit {
			result = "miss"
		}
		out = append(out, verdict{text, result, fmt.Sprintf("%.3g%s", got, unit)})
	}
	for _, o := range r.ours {
		peak := 0.0
		for _, c := range r.cells {
			if c.candidate == o.name {
				for _, x := range c.rounds {
					peak = max(peak, x.peak)
				}
			}
		}
		if peak > 0 {
			absolute(o.name+": peak memory under every load < 100 MiB", peak, 100, " MiB")
		}
		for _, m := range r.memory {
			if m.candidate == o.name {
				absolute(o.name+": peak memory after the distinct queries < 100 MiB", m.peak, 100, " MiB")
			}
		}
		for _, f := range r.fresh {
			if f.candidate == o.name {
				absolute(o.name+": reads after a write that miss it: none", float64(f.stale+f.failed), 1, fmt.Sprintf(" of %d", f.reads))
			}
		}
	}
	if ours, theirs := r.allocs["W4/"+veranda], r.allocs["W4/"+gqlgen]; ours > 0 && theirs > 0 {
		absolute("W4 allocations ÷ plain gqlgen's < 0.1", ours/theirs, 0.1, "")
	}
	return out
}

// noisy reports whether other programs used so much of the machine, or may
// have, that requests/s and latencies mean nothing; no target is judged by them.
func (r *results) noisy() bool { return !r.othersKnown || r.others > 0.1 }

// wrong returns the number of wrong responses from veranda.
func (r *results) wrong() int {
	n := 0
	for _, c := range r.cells {
		if slices.ContainsFunc(r.ours, func(o ours) bool { return o.name == c.candidate }) {
			for _, x := range c.rounds {
				n += x.wrong
			}
		}
	}
	return n
}

// runGoBenchmarks runs the benchmarks of package bench, writes their output to
// the named file, and reads the allocations from it.
func (r *results) runGoBenchmarks(ctx context.Context, name string) error {
	cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", ".", "-benchmem", "-count", "3", "-benchtime", "500ms", ".")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = io.MultiWriter(os.Stdout, &out), os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("go test -bench: %w", err)
	}
	r.allocs = map[string]float64{}
	for _, m := range regexp.MustCompile(`(?m)^Benchmark\w+/(W\d/[\w-]+?)(?:-\d+)?\s.*\s(\d+) allocs/op`).FindAllStringSubmatch(out.String(), -1) {
		r.allocs[m[1]], _ = strconv.ParseFloat(m[2], 64)
	}
	return os.WriteFile(name, out.Bytes(), 0o644)
}

// writeBenchstat writes a line for each round, in the format of benchstat.
func (r *results) writeBenchstat(name string) error {
	var b strings.Builder
	fmt.Fprintf(&b, "goos: linux\npkg: github.com/veranda-go/veranda/bench/load\nmachine: %s\n", r.machine)
	for _, c := range r.cells {
		for _, x := range c.rounds {
			fmt.Fprintf(&b, "BenchmarkLoad/%s/%s %d %.0f req/s %.0f p50-us %.0f p99-us %.1f cpu-us/req %.3f calls/req %.1f peak-MiB %d wrong %d errors\n",
				c.workload.Name, strings.ReplaceAll(c.candidate, "-", "_"), x.requests, x.rps, x.p50, x.p99, x.cpu, x.calls, x.peak, x.wrong, x.errors)
		}
	}
	return os.WriteFile(name, []byte(b.String()), 0o644)
}
