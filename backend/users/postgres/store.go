// Package postgres keeps users in PostgreSQL, or in what speaks its language.
// Its neighbour sqlite keeps the same promises, those of [users.Store].
package postgres

import (
	"context"
	"embed"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/veranda-go/veranda/backend/users"
	"github.com/veranda-go/veranda/internal/groupcommit"
	"github.com/veranda-go/veranda/internal/idempotency"
	"github.com/veranda-go/veranda/internal/pgdb"
)

//go:embed migrations
var migrations embed.FS

// Store is an open database. Make it with Open.
type Store struct {
	db      *pgdb.DB
	creates *groupcommit.Group[creation, outcome]
	now     func() time.Time
}

var _ users.Store = (*Store)(nil)

// Open connects to the database at url, postgres://….
func Open(ctx context.Context, url string) (users.Store, error) {
	db, err := pgdb.Open(ctx, url, "users", migrations)
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

func (s *Store) insert(creations []creation) ([]outcome, error) {
	outcomes := make([]outcome, len(creations))
	var asked []string
	for _, d := range creations {
		if d.key != "" {
			asked = append(asked, d.key)
		}
	}
	// Ids are taken for all. Those of replays are left out: a gap does no harm.
	err := pgdb.Create(s.db, "users", len(creations), s.now(), func(ctx context.Context, tx pgx.Tx, firstID, now int64) error {
		known, err := pgdb.FindKeys(ctx, tx, "users", asked, now)
		if err != nil {
			return err
		}
		var (
			ids   []int64
			names []string
		)
		added := map[string]idempotency.Kept{}
		for i, d := range creations {
			if kept, ok := known[d.key]; ok {
				outcomes[i] = replay(d, kept)
				continue
			}
			id := firstID + int64(len(ids))
			ids, names = append(ids, id), append(names, d.Name)
			outcomes[i].made = d.Created(id, now)
			if d.key != "" {
				known[d.key] = idempotency.Kept{Digest: d.Digest(), ID: id, CreatedAt: now}
				added[d.key] = known[d.key]
			}
		}
		if len(ids) == 0 {
			return nil
		}
		if _, err := tx.Exec(ctx, `INSERT INTO users (id, name, created_at, updated_at)
			SELECT id, name, $3, $3 FROM unnest($1::BIGINT[], $2::TEXT[]) AS draft (id, name)`, ids, names, now); err != nil {
			return err
		}
		return pgdb.KeepKeys(ctx, tx, "users", added, now)
	})
	return outcomes, err
}

const columns = "id, name, created_at, updated_at"

// Get is part of users.Store.
func (s *Store) Get(ctx context.Context, id int64) (users.User, error) {
	found, err := s.query(ctx, "SELECT "+columns+" FROM users WHERE id = $1", id)
	if err != nil {
		return users.User{}, err
	}
	if len(found) == 0 {
		return users.User{}, users.ErrNotFound
	}
	return found[0], nil
}

// List is part of users.Store. The inner query pages through the index alone,
// so rows before the page are counted but not fetched.
func (s *Store) List(ctx context.Context, q users.Query) ([]users.User, error) {
	return s.query(ctx, "SELECT "+columns+` FROM users WHERE id IN (
			SELECT id FROM users ORDER BY created_at DESC, id DESC LIMIT $1 OFFSET $2)
		ORDER BY created_at DESC, id DESC`, q.Limit, q.Offset)
}

// Batch is part of users.Store.
func (s *Store) Batch(ctx context.Context, ids []int64) ([]users.User, error) {
	found, err := s.query(ctx, "SELECT "+columns+" FROM users WHERE id = ANY($1)", ids)
	return users.InOrderOf(ids, found), err
}

// Ping is part of users.Store.
func (s *Store) Ping(ctx context.Context) error { return pgdb.Explain(ctx, s.db.Ping(ctx)) }

// Close is part of users.Store.
func (s *Store) Close() error {
	s.creates.Close()
	s.db.Close()
	return nil
}

func (s *Store) query(ctx context.Context, text string, args ...any) ([]users.User, error) {
	var found []users.User
	err := s.db.Read(ctx, text, args, func(row *pgdb.Row) {
		found = append(found, users.User{ID: row.Int(0), Name: string(row.Bytes(1)), CreatedAt: row.Int(2), UpdatedAt: row.Int(3)})
	})
	return found, err
}
