// Package postgres keeps users in PostgreSQL, or in what speaks its language.
// Its neighbour sqlite keeps the same promises, those of [users.Store].
package postgres

import (
	"context"
	"embed"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/veranda-go/veranda/backend/users"
	"github.com/veranda-go/veranda/internal/groupcommit"
	"github.com/veranda-go/veranda/internal/pgdb"
)

//go:embed migrations
var migrations embed.FS

// Store is an open database. Make it with Open.
type Store struct {
	pool    *pgxpool.Pool
	creates *groupcommit.Group[users.Draft, users.User]
	now     func() time.Time
}

var _ users.Store = (*Store)(nil)

// Open connects to the database at url, postgres://….
func Open(ctx context.Context, url string) (users.Store, error) {
	pool, err := pgdb.Open(ctx, url, "users", migrations)
	if err != nil {
		return nil, err
	}
	s := &Store{pool: pool, now: time.Now}
	s.creates = groupcommit.New(s.insert)
	return s, nil
}

// Create is part of users.Store.
func (s *Store) Create(ctx context.Context, d users.Draft) (users.User, error) {
	return s.creates.Do(ctx, d)
}

func (s *Store) insert(drafts []users.Draft) ([]users.User, error) {
	created := make([]users.User, len(drafts))
	err := pgdb.Create(s.pool, "users", len(drafts), s.now(), func(ctx context.Context, tx pgx.Tx, firstID, now int64) error {
		ids, names := make([]int64, len(drafts)), make([]string, len(drafts))
		for i, d := range drafts {
			ids[i], names[i] = firstID+int64(i), d.Name
			created[i] = users.User{ID: ids[i], Name: d.Name, CreatedAt: now, UpdatedAt: now}
		}
		_, err := tx.Exec(ctx, `INSERT INTO users (id, name, created_at, updated_at)
			SELECT id, name, $3, $3 FROM unnest($1::BIGINT[], $2::TEXT[]) AS draft (id, name)`, ids, names, now)
		return err
	})
	return created, err
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
func (s *Store) Ping(ctx context.Context) error { return pgdb.Explain(ctx, s.pool.Ping(ctx)) }

// Close is part of users.Store.
func (s *Store) Close() error {
	s.creates.Close()
	s.pool.Close()
	return nil
}

func (s *Store) query(ctx context.Context, text string, args ...any) ([]users.User, error) {
	rows, err := s.pool.Query(ctx, text, args...)
	if err != nil {
		return nil, pgdb.Explain(ctx, err)
	}
	found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (u users.User, err error) {
		err = row.Scan(&u.ID, &u.Name, &u.CreatedAt, &u.UpdatedAt)
		return u, err
	})
	return found, pgdb.Explain(ctx, err)
}
