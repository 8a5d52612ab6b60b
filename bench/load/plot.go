package main

import (
	"fmt"
	"html"
	"math"
	"slices"
	"strings"

	"github.com/veranda-go/veranda/bench"
)

// colors differ in lightness too, for readers with color blindness; each dot
// has its candidate's name in a title.
var colors = map[string]string{
	veranda: "#0b5394", verandaCache: "#6fa8dc", baseline: "#38761d", constant: "#999999", gqlgen: "#cc0000", tailcall: "#e69138", mercurius: "#674ea7",
}

// plot returns an SVG of the requests per second, a line for each workload, on
// a logarithmic scale. It loads no font and nothing from another host.
func (r *results) plot() string {
	const left, right, top, rowHeight, width = 60, 30, 60, 46, 860
	var workloads, names []string
	lowest, highest := math.Inf(1), 0.0
	for _, c := range r.cells {
		if !slices.Contains(workloads, c.workload.Name) {
			workloads = append(workloads, c.workload.Name)
		}
		if !slices.Contains(names, c.candidate) {
			names = append(names, c.candidate)
		}
		v := c.median(rps.of)
		lowest, highest = min(lowest, max(v, 1)), max(highest, v)
	}
	from, to := math.Floor(math.Log10(lowest)), math.Ceil(math.Log10(highest))
	to = max(to, from+1)
	x := func(v float64) float64 {
		return left + (math.Log10(max(v, 1))-from)/(to-from)*(width-left-right)
	}
	bottom := top + rowHeight*len(workloads)

	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="13">`+"\n", width, bottom+50)
	fmt.Fprintf(&b, `<title>Requests per second by workload</title><rect width="%d" height="%d" fill="#fff"/>`+"\n", width, bottom+50)
	for i, name := range names {
		color := colorOf(name)
		fmt.Fprintf(&b, `<circle cx="%d" cy="20" r="6" fill="%s"/><text x="%d" y="25">%s</text>`+"\n", left+i*115, color, left+10+i*115, html.EscapeString(name))
	}
	for e := from; e <= to; e++ {
		v := math.Pow(10, e)
		fmt.Fprintf(&b, `<line x1="%.1f" x2="%.1f" y1="%d" y2="%d" stroke="#ddd"/><text x="%.1f" y="%d" text-anchor="middle" fill="#555">%.0f</text>`+"\n",
			x(v), x(v), top-15, bottom, x(v), bottom+18, v)
	}
	fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="middle" fill="#555">requests per second, logarithmic; further right is better</text>`+"\n", (width+left)/2, bottom+38)
	for i, w := range workloads {
		y := top + rowHeight*i + rowHeight/2 - 10
		fmt.Fprintf(&b, `<text x="15" y="%d" font-weight="bold">%s</text><line x1="%d" x2="%d" y1="%d" y2="%d" stroke="#bbb"/>`+"\n", y+5, w, left, width-right, y, y)
		for _, c := range r.cells {
			if c.workload.Name == w {
				v := c.median(rps.of)
				fmt.Fprintf(&b, `<circle cx="%.1f" cy="%d" r="7" fill="%s" fill-opacity=".85" stroke="#fff"><title>%s %s (%s): %.0f requests/s</title></circle>`+"\n",
					x(v), y, colorOf(c.candidate), w, html.EscapeString(c.candidate), html.EscapeString(about(w)), v)
			}
		}
	}
	b.WriteString("</svg>\n")
	return b.String()
}

func colorOf(candidate string) string {
	if c, ok := colors[candidate]; ok {
		return c
	}
	return "#c27ba0" // of -variant or -binary
}

func about(workload string) string {
	for _, w := range bench.Workloads {
		if w.Name == workload {
			return w.About
		}
	}
	return ""
}
