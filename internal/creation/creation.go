// Package creation creates rows: many callers in one transaction, ids and times
// that rise in the order in which rows become visible, and one row for each
// idempotency key.
//
// The stores of backend/listings and backend/users create with it. Packages
// sqlitedb and pgdb provide its transactions, package groupcommit its groups.
package creation

import (
	"context"
	"time"

	"github.com/veranda-go/veranda/internal/broadcast"
	"github.com/veranda-go/veranda/internal/groupcommit"
	"github.com/veranda-go/veranda/internal/idempotency"
)

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

// Creator creates rows of one table. Make it with New.
type Creator[D Draft[Row], Row any] struct {
	// Now is the clock. Tests may replace it before the first Create.
	Now func() time.Time

	insert  Insert[Row]
	group   *groupcommit.Group[request[D], result[Row]]
	changed broadcast.Value[struct{}]
}

type request[D any] struct {
	draft D
	key   string
}

type result[Row any] struct {
	row      Row
	replayed bool
	err      error
}

// New returns a creator that inserts with insert.
func New[D Draft[Row], Row any](insert Insert[Row]) *Creator[D, Row] {
	c := &Creator[D, Row]{Now: time.Now, insert: insert}
	c.group = groupcommit.New(c.commit)
	return c
}

// Create creates a row and returns it when it is on disk. If key is neither ""
// nor new, it returns the row that the key's first creation made, as it was
// then, and replayed true; or idempotency.ErrMismatch if that had another draft.
// After Close it returns groupcommit.ErrClosed.
func (c *Creator[D, Row]) Create(ctx context.Context, draft D, key string) (row Row, replayed bool, err error) {
	r, err := c.group.Do(ctx, request[D]{draft, key})
	if err == nil {
		err = r.err
	}
	return r.row, r.replayed, err
}

// Changed returns a channel that the next successful commit closes, before its
// calls of Create return.
func (c *Creator[D, Row]) Changed() <-chan struct{} {
	_, changed := c.changed.Load()
	return changed
}

// Close waits for the creations that are in progress and refuses later ones.
func (c *Creator[D, Row]) Close() { c.group.Close() }

func (c *Creator[D, Row]) commit(requests []request[D]) ([]result[Row], error) {
	results := make([]result[Row], len(requests))
	var keys []string
	for _, r := range requests {
		if r.key != "" {
			keys = append(keys, r.key)
		}
	}
	err := c.insert(len(requests), keys, c.Now().UnixMicro(), func(firstID, at int64, known map[string]Key) (rows []Row, added []Key) {
		for i, r := range requests {
			if k, ok := known[r.key]; ok {
				if r.draft.Digest() == k.Digest {
					results[i] = result[Row]{row: r.draft.Created(k.ID, k.CreatedAt), replayed: true}
				} else {
					results[i].err = idempotency.ErrMismatch
				}
				continue
			}
			id := firstID + int64(len(rows))
			results[i].row = r.draft.Created(id, at)
			rows = append(rows, results[i].row)
			if r.key != "" {
				known[r.key] = Key{r.key, r.draft.Digest(), id, at}
				added = append(added, known[r.key])
			}
		}
		return rows, added
	})
	if err == nil {
		c.changed.Publish(struct{}{})
	}
	return results, err
}
