// Package postgres stores users in PostgreSQL or a compatible database. Package
// sqlite does the same in SQLite; both implement [users.Store].
package postgres

import (
	"cmp"
	"context"
	"embed"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/veranda-go/veranda/backend/users"
	"github.com/veranda-go/veranda/internal/creation"
	"github.com/veranda-go/veranda/internal/pgdb"
)

//go:embed migrations
var migrations embed.FS

// Store is an open database. Make it with Open.
type Store struct {
	*creation.Creator[users.Draft, users.User]
	db *pgxpool.Pool
}

var _ users.Store = (*Store)(nil)

// Open connects to the database at url, postgres://….
func Open(ctx context.Context, url string) (users.Store, error) {
	db, err := pgdb.Open(ctx, url, "users", migrations)
	if err != nil {
		return nil, err
	}
	return &Store{creation.New[users.Draft](pgdb.Insert(db, "users", insert)), db}, nil
}

const columns = "id, name, created_at, updated_at"

func insert(ctx context.Context, tx pgx.Tx, rows []users.User) error {
	var (
		ids, times []int64
		names      []string
	)
	for _, u := range rows {
		ids, names, times = append(ids, u.ID), append(names, u.Name), append(times, u.CreatedAt)
	}
	_, err := tx.Exec(ctx, "INSERT INTO users ("+columns+`) SELECT id, name, created_at, created_at
		FROM unnest($1::BIGINT[], $2::TEXT[], $3::BIGINT[]) AS new (id, name, created_at)`, ids, names, times)
	return err
}

// fields returns pointers in the order of columns.
func fields(u *users.User) []any { return []any{&u.ID, &u.Name, &u.CreatedAt, &u.UpdatedAt} }

// Get implements users.Store.
func (s *Store) Get(ctx context.Context, id int64) (users.User, error) {
	found, err := pgdb.Query(ctx, s.db, "SELECT "+columns+" FROM users WHERE id = $1", []any{id}, fields)
	if len(found) == 0 {
		return users.User{}, cmp.Or(err, error(users.ErrNotFound))
	}
	return found[0], nil
}

// List implements users.Store. The inner query stays in the index: rows before
// the page are counted, but not fetched.
func (s *Store) List(ctx context.Context, q users.Query) ([]users.User, error) {
	return pgdb.Query(ctx, s.db, "SELECT "+columns+` FROM users WHERE id IN (
			SELECT id FROM users ORDER BY created_at DESC, id DESC LIMIT $1 OFFSET $2)
		ORDER BY created_at DESC, id DESC`, []any{q.Limit, q.Offset}, fields)
}

// Batch implements users.Store.
func (s *Store) Batch(ctx context.Context, ids []int64) ([]users.User, error) {
	found, err := pgdb.Query(ctx, s.db, "SELECT "+columns+" FROM users WHERE id = ANY($1)", []any{ids}, fields)
	sortByIDs(found, ids)
	return found, err
}

// sortByIDs sorts found by the first occurrence of their ids in ids.
func sortByIDs(found []users.User, ids []int64) {
	rank := make(map[int64]int, len(ids))
	for i, id := range ids {
		if _, ok := rank[id]; !ok {
			rank[id] = i
		}
	}
	slices.SortFunc(found, func(a, b users.User) int { return rank[a.ID] - rank[b.ID] })
}

// Ping implements users.Store.
func (s *Store) Ping(ctx context.Context) error { return pgdb.Explain(ctx, s.db.Ping(ctx)) }

// Close implements users.Store.
func (s *Store) Close() error {
	s.Creator.Close()
	s.db.Close()
	return nil
}
