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

// checks are what looking at a sample of answers found.
type checks struct {
	checked, wrong int
	firstWrong     string
}

// checkEvery is the pause between two checks: often enough to see what a load
// breaks, too seldom to be part of it.
const checkEvery = 20 * time.Millisecond

// check asks a candidate for random pages until ctx ends, and compares every
// answer in full with the backends' rows.
func (s *stage) check(ctx context.Context, p *candidate, w bench.Workload, seed int64) (c checks) {
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
		answer, err := s.ask(ctx, method, p.url+path, "application/json", body)
		if ctx.Err() != nil {
			return c
		}
		if err == nil {
			err = w.Check(s.data, page, answer)
		}
		c.checked++
		if err != nil {
			if c.wrong++; c.wrong == 1 {
				c.firstWrong = err.Error()
			}
		}
	}
}

// ask gives the body of an answer with status 200.
func (s *stage) ask(ctx context.Context, method, url, contentType, body string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	if body != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := s.client.Do(req)
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

// freshness is what asking right after writes found.
type freshness struct {
	candidate    string
	asked, stale int
	failed       int
}

// writers is how many write and ask at once when freshness is tried.
const writers = 8

// tryFreshness creates listings while W1 is loaded, and asks W1's own question
// right after each creation was acknowledged. The new listing must be there.
// The backends are as far away as W6's, so that reads take their time and a
// writer has every chance to be handed one that began before.
func (s *stage) tryFreshness(c config, r *results, all []*candidate) error {
	w := bench.Workloads[0]
	if err := s.delayBackend(bench.Workloads[5].DelayUS); err != nil {
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
					// Straight at the listing service, as another process would
					// write, or through the candidate where it can.
					fresh, err := s.writeThenRead(p, w, p.writes && i%2 == 1)
					if s.ctx.Err() != nil {
						return
					}
					mu.Lock()
					f.asked++
					if err != nil {
						f.failed++
					} else if !fresh {
						f.stale++
					}
					mu.Unlock()
				}
			})
		}
		_, err := s.wrk(p, w, c.fresh, 1)
		over.Store(true)
		wg.Wait()
		if err != nil {
			return err
		}
		r.fresh = append(r.fresh, f)
		fmt.Printf("fresh %-16s asked %d times right after a write: %d stale, %d failed\n", p.name, f.asked, f.stale, f.failed)
		if _, err := s.get(s.urls[0] + bench.ResetPath); err != nil {
			return err
		}
	}
	return s.delayBackend(0)
}

// writeThenRead creates a listing, and tells whether W1 shows it.
func (s *stage) writeThenRead(p *candidate, w bench.Workload, through bool) (fresh bool, err error) {
	target, contentType, form := s.urls[0]+"/listings", "application/x-www-form-urlencoded",
		url.Values{"user_id": {"7"}, "listing_type": {"rent"}, "price": {"6000"}}.Encode()
	if through {
		target, contentType, form = p.url+"/public-api/listings", "application/json", `{"user_id":7,"listing_type":"rent","price":6000}`
	}
	b, err := s.ask(s.ctx, "POST", target, contentType, form)
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
	if b, err = s.ask(s.ctx, method, p.url+path, "application/json", body); err != nil {
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
	// Others write too: a page may have moved on, past ours.
	return oldest > created.Listing.ID, nil
}

// memory is what many different queries left behind.
type memory struct {
	candidate string
	before    float64 // MiB after the first answers
	peak      float64
	failed    int64
}

// tryMemory sends queries that differ in their texts to a fresh process of
// each candidate that has an engine.
func (s *stage) tryMemory(c config, r *results, all []*candidate) error {
	for _, p := range all {
		if p.name == floor || p.name == constant {
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
				for n := next.Add(1); n <= int64(c.distinct) && s.ctx.Err() == nil; n = next.Add(1) {
					alias := "a" + strconv.FormatInt(n, 10)
					b, err := s.ask(s.ctx, "POST", fresh.url+"/graphql", "application/json",
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
		fmt.Printf("memory %-16s %4.0f MiB, after %d distinct queries at most %4.0f MiB (%d failed)\n", p.name, m.before, c.distinct, m.peak, m.failed)
	}
	return nil
}
