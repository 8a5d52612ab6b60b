// Package sqlite keeps listings in one SQLite file. Its neighbour postgres
// keeps the same promises, those of [listings.Store].
package sqlite

import (
	"context"
	"embed"
	"slices"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/veranda-go/veranda/backend/listings"
	"github.com/veranda-go/veranda/internal/groupcommit"
	"github.com/veranda-go/veranda/internal/idempotency"
	"github.com/veranda-go/veranda/internal/sqlitedb"
)

//go:embed migrations
var migrations embed.FS

// Store is an open file. Make it with Open.
type Store struct {
	db      *sqlitedb.DB
	creates *groupcommit.Group[creation, outcome]
	now     func() time.Time
}

var _ listings.Store = (*Store)(nil)

// Open opens or creates the file at path.
func Open(ctx context.Context, path string) (listings.Store, error) {
	db, err := sqlitedb.Open(ctx, path, migrations)
	if err != nil {
		return nil, err
	}
	s := &Store{db: db, now: time.Now}
	s.creates = groupcommit.New(s.insert)
	return s, nil
}

// Create is part of listings.Store.
func (s *Store) Create(ctx context.Context, d listings.Draft, key string) (listings.Listing, bool, error) {
	o, err := s.creates.Do(ctx, creation{d, key})
	if err == nil {
		err = o.err
	}
	return o.made, o.replayed, err
}

type creation struct {
	listings.Draft
	key string
}

// outcome is what one creation of a group came to.
type outcome struct {
	made     listings.Listing
	replayed bool
	err      error
}

// replay is the outcome of a creation whose key made what is kept.
func replay(d creation, kept idempotency.Kept) outcome {
	if d.Digest() != kept.Digest {
		return outcome{err: idempotency.ErrMismatch}
	}
	return outcome{made: d.Created(kept.ID, kept.CreatedAt), replayed: true}
}

var keys = sqlitedb.KeysOf("listings")

func (s *Store) insert(creations []creation) ([]outcome, error) {
	outcomes := make([]outcome, len(creations))
	err := s.db.Write(func(c *sqlite.Conn) error {
		newest, err := sqlitex.ResultInt64(c.Prep("SELECT coalesce(max(created_at), 0) FROM listings"))
		if err != nil {
			return err
		}
		// A clock that is set back must not put new rows behind old ones.
		now := max(s.now().UnixMicro(), newest)
		keyed := 0
		stmt := c.Prep("INSERT INTO listings (user_id, listing_type, price, created_at, updated_at) VALUES (?, ?, ?, ?, ?)")
		for i, d := range creations {
			if d.key != "" {
				kept, ok, err := keys.Find(c, d.key, now)
				if err != nil {
					return err
				}
				if ok {
					outcomes[i] = replay(d, kept)
					continue
				}
			}
			stmt.BindInt64(1, d.UserID)
			stmt.BindText(2, string(d.Type))
			stmt.BindInt64(3, d.Price)
			stmt.BindInt64(4, now)
			stmt.BindInt64(5, now)
			if _, err := stmt.Step(); err != nil {
				return err
			}
			if err := stmt.Reset(); err != nil {
				return err
			}
			id := c.LastInsertRowID()
			outcomes[i].made = d.Created(id, now)
			if d.key != "" {
				keyed++
				if err := keys.Keep(c, d.key, idempotency.Kept{Digest: d.Digest(), ID: id, CreatedAt: now}); err != nil {
					return err
				}
			}
		}
		return keys.Sweep(c, now, keyed)
	})
	return outcomes, err
}

const columns = "l.id, l.user_id, l.listing_type, l.price, l.created_at, l.updated_at"

// Get is part of listings.Store.
func (s *Store) Get(ctx context.Context, id int64) (listings.Listing, error) {
	found, err := s.query(ctx, false, 1, "SELECT "+columns+" FROM listings l WHERE id = ?", id)
	if err != nil {
		return listings.Listing{}, err
	}
	if len(found) == 0 {
		return listings.Listing{}, listings.ErrNotFound
	}
	return found[0], nil
}

