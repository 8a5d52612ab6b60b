package main

import (
	"encoding/xml"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/veranda-go/veranda/bench"
)

// doubled returns the results of a run in which the machine became twice as
// fast between the rounds.
func doubled() *results {
	r := &results{othersKnown: true, rounds: 2, ours: []ours{{veranda, false}}, allocs: map[string]float64{"W4/veranda": 100, "W4/gqlgen": 2000}}
	w4 := bench.Workloads[3]
	for _, drift := range []float64{1, 2} {
		for name, speed := range map[string]float64{veranda: 650, baseline: 1000, tailcall: 200} {
			r.add(w4, name, sample{rps: speed * drift, p99: 1e6 / speed / drift, cpu: 1e5 / speed / drift, peak: 40})
		}
	}
	r.fresh = []freshness{{candidate: veranda, reads: 10, stale: 1}}
	return r
}

func TestVerdicts(t *testing.T) {
	t.Parallel()
	r := doubled()
	got := map[string]string{}
	for _, v := range r.verdicts() {
		got[v.text] = v.got + " " + v.result
	}
	for text, want := range map[string]string{
		"W4 veranda: requests/s ÷ baseline ≥ 0.60":        "0.65 pass",
		"W4 veranda: requests/s ÷ tailcall ≥ 3.50":        "3.25 tie",
		"W4 veranda: p99 ÷ baseline ≤ 1.00":               "1.54 miss",
		"veranda: peak memory under every load < 100 MiB": "40 MiB pass",
		"veranda: reads after a write that miss it: none": "1 of 10 miss",
		"W4 allocations ÷ plain gqlgen's < 0.1":           "0.05 pass",
	} {
		if got[text] != want {
			t.Errorf("%s: %q, want %q", text, got[text], want)
		}
	}
	r.ours[0].cached = true
	for _, v := range r.verdicts() {
		if v.text == "W4 veranda: requests/s ÷ baseline ≥ 1.00" && v.result == "miss" {
			return
		}
	}
	t.Error("with the cache, the same speed is not a miss")
}

// TestNoiseIsNotJudged: no target passes or fails by times measured on a busy
// machine, and such results are published only with -busy.
func TestNoiseIsNotJudged(t *testing.T) {
	t.Parallel()
	for _, others := range []struct {
		cores float64
		known bool
	}{{1.1, true}, {0, false}} {
		r := doubled()
		r.others, r.othersKnown = others.cores, others.known
		for _, v := range r.verdicts() {
			timed := strings.Contains(v.text, rps.name) || strings.Contains(v.text, p99.name)
			if timed && v.result != "noise" && v.result != "not measured" || !timed && v.result == "noise" {
				t.Errorf("%+v: the verdict on %s is %s", others, v.text, v.result)
			}
		}
		page := filepath.Join(t.TempDir(), "page.md")
		if err := os.WriteFile(page, []byte("a\n"+begin+"old"+end+"\nz\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		publish := func(busy bool) string {
			err := r.publish(page, filepath.Join(t.TempDir(), "plot.svg"), t.TempDir(), t.TempDir(), busy)
			if (err == nil) != busy {
				t.Errorf("publish: %v", err)
			}
			text, _ := os.ReadFile(page)
			return string(text)
		}
		if text := publish(false); !strings.Contains(text, begin+"old"+end) {
			t.Errorf("published in spite of the noise: %s", text)
		}
		if text := publish(true); strings.Contains(text, "old") || !strings.Contains(text, "are noise") || !strings.HasPrefix(text, "a\n") || !strings.HasSuffix(text, "\nz\n") {
			t.Errorf("published: %s", text)
		}
	}
}

func TestOtherCores(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		busy, own time.Duration
		cores     float64
		ok        bool
	}{
		{15 * time.Second, 5 * time.Second, 1, true},
		{5 * time.Second, 5 * time.Second, 0, true},
		{49 * time.Second / 10, 5 * time.Second, 0, true}, // rounding
		{5 * time.Second, 9 * time.Second, 0, false},      // not all cores were counted
	} {
		if cores, ok := otherCores(test.busy, test.own, 10*time.Second); cores != test.cores || ok != test.ok {
			t.Errorf("busy %s, own %s: %.2f, %t, want %.2f, %t", test.busy, test.own, cores, ok, test.cores, test.ok)
		}
	}
}

func TestPlotIsXML(t *testing.T) {
	t.Parallel()
	plot := doubled().plot()
	for d := xml.NewDecoder(strings.NewReader(plot)); ; {
		if _, err := d.Token(); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if strings.Count(strings.ReplaceAll(plot, "http://www.w3.org/2000/svg", ""), "http") > 0 {
		t.Error("the plot names a host")
	}
	if n := strings.Count(plot, "requests/s</title>"); n != 3 {
		t.Errorf("%d dots, want 3", n)
	}
}

func TestScript(t *testing.T) {
	t.Parallel()
	for i, want := range []string{
		`wrk.body = "{\"query\":\"{listings(pageNum:1,pageSize:100){id price user{id name}}}\"}"`, "", "",
		`wrk.format(nil, nil, nil, "{\"query\":\"query($n:Int!,$s:Int!){listings(pageNum:$n,pageSize:$s){id price user{id name}}}\",\"variables\":{\"n\":" .. page .. ",\"s\":20}}")`,
		`wrk.format(nil, "/public-api/listings?page_num=" .. page .. "&page_size=20")`,
	} {
		if got := script(bench.Workloads[i], 7); !strings.Contains(got, want) {
			t.Errorf("%s:\n%s\nhas no %s", bench.Workloads[i].Name, got, want)
		}
	}
}

func TestFurtherCandidates(t *testing.T) {
	t.Parallel()
	var c config
	for _, err := range []error{
		c.addVariant("large=--user-cache-size 10 --debug"),
		c.addBinary("before=/tmp/veranda"),
		c.addBinary("std=/tmp/veranda --http=std"),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	want := []further{
		{"large", "veranda", []string{"--user-cache-size", "10", "--debug"}},
		{"before", "/tmp/veranda", []string{}},
		{"std", "/tmp/veranda", []string{"--http=std"}},
	}
	if !reflect.DeepEqual(c.further, want) {
		t.Errorf("got %q, want %q", c.further, want)
	}
	for _, wrong := range []string{"", "/tmp/veranda", "before=", "before=veranda", "=/tmp/veranda"} {
		if c.addBinary(wrong) == nil {
			t.Errorf("-binary %q is accepted", wrong)
		}
	}
}
