// Package sqlite keeps users in one SQLite file. Its neighbour postgres keeps
// the same promises, those of [users.Store].
package sqlite

import (
	"context"
	"embed"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/veranda-go/veranda/backend/users"
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

var _ users.Store = (*Store)(nil)

// Open opens or creates the file at path.
func Open(ctx context.Context, path string) (users.Store, error) {
	db, err := sqlitedb.Open(ctx, path, migrations)
	if err != nil {
		return nil, err
	}
	s := &Store{db: db, now: time.Now}
	s.creates = groupcommit.New(s.insert)
	return s, nil
}

// Create is part of users.Store.
func (s *Store) Create(ctx context.Context, d users.Draft, key string) (users.User, bool, error) {
	o, err := s.creates.Do(ctx, creation{d, key})
	if err == nil {
		err = o.err
	}
	return o.made, o.replayed, err
}

type creation struct {
	users.Draft
	key string
}

// outcome is what one creation of a group came to.
type outcome struct {
	made     users.User
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

var keys = sqlitedb.KeysOf("users")

func (s *Store) insert(creations []creation) ([]outcome, error) {
	outcomes := make([]outcome, len(creations))
	err := s.db.Write(func(c *sqlite.Conn) error {
		newest, err := sqlitex.ResultInt64(c.Prep("SELECT coalesce(max(created_at), 0) FROM users"))
		if err != nil {
			return err
		}
		// A clock that is set back must not put new rows behind old ones.
		now := max(s.now().UnixMicro(), newest)
		keyed := 0
		stmt := c.Prep("INSERT INTO users (name, created_at, updated_at) VALUES (?, ?, ?)")
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
			stmt.BindText(1, d.Name)
			stmt.BindInt64(2, now)
			stmt.BindInt64(3, now)
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

const columns = "u.id, u.name, u.created_at, u.updated_at"

// Get is part of users.Store.
func (s *Store) Get(ctx context.Context, id int64) (users.User, error) {
	found, err := s.query(ctx, 1, 0, "SELECT "+columns+" FROM users u WHERE id = ?", id)
	if err != nil {
		return users.User{}, err
	}
	if len(found) == 0 {
		return users.User{}, users.ErrNotFound
	}
	return found[0], nil
}

// List is part of users.Store.
func (s *Store) List(ctx context.Context, q users.Query) ([]users.User, error) {
	return s.query(ctx, q.Limit, q.Offset, "SELECT "+columns+` FROM users u
		ORDER BY created_at DESC, id DESC LIMIT +? OFFSET ?`, q.Limit, q.Offset)
}

// Batch is part of users.Store.
func (s *Store) Batch(ctx context.Context, ids []int64) ([]users.User, error) {
	return s.query(ctx, int64(len(ids)), 0, "SELECT "+columns+` FROM json_each(?) asked CROSS JOIN users u
		WHERE u.id = asked.value ORDER BY asked.key`, sqlitedb.IDs(ids))
}

// Ping is part of users.Store.
func (s *Store) Ping(ctx context.Context) error { return s.db.Ping(ctx) }

// Close is part of users.Store.
func (s *Store) Close() error {
	s.creates.Close()
	return s.db.Close()
}

// manyRows is when skipping rows begins to take milliseconds.
const manyRows = 10_000

// query runs text with args, which are int64 or string. expect is the number
// of rows to make room for, skip the number that it reads past.
func (s *Store) query(ctx context.Context, expect, skip int64, text string, args ...any) ([]users.User, error) {
	found := make([]users.User, 0, min(expect, 1000))
	read := s.db.Read
	if skip > manyRows {
		read = s.db.ReadLong
	}
	err := read(ctx, func(c *sqlite.Conn) error {
		return sqlitedb.Rows(c, text, args, func(row *sqlite.Stmt) {
			found = append(found, users.User{
				ID:        row.ColumnInt64(0),
				Name:      row.ColumnText(1),
				CreatedAt: row.ColumnInt64(2),
				UpdatedAt: row.ColumnInt64(3),
			})
		})
	})
	return found, err
}
