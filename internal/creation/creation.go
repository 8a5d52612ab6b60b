// Package creation creates rows: many callers in one transaction, ids and times
// that rise in the order in which rows become visible, and one row for each
// idempotency key.
//
// A commit that waits for the disk costs the same for one row as for hundreds,
// so the creations that arrive during a commit gather, and share the next one.
// There is no timer: a lone creation is committed at once.
//
// The stores of backend/listings and backend/users create with it; packages
// sqlitedb and pgdb provide the transactions.
package creation

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/veranda-go/veranda/internal/apierror"
	"github.com/veranda-go/veranda/internal/broadcast"
	"github.com/veranda-go/veranda/internal/idempotency"
)

// ErrClosed is returned by Create after Close. Its kind is Unavailable.
var ErrClosed = apierror.New(apierror.Unavailable, "database is closed")

// maxGroup bounds the creations in one transaction, and so the longest wait.
const maxGroup = 1024

// Draft is the input of a creation.
type Draft[Row any] interface {
	// Digest returns equal texts for equal drafts, and only for those.
	Digest() string
	// Created returns the row that the draft becomes at a time in microseconds
	// since the Unix epoch.
	Created(id, at int64) Row
}

// Key is an idempotency key with the creation that used it first.
type Key struct {
	Key string
	// Digest is that of the draft.
	Digest string
	ID     int64
	// CreatedAt is in microseconds since the Unix epoch.
	CreatedAt int64
}

// Insert runs one transaction, during which nothing else creates rows in the
// same table, not even another process. It reserves n ids, calls decide, inserts
// the rows and keys that decide returns, and returns when they are on disk.
//
// at is now, or the newest row's time if that is later, so that a clock that is
// set back does not put new rows behind old ones. The reserved ids are
// consecutive, begin with firstID and are above all ids ever used. known has
// those of keys that are newer than at minus idempotency.Keep. n is at least 1;
// times are in microseconds since the Unix epoch.
type Insert[Row any] func(n int, keys []string, now int64,
	decide func(firstID, at int64, known map[string]Key) ([]Row, []Key)) error

// Creator creates the rows of one table. Make it with New.
type Creator[D Draft[Row], Row any] struct {
	// Now is the clock. Tests may replace it before the first Create.
	Now func() time.Time

	insert  Insert[Row]
	changed broadcast.Value[struct{}]

	mu      sync.Mutex
	queue   []*call[D, Row]
	closed  bool
	busy    bool // whether a goroutine commits the queue
	running sync.WaitGroup
}

type call[D, Row any] struct {
	ctx   context.Context
	draft D
	key   string

	done     chan struct{} // closed when the rest is set
	row      Row
	replayed bool
	err      error
}

// New returns a creator that inserts with insert.
func New[D Draft[Row], Row any](insert Insert[Row]) *Creator[D, Row] {
	return &Creator[D, Row]{Now: time.Now, insert: insert}
}

// Create creates a row and returns it when it is on disk. If key is neither ""
// nor new, it returns the row that the key's first creation made, as it was
// then, and replayed true; or idempotency.ErrMismatch if that had another draft.
//
// When ctx ends first, Create returns the context's error: a creation that is
// still in the queue is dropped, one that is being committed may yet succeed.
func (c *Creator[D, Row]) Create(ctx context.Context, draft D, key string) (row Row, replayed bool, err error) {
	if err := ctx.Err(); err != nil {
		return row, false, err
	}
	own := &call[D, Row]{ctx: ctx, draft: draft, key: key, done: make(chan struct{})}
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return row, false, ErrClosed
	}
	c.queue = append(c.queue, own)
	if !c.busy {
		c.busy = true
		c.running.Go(c.run)
	}
	c.mu.Unlock()
	select {
	case <-own.done:
		return own.row, own.replayed, own.err
	case <-ctx.Done():
		return row, false, ctx.Err()
	}
}

// Changed returns a channel that the next successful commit closes, before its
// calls of Create return.
func (c *Creator[D, Row]) Changed() <-chan struct{} {
	_, changed := c.changed.Load()
	return changed
}

// Close refuses new creations and waits until those in the queue are committed.
func (c *Creator[D, Row]) Close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.running.Wait()
}

// run commits until the queue is empty.
func (c *Creator[D, Row]) run() {
	for {
		c.mu.Lock()
		n := min(len(c.queue), maxGroup)
		if n == 0 {
			c.busy, c.queue = false, nil
			c.mu.Unlock()
			return
		}
		group := c.queue[:n:n]
		c.queue = c.queue[n:]
		c.mu.Unlock()
		group = slices.DeleteFunc(group, func(d *call[D, Row]) bool { return d.ctx.Err() != nil })
		if len(group) > 0 {
			c.commit(group)
		}
	}
}

// commit runs one transaction for group and ends its calls.
func (c *Creator[D, Row]) commit(group []*call[D, Row]) {
	var keys []string
	for _, d := range group {
		if d.key != "" {
			keys = append(keys, d.key)
		}
	}
	err := c.insert(len(group), keys, c.Now().UnixMicro(), func(firstID, at int64, known map[string]Key) (rows []Row, added []Key) {
		for _, d := range group {
			if k, ok := known[d.key]; !ok {
				id := firstID + int64(len(rows))
				d.row = d.draft.Created(id, at)
				rows = append(rows, d.row)
				if d.key != "" {
					known[d.key] = Key{d.key, d.draft.Digest(), id, at}
					added = append(added, known[d.key])
				}
			} else if d.draft.Digest() == k.Digest {
				d.row, d.replayed = d.draft.Created(k.ID, k.CreatedAt), true
			} else {
				d.err = idempotency.ErrMismatch
			}
		}
		return rows, added
	})
	if err == nil {
		c.changed.Publish(struct{}{})
	}
	for _, d := range group {
		if err != nil {
			var none Row
			d.row, d.replayed, d.err = none, false, err
		}
		close(d.done)
	}
}
