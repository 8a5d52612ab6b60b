package main

import (
	"fmt"
	"time"

	"github.com/veranda-go/veranda/bench"
)

// measured is one point of the cost model.
type measured struct {
	rows, connections, delayUS int
	sample
}

// measureModel loads veranda with W4 and varies rows, connections and latency,
// one at a time.
func (h *harness) measureModel(c config, r *results, all []*candidate) error {
	base := bench.Workloads[3]
	base.Name = "model"
	var points []bench.Workload
	for _, rows := range []int{1, 5, 20, 50, 100} {
		w := base
		w.Size, w.Pages = rows, min(base.Pages, listings/rows)
		points = append(points, w)
	}
	for _, connections := range []int{1, 10, 400} {
		w := base
		w.Connections = connections
		points = append(points, w)
	}
	for _, delay := range []int{1000, 5000, 20000} {
		w := base
		w.DelayUS = delay
		points = append(points, w)
	}
	for _, p := range all {
		if p.name != veranda {
			continue
		}
		for i, w := range points {
			if err := h.delayBackend(w.DelayUS); err != nil {
				return err
			}
			x, err := h.load(p, w, max(c.seconds/2, time.Second), int64(i)+100)
			if err != nil {
				return err
			}
			r.model = append(r.model, measured{w.Size, w.Connections, w.DelayUS, x})
			fmt.Printf("model %3d rows %3d connections %5.1f ms delay: %8.0f req/s  p50 %6.2f ms  cpu %6.1f us/req  calls %5.2f/req\n",
				w.Size, w.Connections, float64(w.DelayUS)/1000, x.rps, x.p50/1000, x.cpu, x.calls)
		}
	}
	return h.delayBackend(0)
}

// perRow fits cpu = fixed + row × rows to the points that differ in rows only.
func (r *results) perRow() (fixed, row float64, ok bool) {
	var n, sx, sy, sxx, sxy float64
	for _, p := range r.model {
		if p.connections != bench.Workloads[3].Connections || p.delayUS != 0 {
			continue
		}
		x := float64(p.rows)
		n, sx, sy, sxx, sxy = n+1, sx+x, sy+p.cpu, sxx+x*x, sxy+x*p.cpu
	}
	if n < 3 {
		return 0, 0, false
	}
	row = (n*sxy - sx*sy) / (n*sxx - sx*sx)
	return (sy - row*sx) / n, row, true
}
