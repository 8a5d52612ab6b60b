package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/veranda-go/veranda/bench"
)

// wrkResult is the output of wrk.
type wrkResult struct {
	requests, errors int64
	duration         time.Duration
	p50, p99         float64 // microseconds
}

// script returns the Lua script for wrk. It builds all requests before the load
// begins, since building one costs as much as sending it.
func script(w bench.Workload, seed int64) string {
	var b strings.Builder
	text := func(s string) string { q, _ := json.Marshal(s); return strings.ReplaceAll(string(q), `\u0026`, "&") }
	method, path, body := w.Request(1)
	fmt.Fprintf(&b, "wrk.method, wrk.path = %q, %s\nwrk.headers['Content-Type'] = 'application/json'\n", method, text(path))
	if body != "" {
		fmt.Fprintf(&b, "wrk.body = %s\n", text(body))
	}
	if w.Pages > 0 {
		fmt.Fprintf(&b, "local all = {}\nfunction init()\n  math.randomseed(%d)\n  for page = 1, %d do\n", seed, w.Pages)
		// mark stands for the page, the only part in which the requests differ.
		const mark = 918273645
		_, path, body := w.Request(mark)
		split := func(s string) string {
			return strings.ReplaceAll(text(s), strconv.Itoa(mark), `" .. page .. "`)
		}
		if body == "" {
			fmt.Fprintf(&b, "    all[page] = wrk.format(nil, %s)\n", split(path))
		} else {
			fmt.Fprintf(&b, "    all[page] = wrk.format(nil, nil, nil, %s)\n", split(body))
		}
		fmt.Fprintf(&b, "  end\nend\nfunction request() return all[math.random(#all)] end\n")
	}
	b.WriteString(`function done(s, latency)
  local e = s.errors
  io.write(string.format("RESULT %d %d %d %d %d\n", s.requests, s.duration, latency:percentile(50), latency:percentile(99),
    e.connect + e.read + e.write + e.status + e.timeout))
end
`)
	return b.String()
}

var resultPattern = regexp.MustCompile(`RESULT (\d+) (\d+) (\d+) (\d+) (\d+)`)

func (h *harness) wrk(p *candidate, w bench.Workload, d time.Duration, seed int64) (wrkResult, error) {
	name := filepath.Join(h.dir, "load.lua")
	if err := os.WriteFile(name, []byte(script(w, seed)), 0o600); err != nil {
		return wrkResult{}, err
	}
	seconds := max(int(d.Round(time.Second).Seconds()), 1)
	args := []string{h.wrkPath, "-t1", "-c" + strconv.Itoa(w.Connections), "-d" + strconv.Itoa(seconds) + "s", "--timeout", "10s", "-s", name, p.url}
	if h.layout.client != "" {
		args = append([]string{"taskset", "-c", h.layout.client}, args...)
	}
	out, err := exec.CommandContext(h.ctx, args[0], args[1:]...).CombinedOutput()
	if err != nil {
		return wrkResult{}, fmt.Errorf("wrk: %w\n%s", err, out)
	}
	m := resultPattern.FindSubmatch(out)
	if m == nil {
		return wrkResult{}, fmt.Errorf("wrk: no result in\n%s", out)
	}
	var n [5]int64
	for i := range n {
		n[i], _ = strconv.ParseInt(string(m[i+1]), 10, 64)
	}
	return wrkResult{requests: n[0], duration: time.Duration(n[1]) * time.Microsecond, p50: float64(n[2]), p99: float64(n[3]), errors: n[4]}, nil
}
