package listings

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/veranda-go/veranda/internal/httpapi"
	"github.com/veranda-go/veranda/internal/pagination"
)

// MaxWait is the longest that a feed may be asked to wait.
const MaxWait = 20 * time.Second

const (
	// answerTime is left of a request's deadline when waiting ends.
	answerTime = time.Second
	// pollEvery is how soon the creations of other processes are noticed.
	pollEvery = 200 * time.Millisecond
)

func (h *Handler) feed(w http.ResponseWriter, r *http.Request) error {
	p, err := httpapi.Query(r)
	if err != nil {
		return err
	}
	after, userID := p.IntOrZero("after", -1), p.Int("user_id", 0)
	size := p.Int("page_size", pagination.DefaultSize)
	p.Check(pagination.ValidateSize("page_size", size, h.maxPageSize))
	wait := p.IntOrZero("wait", 0)
	if wait > MaxWait.Milliseconds() {
		p.Problem("wait", "must be at most "+strconv.FormatInt(MaxWait.Milliseconds(), 10))
	}
	if err := p.Err(); err != nil {
		return err
	}
	found, err := h.await(r.Context(), after, userID, size, time.Duration(wait)*time.Millisecond)
	if err != nil {
		return err
	}
	writeList(w, found.Listings, func(b []byte) []byte {
		return strconv.AppendInt(append(b, `,"last_id":`...), found.LastID, 10)
	})
	return nil
}

// await looks for rows until there are some, wait is over, or the server is
// about to stop.
func (h *Handler) await(ctx context.Context, after, userID, size int64, wait time.Duration) (Feed, error) {
	if deadline, ok := ctx.Deadline(); ok {
		wait = min(wait, time.Until(deadline)-answerTime)
	}
	waiting, stop := context.WithTimeout(ctx, max(wait, 0))
	defer stop()
	defer context.AfterFunc(httpapi.Draining(ctx), stop)()
	for {
		found, err := h.store.Feed(ctx, after, userID, size)
		if err != nil || after < 0 || len(found.Listings) > 0 || !h.news.waitFor(waiting, found.LastID) {
			return found, err
		}
		after = found.LastID // others' rows need not be looked at again
	}
}

// news tells any number of waiting requests when listings were created, for
// the price of one reader. It asks nothing while nobody waits.
type news struct {
	store Store

	mu      sync.Mutex
	waiting int
	stop    context.CancelFunc
	newest  int64         // the highest id there is
	rise    chan struct{} // closed when newest rises
}

// waitFor returns true when there are listings with ids above id, and false
// when ctx ends first.
func (n *news) waitFor(ctx context.Context, id int64) bool {
	if ctx.Err() != nil {
		return false
	}
	n.mu.Lock()
	if n.waiting++; n.waiting == 1 {
		var watching context.Context
		watching, n.stop = context.WithCancel(context.Background())
		n.rise = make(chan struct{})
		go n.watch(watching)
	}
	for n.newest <= id && ctx.Err() == nil {
		rise := n.rise
		n.mu.Unlock()
		select {
		case <-rise:
		case <-ctx.Done():
		}
		n.mu.Lock()
	}
	risen := n.newest > id
	if n.waiting--; n.waiting == 0 {
		n.stop()
	}
	n.mu.Unlock()
	return risen
}

// watch looks for new listings until ctx ends.
func (n *news) watch(ctx context.Context) {
	poll := time.NewTicker(pollEvery)
	defer poll.Stop()
	for {
		// Before the look: what is created after it must not go unnoticed.
		changed := n.store.Changed()
		if feed, err := n.store.Feed(ctx, -1, 0, 1); err == nil { // else the next look may succeed
			n.mu.Lock()
			if ctx.Err() == nil {
				if feed.LastID > n.newest {
					close(n.rise)
					n.rise = make(chan struct{})
				}
				n.newest = feed.LastID // it falls if rows are removed by hand
			}
			n.mu.Unlock()
		}
		select {
		case <-changed:
		case <-poll.C:
		case <-ctx.Done():
			return
		}
	}
}
