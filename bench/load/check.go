package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/veranda-go/veranda/bench"
)

// checks counts the checked responses of a sample.
type checks struct {
	checked, wrong int
	firstWrong     string
}

// checkEvery is the interval of checks: short enough to see what load breaks,
// too long to add to the load.
const checkEvery = 20 * time.Millisecond

// check requests random pages until ctx ends, and compares each response in
// full with the backends' rows.
func (h *harness) check(ctx context.Context, p *candidate, w bench.Workload, seed int64) (c checks) {
	random := rand.New(rand.NewPCG(uint64(seed), 1))
	tick := time.NewTicker(checkEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return c
		case <-tick.C:
		}
		page := 1 + random.IntN(max(w.Pages, 1))
		method, path, body := w.Request(page)
		response, err := h.request(ctx, method, p.url+path, "application/json", body)
		if ctx.Err() != nil {
			return c
		}
		if err == nil {
			err = w.Check(h.data, page, response)
		}
		c.checked++
		if err != nil {
			if c.wrong++; c.wrong == 1 {
				c.firstWrong = err.Error()
			}
		}
	}
}

// request returns the body of a response with status 200; other statuses are
// errors.
func (h *harness) request(ctx context.Context, method, url, contentType, body string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	if body != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := h.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d: %.200s", resp.StatusCode, b)
	}
	return b, err
}

// freshness counts the reads right after a write.
type freshness struct {
	candidate            string
	reads, stale, failed int
}

// writers is the number of concurrent writers of the freshness test.
const writers = 8

// tryFreshness creates listings under the load of W1, and sends W1's own query
// as soon as each creation is acknowledged. The response must have the new
// listing. The backends are as slow as in W6, so that a read that began before
// the write is likely to be in flight still.
func (h *harness) tryFreshness(c config, r *results, all []*candidate) error {
	w := bench.Workloads[0]
	if err := h.delayBackend(bench.Workloads[5].DelayUS); err != nil {
		return err
	}
	for _, p := range all {
		if !named(p.workloads, w.Name) {
			continue
		}
		f := freshness{candidate: p.name}
		var mu sync.Mutex
		var wg sync.WaitGroup
		var over atomic.Bool
		for i := range writers {
			wg.Go(func() {
				for !over.Load() {
					// Directly at the listing service, as another process would
					// write, or through a candidate that can.
					fresh, err := h.writeThenRead(p, w, p.writes && i%2 == 1)
					if h.ctx.Err() != nil {
						return
					}
					mu.Lock()
					f.reads++
					if err != nil {
						f.failed++
					} else if !fresh {
						f.stale++
					}
					mu.Unlock()
				}
			})
		}
		_, err := h.wrk(p, w, c.fresh, 1)
		over.Store(true)
		wg.Wait()
		if err != nil {
			return err
		}
		r.fresh = append(r.fresh, f)
		fmt.Printf("fresh %-16s %d reads right after a write: %d stale, %d failed\n", p.name, f.reads, f.stale, f.failed)
		if _, err := h.get(h.urls[0] + bench.ResetPath); err != nil {
			return err
		}
	}
	return h.delayBackend(0)
}

// writeThenRead creates a listing, and reports whether W1's response has it.
func (h *harness) writeThenRead(p *candidate, w bench.Workload, through bool) (fresh bool, err error) {
	target, contentType, form := h.urls[0]+"/listings", "application/x-www-form-urlencoded",
		url.Values{"user_id": {"7"}, "listing_type": {"rent"}, "price": {"6000"}}.Encode()
	if through {
		target, contentType, form = p.url+"/public-api/listings", "application/json", `{"user_id":7,"listing_type":"rent","price":6000}`
	}
	b, err := h.request(h.ctx, "POST", target, contentType, form)
	if err != nil {
		return false, err
	}
	var created struct {
		Listing struct{ ID int64 }
	}
	if err := json.Unmarshal(b, &created); err != nil {
		return false, err
	}
	method, path, body := w.Request(1)
	if b, err = h.request(h.ctx, method, p.url+path, "application/json", body); err != nil {
		return false, err
	}
	var page struct {
		Data struct {
			Listings []struct{ ID any }
		}
	}
	if err := json.Unmarshal(b, &page); err != nil || len(page.Data.Listings) == 0 {
		return false, fmt.Errorf("no listings in %.200s", b)
	}
	oldest := int64(0)
	for _, l := range page.Data.Listings {
		if oldest, err = strconv.ParseInt(fmt.Sprint(l.ID), 10, 64); err != nil {
			return false, err
		}
		if oldest == created.Listing.ID {
			return true, nil
		}
	}
	// The other writers' listings may have moved it off the page.
	return oldest > created.Listing.ID, nil
}

// memory is a process's peak memory before and after many distinct queries.
type memory struct {
	candidate    string
	before, peak float64 // MiB
	failed       int64
}

// tryMemory sends distinct queries to a fresh process of each candidate that
// parses queries.
func (h *harness) tryMemory(c config, r *results, all []*candidate) error {
	for _, p := range all {
		if p.name == baseline || p.name == constant {
			continue
		}
		fresh, err := p.fresh()
		if err != nil {
			return err
		}
		m := memory{candidate: p.name, before: fresh.peak()}
		var next, failed atomic.Int64
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				for n := next.Add(1); n <= int64(c.distinct) && h.ctx.Err() == nil; n = next.Add(1) {
					alias := "a" + strconv.FormatInt(n, 10)
					b, err := h.request(h.ctx, "POST", fresh.url+"/graphql", "application/json",
						`{"query":"{`+alias+`:__typename listings(pageNum:1,pageSize:1){`+alias+`:id}}"}`)
					if err != nil || !strings.Contains(string(b), alias) || strings.Contains(string(b), `"errors"`) {
						failed.Add(1)
					}
				}
			})
		}
		wg.Wait()
		m.peak, m.failed = fresh.peak(), failed.Load()
		fresh.end()
		r.memory = append(r.memory, m)
		fmt.Printf("memory %-16s %4.0f MiB, after %d distinct queries %4.0f MiB (%d failed)\n", p.name, m.before, c.distinct, m.peak, m.failed)
	}
	return nil
}
