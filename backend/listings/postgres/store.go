// Package postgres stores listings in PostgreSQL or a compatible database.
// Package sqlite does the same in SQLite; both implement [listings.Store].
package postgres

import (
	"cmp"
	"context"
	"embed"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/veranda-go/veranda/backend/listings"
	"github.com/veranda-go/veranda/backend/listings/lookup"
	"github.com/veranda-go/veranda/internal/creation"
	"github.com/veranda-go/veranda/internal/pgdb"
)

//go:embed migrations
var migrations embed.FS

// Store is an open database. Make it with Open.
type Store struct {
	*creation.Creator[listings.Draft, listings.Listing]
	db *pgxpool.Pool
}

var _ listings.Store = (*Store)(nil)

// Open connects to the database at url, postgres://….
func Open(ctx context.Context, url string) (listings.Store, error) {
	db, err := pgdb.Open(ctx, url, "listings", migrations)
	if err != nil {
		return nil, err
	}
	return &Store{creation.New[listings.Draft](pgdb.Insert(db, "listings", insert)), db}, nil
}

const columns = "id, user_id, listing_type, price, created_at, updated_at"

func insert(ctx context.Context, tx pgx.Tx, rows []listings.Listing) error {
	var (
		ids, userIDs, prices, times []int64
		types                       []string
	)
	for _, l := range rows {
		ids, userIDs, types = append(ids, l.ID), append(userIDs, l.UserID), append(types, string(l.Type))
		prices, times = append(prices, l.Price), append(times, l.CreatedAt)
	}
	_, err := tx.Exec(ctx, "INSERT INTO listings ("+columns+`)
		SELECT id, user_id, listing_type, price, created_at, created_at
		FROM unnest($1::BIGINT[], $2::BIGINT[], $3::TEXT[], $4::BIGINT[], $5::BIGINT[]) AS new (id, user_id, listing_type, price, created_at)`,
		ids, userIDs, types, prices, times)
	return err
}

// fields returns pointers in the order of columns. As a *string, the type is
// scanned without reflection.
func fields(l *listings.Listing) []any {
	return []any{&l.ID, &l.UserID, (*string)(&l.Type), &l.Price, &l.CreatedAt, &l.UpdatedAt}
}

// Get implements listings.Store.
func (s *Store) Get(ctx context.Context, id int64) (listings.Listing, error) {
	found, err := pgdb.Query(ctx, s.db, "SELECT "+columns+" FROM listings WHERE id = $1", []any{id}, fields)
	if len(found) == 0 {
		return listings.Listing{}, cmp.Or(err, error(listings.ErrNotFound))
	}
	return found[0], nil
}

// List implements listings.Store.
func (s *Store) List(ctx context.Context, q listings.Query) ([]listings.Listing, error) {
	l, text := statement(q)
	found, err := pgdb.Query(ctx, s.db, text, l.Args, fields)
	if l.Reversed {
		slices.Reverse(found)
	}
	return found, err
}

// statement returns how to select the rows of q.
func statement(q listings.Query) (*lookup.Lookup, string) {
	l := lookup.New(lookup.PostgreSQL, q, "")
	order := " ORDER BY " + l.Order("", l.Down)
	from := " FROM listings WHERE " + l.Where() + order + " LIMIT " + l.Arg(q.Limit)
	if q.Offset > 0 {
		// The inner query stays in the index: rows before the page are counted, but
		// not fetched.
		from = " FROM listings WHERE id IN (SELECT id" + from + " OFFSET " + l.Arg(q.Offset) + ")" + order
	}
	return l, "SELECT " + columns + from
}

// OfUsers implements listings.Store. It runs the statement of List for each
// user, in one round trip and one snapshot. One statement for all would be
// LATERAL, which is as fast, but Citus has no LIMIT inside of it; or UNION ALL,
// which is planned for each number of users and takes four times as long for
// 100 users.
func (s *Store) OfUsers(ctx context.Context, userIDs []int64, q listings.Query) ([]listings.Listing, error) {
	if len(userIDs) == 0 {
		return nil, nil
	}
	q.UserID = userIDs[0]
	l, text := statement(q)
	batch := &pgx.Batch{}
	batch.Queue("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
	var found []listings.Listing
	seen := make(map[int64]struct{}, len(userIDs))
	for _, id := range userIDs {
		if _, ok := seen[id]; ok {
			continue
		}
		seen[id] = struct{}{}
		args := slices.Clone(l.Args)
		args[0] = id
		batch.Queue(text, args...).Query(func(rows pgx.Rows) error {
			ofUser, err := pgdb.Collect(rows, fields)
			if l.Reversed {
				slices.Reverse(ofUser)
			}
			found = append(found, ofUser...)
			return err
		})
	}
	batch.Queue("COMMIT")
	// Close reads the results. After an error the pool drops the connection, whose
	// transaction is still open.
	if err := s.db.SendBatch(ctx, batch).Close(); err != nil {
		return nil, pgdb.Explain(ctx, err)
	}
	return found, nil
}

// Position implements listings.Store.
func (s *Store) Position(ctx context.Context, id int64) (highest, createdAt int64, err error) {
	err = s.db.QueryRow(ctx, `SELECT coalesce(max(id), 0),
		coalesce((SELECT created_at FROM listings WHERE id <= $1 ORDER BY id DESC LIMIT 1), 0) FROM listings`, id).Scan(&highest, &createdAt)
	return highest, createdAt, pgdb.Explain(ctx, err)
}

// Ping implements listings.Store.
func (s *Store) Ping(ctx context.Context) error { return pgdb.Explain(ctx, s.db.Ping(ctx)) }

// Close implements listings.Store.
func (s *Store) Close() error {
	s.Creator.Close()
	s.db.Close()
	return nil
}
