package seed

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/schollz/progressbar/v3"
)

const (
	redrawEvery = 100 * time.Millisecond
	lineEvery   = 5 * time.Second
)

// showProgress shows how many of n are done, from time to time and once more
// when the returned function is called.
func (c Config) showProgress(what string, n int, done *atomic.Int64) (stop func()) {
	if n == 0 {
		return func() {}
	}
	every, show := lineEvery, func() { fmt.Fprintf(c.Progress, "%s: %d of %d\n", what, done.Load(), n) }
	if c.Terminal {
		bar := progressbar.NewOptions(n, progressbar.OptionSetWriter(c.Progress), progressbar.OptionSetDescription(fmt.Sprintf("%-8s", what)),
			progressbar.OptionSetWidth(30), progressbar.OptionShowCount(), progressbar.OptionShowIts(), progressbar.OptionSetPredictTime(false),
			progressbar.OptionOnCompletion(func() { fmt.Fprintln(c.Progress) }))
		every, show = redrawEvery, func() { _ = bar.Set64(done.Load()) }
	}
	stopped := make(chan struct{})
	var shown sync.WaitGroup
	shown.Go(func() {
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
		shown.Wait()
		show()
	}
}