// List is part of listings.Store.
func (s *Store) List(ctx context.Context, q listings.Query) ([]listings.Listing, error) {
	l := lookupOf(q, "")
	if q.UserID != 0 {
		l = lookupOf(q, "?", q.UserID)
	}
	found, err := s.query(ctx, l.long, q.Limit, "SELECT "+columns+" FROM listings l INDEXED BY "+l.index+`
		WHERE `+l.where()+" ORDER BY "+l.order("", l.Down)+" LIMIT +? OFFSET ?",
		append(l.args, q.Limit, q.Offset)...)
	if l.Reversed {
		slices.Reverse(found)
	}
	return found, err
}

// OfUsers is part of listings.Store.
func (s *Store) OfUsers(ctx context.Context, userIDs []int64, q listings.Query) ([]listings.Listing, error) {
	l := lookupOf(q, "u.value")
	return s.query(ctx, l.long, 0, "SELECT "+columns+` FROM json_each(?) u CROSS JOIN listings l
		WHERE l.id IN (
			SELECT id FROM listings INDEXED BY `+l.index+`
			WHERE `+l.where()+" ORDER BY "+l.order("", l.Down)+` LIMIT +?)
		ORDER BY u.key, `+l.order("l.", l.Down != l.Reversed),
		slices.Concat([]any{sqlitedb.IDs(userIDs)}, l.args, []any{q.Limit})...)
}

// Feed is part of listings.Store. What is visible is looked up first: rows
// that come meanwhile have higher ids and are left for the next time.
func (s *Store) Feed(ctx context.Context, after, userID, limit int64) (listings.Feed, error) {
	var feed listings.Feed
	err := s.db.Read(ctx, func(c *sqlite.Conn) error {
		newest, err := sqlitex.ResultInt64(c.Prep("SELECT coalesce(max(id), 0) FROM listings"))
		if err != nil {
			return err
		}
		feed.LastID = max(after, newest)
		if after < 0 || newest <= after {
			return nil
		}
		text := "SELECT " + columns + " FROM listings l WHERE id > ?1 AND id <= ?2 ORDER BY id LIMIT +?3"
		args := []any{after, newest, limit}
		if userID != 0 {
			// In the index of a user, ids rise with created_at. The row before the
			// run tells where in time it begins.
			text = "SELECT " + columns + ` FROM listings l INDEXED BY listings_by_user
				WHERE user_id = ?4 AND id <= ?2 AND (created_at, id) > (
					coalesce((SELECT created_at FROM listings WHERE id <= ?1 ORDER BY id DESC LIMIT 1), 0), ?1 COLLATE BINARY)
				ORDER BY created_at, id LIMIT +?3`
			args = append(args, userID)
		}
		if err := sqlitedb.Rows(c, text, args, func(row *sqlite.Stmt) {
			feed.Listings = append(feed.Listings, scan(row))
		}); err != nil {
			return err
		}
		if n := int64(len(feed.Listings)); n == limit {
			feed.LastID = feed.Listings[n-1].ID
		}
		return nil
	})
	return feed, err
}

// Changed is part of listings.Store.
func (s *Store) Changed() <-chan struct{} { return s.creates.Changed() }

// Ping is part of listings.Store.
func (s *Store) Ping(ctx context.Context) error { return s.db.Ping(ctx) }

// Close is part of listings.Store.
func (s *Store) Close() error {
	s.creates.Close()
	return s.db.Close()
}

// query runs text with args, which are int64 or string. long says that it may
// read many rows, expect is the number of rows to make room for.
func (s *Store) query(ctx context.Context, long bool, expect int64, text string, args ...any) ([]listings.Listing, error) {
	found := make([]listings.Listing, 0, min(expect, 1000))
	read := s.db.Read
	if long {
		read = s.db.ReadLong
	}
	err := read(ctx, func(c *sqlite.Conn) error {
		return sqlitedb.Rows(c, text, args, func(row *sqlite.Stmt) {
			found = append(found, scan(row))
		})
	})
	return found, err
}

func scan(row *sqlite.Stmt) listings.Listing {
	return listings.Listing{
		ID:        row.ColumnInt64(0),
		UserID:    row.ColumnInt64(1),
		Type:      listings.Type(row.ColumnText(2)),
		Price:     row.ColumnInt64(3),
		CreatedAt: row.ColumnInt64(4),
		UpdatedAt: row.ColumnInt64(5),
	}
}
