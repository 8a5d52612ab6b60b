package seed

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	redrawEvery = 100 * time.Millisecond
	lineEvery   = 5 * time.Second
	barWidth    = 30
)

// showProgress tells how many of n are done, from time to time and once more
// when the returned function is called.
func (c Config) showProgress(what string, n int, done *atomic.Int64) (stop func()) {
	if n == 0 {
		return func() {}
	}
	start := time.Now()
	every := lineEvery
	show := func() {
		fmt.Fprintf(c.Progress, "%s: %d of %d\n", what, done.Load(), n)
	}
	if c.Terminal {
		every = redrawEvery
		show = func() {
			d := int(done.Load())
			full := d * barWidth / n
			// \r goes back to the start of the line and \x1b[K clears the rest.
			fmt.Fprintf(c.Progress, "\r%-8s [%s%s] %d of %d, %.0f per second\x1b[K", what,
				strings.Repeat("#", full), strings.Repeat("-", barWidth-full), d, n, float64(d)/time.Since(start).Seconds())
		}
	}
	stopped := make(chan struct{})
	var drawing sync.WaitGroup
	drawing.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				show()
			case <-stopped:
				return
			}
		}
	})
	return func() {
		close(stopped)
		drawing.Wait()
		show()
		if c.Terminal {
			fmt.Fprintln(c.Progress)
		}
	}
}
