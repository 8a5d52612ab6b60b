// Package sqlite stores listings in one SQLite file. Package postgres does the
// same in PostgreSQL; both implement [listings.Store].
package sqlite

import (
	"cmp"
	"context"
	"embed"
	"slices"

	"zombiezen.com/go/sqlite"

	"github.com/veranda-go/veranda/backend/listings"
	"github.com/veranda-go/veranda/backend/listings/lookup"
	"github.com/veranda-go/veranda/internal/creation"
	"github.com/veranda-go/veranda/internal/sqlitedb"
)

//go:embed migrations
var migrations embed.FS

// Store is an open file. Make it with Open.
type Store struct {
	*creation.Creator[listings.Draft, listings.Listing]
	db *sqlitedb.DB
}

var _ listings.Store = (*Store)(nil)

// Open opens or creates the file at path.
func Open(ctx context.Context, path string) (listings.Store, error) {
	db, err := sqlitedb.Open(ctx, path, migrations)
	if err != nil {
		return nil, err
	}
	return &Store{creation.New[listings.Draft](sqlitedb.Insert(db, "listings", insert)), db}, nil
}

const (
	columns = "l.id, l.user_id, l.listing_type, l.price, l.created_at, l.updated_at"
	// skipLimit is the number of skipped rows from which a query takes
	// milliseconds.
	skipLimit = 10_000
)

func insert(c *sqlite.Conn, l listings.Listing) error {
	return sqlitedb.Rows(c, "INSERT INTO listings (id, user_id, listing_type, price, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?)",
		[]any{l.ID, l.UserID, string(l.Type), l.Price, l.CreatedAt, l.UpdatedAt}, nil)
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

// Get implements listings.Store.
func (s *Store) Get(ctx context.Context, id int64) (listings.Listing, error) {
	found, err := sqlitedb.Query(ctx, s.db.Read, "SELECT "+columns+" FROM listings l WHERE id = ?", []any{id}, scan)
	if len(found) == 0 {
		return listings.Listing{}, cmp.Or(err, error(listings.ErrNotFound))
	}
	return found[0], nil
}

// List implements listings.Store.
func (s *Store) List(ctx context.Context, q listings.Query) ([]listings.Listing, error) {
	l := lookup.New(lookup.SQLite, q, "")
	read := s.db.Read
	if l.Filtered || q.Offset > skipLimit {
		read = s.db.ReadLong
	}
	found, err := sqlitedb.Query(ctx, read, "SELECT "+columns+" FROM listings l INDEXED BY "+index(l, q.Type, q.UserID != 0)+`
		WHERE `+l.Where()+" ORDER BY "+l.Order("", l.Down)+" LIMIT +"+l.Arg(q.Limit)+" OFFSET "+l.Arg(q.Offset), l.Args, scan)
	if l.Reversed {
		slices.Reverse(found)
	}
	return found, err
}

// OfUsers implements listings.Store.
func (s *Store) OfUsers(ctx context.Context, userIDs []int64, q listings.Query) ([]listings.Listing, error) {
	l := lookup.New(lookup.SQLite, q, "u.value", sqlitedb.IDs(userIDs))
	read := s.db.Read
	if l.Filtered {
		read = s.db.ReadLong
	}
	return sqlitedb.Query(ctx, read, "SELECT "+columns+` FROM json_each(?1) u CROSS JOIN listings l
		WHERE l.id IN (
			SELECT id FROM listings INDEXED BY `+index(l, q.Type, true)+`
			WHERE `+l.Where()+" ORDER BY "+l.Order("", l.Down)+" LIMIT +"+l.Arg(q.Limit)+`)
		ORDER BY u.key, `+l.Order("l.", l.Down != l.Reversed), l.Args, scan)
}

// index returns the index that serves l. It is named in each statement, because
// SQLite has no statistics here to choose by.
func index(l *lookup.Lookup, t listings.Type, ofUser bool) string {
	switch {
	case ofUser && l.ByPrice:
		return "listings_by_user_price"
	case ofUser:
		return "listings_by_user"
	case t != "" && l.ByPrice:
		return "listings_by_type_price"
	case t != "":
		return "listings_by_type"
	case l.ByPrice:
		return "listings_by_price"
	}
	return "listings_by_time"
}

// Position implements listings.Store.
func (s *Store) Position(ctx context.Context, id int64) (highest, createdAt int64, err error) {
	err = s.db.Read(ctx, func(c *sqlite.Conn) error {
		return sqlitedb.Rows(c, `SELECT coalesce(max(id), 0),
			coalesce((SELECT created_at FROM listings WHERE id <= ? ORDER BY id DESC LIMIT 1), 0) FROM listings`,
			[]any{id}, func(row *sqlite.Stmt) { highest, createdAt = row.ColumnInt64(0), row.ColumnInt64(1) })
	})
	return highest, createdAt, err
}

// Ping implements listings.Store.
func (s *Store) Ping(ctx context.Context) error { return s.db.Ping(ctx) }

// Close implements listings.Store.
func (s *Store) Close() error {
	s.Creator.Close()
	return s.db.Close()
}
