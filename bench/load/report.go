package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// print writes all tables in Markdown.
func (r *results) print(w io.Writer) {
	fmt.Fprintf(w, "\n%s", r.tables())
}

func (r *results) tables() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Machine: %s. %s Medians of %d rounds of %s, alternating between the candidates.\n\n", r.machine, r.layout, r.rounds, r.seconds)
	const noise = "requests/s and latencies are noise and ratios of CPU per request are rough; calls, memory, freshness, wrong responses and allocations are valid"
	switch {
	case !r.othersKnown:
		fmt.Fprintf(&b, "It is unknown how busy other programs kept the cores meanwhile: assume that %s.\n\n", noise)
	case r.noisy():
		fmt.Fprintf(&b, "Other programs kept %.1f cores busy meanwhile: %s.\n\n", r.others, noise)
	default:
		fmt.Fprintf(&b, "Other programs kept %.2f cores busy meanwhile.\n\n", r.others)
	}
	for _, n := range r.notes {
		fmt.Fprintf(&b, "- %s\n", n)
	}
	if len(r.notes) > 0 {
		b.WriteByte('\n')
	}

	table(&b, "| workload | candidate | requests/s | p50 ms | p99 ms | CPU µs/request | backend calls/request | peak MiB | responses checked | wrong | failed |")
	for _, c := range r.cells {
		checked, wrong, failed := 0, 0, int64(0)
		for _, x := range c.rounds {
			checked, wrong, failed = checked+x.checked, wrong+x.wrong, failed+x.errors
		}
		m := c.median
		fmt.Fprintf(&b, "| %s | %s | %.0f | %.2f | %.2f | %.1f | %.2f | %.0f | %d | %d | %d |\n", c.workload.Name, c.candidate,
			m(rps.of), m(func(x sample) float64 { return x.p50 })/1000, m(p99.of)/1000, m(cpu.of),
			m(func(x sample) float64 { return x.calls }), m(func(x sample) float64 { return x.peak }), checked, wrong, failed)
	}

	if r.has(veranda) {
		r.ratios(&b, rps)
		r.ratios(&b, cpu)
	}
	if v := r.verdicts(); len(v) > 0 {
		b.WriteString("\nTargets. A tie misses by less than 15 %; noise is not judged, since the machine was busy:\n\n")
		table(&b, "| target | got | |")
		for _, v := range v {
			fmt.Fprintf(&b, "| %s | %s | %s |\n", v.text, v.got, v.result)
		}
	}
	if len(r.allocs) > 0 {
		b.WriteString("\nAllocations of one request through the whole layer, with backends in the same process (Go benchmarks):\n\n")
		names := slices.Collect(maps.Keys(r.allocs))
		slices.Sort(names)
		table(&b, "| workload/candidate | allocations |")
		for _, name := range names {
			fmt.Fprintf(&b, "| %s | %.0f |\n", name, r.allocs[name])
		}
	}
	if len(r.fresh) > 0 {
		b.WriteString("\nReads right after an acknowledged write, under the load of W1 with backends that take 5 ms:\n\n")
		table(&b, "| candidate | reads | stale | failed |")
		for _, f := range r.fresh {
			fmt.Fprintf(&b, "| %s | %d | %d | %d |\n", f.candidate, f.reads, f.stale, f.failed)
		}
	}
	if len(r.memory) > 0 {
		b.WriteString("\nPeak memory of a fresh process, at the start and after many distinct queries:\n\n")
		table(&b, "| candidate | at the start | after | failed |")
		for _, m := range r.memory {
			fmt.Fprintf(&b, "| %s | %.0f MiB | %.0f MiB | %d |\n", m.candidate, m.before, m.peak, m.failed)
		}
	}
	if len(r.model) > 0 {
		b.WriteString("\nVeranda under W4, one parameter varied at a time:\n\n")
		table(&b, "| rows | connections | backends take | requests/s | p50 ms | CPU µs/request | calls/request |")
		for _, m := range r.model {
			fmt.Fprintf(&b, "| %d | %d | %.0f ms | %.0f | %.2f | %.1f | %.2f |\n", m.rows, m.connections, float64(m.delayUS)/1000, m.rps, m.p50/1000, m.cpu, m.calls)
		}
		if fixed, row, ok := r.perRow(); ok {
			fmt.Fprintf(&b, "\nCPU per request ≈ %.0f µs + %.2f µs × rows (least squares over the rows above), so one core of the gateway is saturated at %.0f requests/s of 20 rows.\n",
				fixed, row, 1e6/(fixed+20*row))
		}
	}
	return b.String()
}

// ratios writes a table of veranda's numbers divided by the others'.
func (r *results) ratios(b *strings.Builder, m metric) {
	var others []string
	for _, c := range r.cells {
		if c.candidate != veranda && !strings.Contains(" "+strings.Join(others, " ")+" ", " "+c.candidate+" ") {
			others = append(others, c.candidate)
		}
	}
	if len(others) == 0 {
		return
	}
	fmt.Fprintf(b, "\n%s, veranda's ÷ the other candidate's, medians over the rounds (≈ is a tie):\n\n", m.name)
	table(b, "| workload | ÷ "+strings.Join(others, " | ÷ ")+" |")
	for _, c := range r.cells {
		if c.candidate != veranda {
			continue
		}
		fmt.Fprintf(b, "| %s |", c.workload.Name)
		for _, o := range others {
			x, ok := r.ratio(m, c.workload.Name, veranda, o)
			switch {
			case !ok:
				b.WriteString(" – |")
			case x > 1-tie && x < 1+tie:
				fmt.Fprintf(b, " ≈ %.2f |", x)
			default:
				fmt.Fprintf(b, " %.2f |", x)
			}
		}
		b.WriteByte('\n')
	}
}

// table writes the head of a Markdown table.
func table(b *strings.Builder, head string) {
	fmt.Fprintf(b, "%s\n|%s\n", head, strings.Repeat(" --- |", strings.Count(head, "|")-1))
}

// Marks of the part of the page that publish writes.
const (
	begin = "<!-- bench:begin -->"
	end   = "<!-- bench:end -->"
)

// publish writes the tables to the page, and the plot and the raw results to
// their files. It refuses the results of a busy machine, unless busy is set.
func (r *results) publish(page, plot, results, raw string, busy bool) error {
	if r.noisy() && !busy {
		return errors.New("not published, since other programs kept the machine busy (-busy publishes anyway); the results are in " + raw)
	}
	text, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	before, rest, ok1 := strings.Cut(string(text), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok1 || !ok2 {
		return fmt.Errorf("%s has no %s … %s", page, begin, end)
	}
	if err := os.MkdirAll(results, 0o755); err != nil {
		return err
	}
	for _, name := range []string{goResults, loadResults} {
		b, err := os.ReadFile(filepath.Join(raw, name))
		if errors.Is(err, fs.ErrNotExist) { // -go=false
			continue
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(results, name), b, 0o644)
		}
		if err != nil {
			return err
		}
	}
	if err := os.WriteFile(plot, []byte(r.plot()), 0o644); err != nil {
		return err
	}
	picture := "\n![Requests per second by workload](" + filepath.Base(plot) + ")\n"
	return os.WriteFile(page, []byte(before+begin+"\n"+r.tables()+picture+end+after), 0o644)
}
