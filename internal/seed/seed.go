// Package seed fills a running system with demo data: users with names from
// many countries and listings at prices of Singapore and Indonesia. It is a
// client like any other and uses the public routes alone; cmd/veranda has its
// flags.
package seed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/schollz/progressbar/v3"
)

// inFlight is the number of concurrent requests. The backends commit in groups
// what arrives at the same time, so on a slow disk the rate rises with it. On a
// fast one it was the same from 32 to 400.
const inFlight = 128

// Config has the settings of a run.
type Config struct {
	// PublicURL is the public layer: http://host:port.
	PublicURL string
	// Users and Listings are the numbers to create. Listings need at least one
	// user.
	Users, Listings int
	// Progress is where the run reports its progress.
	Progress io.Writer
	// Terminal shows a bar instead of lines.
	Terminal bool
}

// Check returns an error that says what is wrong with the configuration.
func (c Config) Check() error {
	u, err := url.Parse(c.PublicURL)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "":
		return errors.New("public URL: must look like http://host:port")
	case c.Users < 0 || c.Listings < 0:
		return errors.New("users and listings: must not be negative")
	case c.Listings > 0 && c.Users == 0:
		return errors.New("users: must be at least 1 when there are listings")
	}
	return nil
}

// Result counts the acknowledged creations of a run.
type Result struct {
	Users, Listings int
	Took            time.Duration
}

// String returns a summary in one line.
func (r Result) String() string {
	rate := 0.0
	if s := r.Took.Seconds(); s > 0 {
		rate = float64(r.Users+r.Listings) / s
	}
	return fmt.Sprintf("created %d users and %d listings in %.1f s (%.0f per second)", r.Users, r.Listings, r.Took.Seconds(), rate)
}

// Run creates users and then their listings, until all are created, a creation
// fails, or ctx ends. The result is right in each case: Run waits for the
// requests in flight when it stops.
func Run(ctx context.Context, c Config) (res Result, err error) {
	if err := c.Check(); err != nil {
		return Result{}, err
	}
	cl := newClient(c.PublicURL)
	defer cl.http.CloseIdleConnections()
	start := time.Now()
	ids, from := make([]int64, c.Users), origins()
	res.Users, err = c.each(ctx, "users", c.Users, func(ctx context.Context, i int) (err error) {
		ids[i], err = cl.create(ctx, "/public-api/users", user{from[i%len(from)].name()})
		return err
	})
	if err == nil {
		res.Listings, err = c.each(ctx, "listings", c.Listings, func(ctx context.Context, _ int) error {
			owner := pickOwner(len(ids))
			_, err := cl.create(ctx, "/public-api/listings", markets[from[owner%len(from)].Market].listing(ids[owner]))
			return err
		})
	}
	res.Took = time.Since(start)
	return res, err
}

// each calls do with 0 to n-1, many at once, until one fails or ctx ends, and
// returns how many succeeded.
func (c Config) each(ctx context.Context, what string, n int, do func(context.Context, int) error) (int, error) {
	if n == 0 {
		return 0, nil
	}
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	var next, done atomic.Int64
	stopProgress := c.showProgress(what, n, &done)
	var workers sync.WaitGroup
	for range min(inFlight, n) {
		workers.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if err := do(ctx, i); err != nil {
					fail(err)
					return
				}
				done.Add(1)
			}
		})
	}
	workers.Wait()
	stopProgress()
	if int(done.Load()) == n {
		return n, nil // even if ctx ended during the last requests
	}
	return int(done.Load()), context.Cause(ctx)
}

// showProgress shows how many of n are done, until the returned function is
// called: in a bar on a terminal, otherwise in a line from time to time.
func (c Config) showProgress(what string, n int, done *atomic.Int64) (stop func()) {
	every, show := 5*time.Second, func() { fmt.Fprintf(c.Progress, "%s: %d of %d\n", what, done.Load(), n) }
	if c.Terminal {
		bar := progressbar.NewOptions(n, progressbar.OptionSetWriter(c.Progress), progressbar.OptionSetDescription(fmt.Sprintf("%-8s", what)),
			progressbar.OptionSetWidth(30), progressbar.OptionShowCount(), progressbar.OptionShowIts(), progressbar.OptionSetPredictTime(false),
			progressbar.OptionOnCompletion(func() { fmt.Fprintln(c.Progress) }))
		every, show = 100*time.Millisecond, func() { _ = bar.Set64(done.Load()) }
	}
	stopped := make(chan struct{})
	go func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				show()
			case stopped <- struct{}{}:
				return
			}
		}
	}()
	return func() {
		<-stopped
		show()
	}
}
