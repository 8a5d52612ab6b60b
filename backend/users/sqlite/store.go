// Package sqlite stores users in one SQLite file. Package postgres does the
// same in PostgreSQL; both implement [users.Store].
package sqlite

import (
	"cmp"
	"context"
	"embed"

	"zombiezen.com/go/sqlite"

	"github.com/veranda-go/veranda/backend/users"
	"github.com/veranda-go/veranda/internal/creation"
	"github.com/veranda-go/veranda/internal/sqlitedb"
)

//go:embed migrations
var migrations embed.FS

// Store is an open file. Make it with Open.
type Store struct {
	*creation.Creator[users.Draft, users.User]
	db *sqlitedb.DB
}

var _ users.Store = (*Store)(nil)

// Open opens or creates the file at path.
func Open(ctx context.Context, path string) (users.Store, error) {
	db, err := sqlitedb.Open(ctx, path, migrations)
	if err != nil {
		return nil, err
	}
	return &Store{creation.New[users.Draft](sqlitedb.Insert(db, "users", insert)), db}, nil
}

const (
	columns = "u.id, u.name, u.created_at, u.updated_at"
	// skipLimit is the number of skipped rows from which a query takes
	// milliseconds.
	skipLimit = 10_000
)

func insert(c *sqlite.Conn, u users.User) error {
	return sqlitedb.Rows(c, "INSERT INTO users (id, name, created_at, updated_at) VALUES (?, ?, ?, ?)",
		[]any{u.ID, u.Name, u.CreatedAt, u.UpdatedAt}, nil)
}

func scan(row *sqlite.Stmt) users.User {
	return users.User{ID: row.ColumnInt64(0), Name: row.ColumnText(1), CreatedAt: row.ColumnInt64(2), UpdatedAt: row.ColumnInt64(3)}
}

// Get implements users.Store.
func (s *Store) Get(ctx context.Context, id int64) (users.User, error) {
	found, err := sqlitedb.Query(ctx, s.db.Read, "SELECT "+columns+" FROM users u WHERE id = ?", []any{id}, scan)
	if len(found) == 0 {
		return users.User{}, cmp.Or(err, error(users.ErrNotFound))
	}
	return found[0], nil
}

// List implements users.Store.
func (s *Store) List(ctx context.Context, q users.Query) ([]users.User, error) {
	read := s.db.Read
	if q.Offset > skipLimit {
		read = s.db.ReadLong
	}
	return sqlitedb.Query(ctx, read, "SELECT "+columns+" FROM users u ORDER BY created_at DESC, id DESC LIMIT +? OFFSET ?",
		[]any{q.Limit, q.Offset}, scan)
}

// Batch implements users.Store.
func (s *Store) Batch(ctx context.Context, ids []int64) ([]users.User, error) {
	return sqlitedb.Query(ctx, s.db.Read, "SELECT "+columns+` FROM json_each(?) wanted CROSS JOIN users u
		WHERE u.id = wanted.value ORDER BY wanted.key`, []any{sqlitedb.IDs(ids)}, scan)
}

// Ping implements users.Store.
func (s *Store) Ping(ctx context.Context) error { return s.db.Ping(ctx) }

// Close implements users.Store.
func (s *Store) Close() error {
	s.Creator.Close()
	return s.db.Close()
}
