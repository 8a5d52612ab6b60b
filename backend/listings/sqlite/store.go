// Package sqlite stores listings in one SQLite file. Package postgres does the
// same in PostgreSQL; both implement [listings.Store].
package sqlite

import (
	"cmp"
	"context"
	"embed"
	"slices"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

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

// Feed implements listings.Store. It looks up the highest id first: rows that
// are created in between have higher ids and are left for the next call.
func (s *Store) Feed(ctx context.Context, after, userID, limit int64) (listings.Feed, error) {
	var newest int64
	err := s.db.Read(ctx, func(c *sqlite.Conn) (err error) {
		newest, err = sqlitex.ResultInt64(c.Prep("SELECT coalesce(max(id), 0) FROM listings"))
		return err
	})
	if err != nil || after < 0 || newest <= after {
		return listings.Feed{LastID: max(after, newest)}, err
	}
	text := " FROM listings l WHERE id > ?1 AND id <= ?2 ORDER BY id LIMIT +?3"
	args := []any{after, newest, limit}
	if userID != 0 {
		// The index of a user has the ids in the order of created_at. The row of
		// after, or the one before it, tells where to start.
		text = ` FROM listings l INDEXED BY listings_by_user
			WHERE user_id = ?4 AND id <= ?2 AND (created_at, id) > (
				coalesce((SELECT created_at FROM listings WHERE id <= ?1 ORDER BY id DESC LIMIT 1), 0), ?1 COLLATE BINARY)
			ORDER BY created_at, id LIMIT +?3`
		args = append(args, userID)
	}
	found, err := sqlitedb.Query(ctx, s.db.Read, "SELECT "+columns+text, args, scan)
	return listings.NewFeed(found, newest, limit), err
}

// Ping implements listings.Store.
func (s *Store) Ping(ctx context.Context) error { return s.db.Ping(ctx) }

// Close implements listings.Store.
func (s *Store) Close() error {
	s.Creator.Close()
	return s.db.Close()
}
