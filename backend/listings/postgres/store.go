// Package postgres keeps listings in PostgreSQL, or in what speaks its
// language. Its neighbour sqlite keeps the same promises, those of
// [listings.Store].
package postgres

import (
	"context"
	"embed"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/veranda-go/veranda/backend/listings"
	"github.com/veranda-go/veranda/internal/groupcommit"
	"github.com/veranda-go/veranda/internal/pgdb"
)

//go:embed migrations
var migrations embed.FS

// Store is an open database. Make it with Open.
type Store struct {
	pool    *pgxpool.Pool
	creates *groupcommit.Group[listings.Draft, listings.Listing]
	now     func() time.Time
}

var _ listings.Store = (*Store)(nil)

// Open connects to the database at url, postgres://….
func Open(ctx context.Context, url string) (listings.Store, error) {
	pool, err := pgdb.Open(ctx, url, "listings", migrations)
	if err != nil {
		return nil, err
	}
	s := &Store{pool: pool, now: time.Now}
	s.creates = groupcommit.New(s.insert)
	return s, nil
}

// Create is part of listings.Store.
func (s *Store) Create(ctx context.Context, d listings.Draft) (listings.Listing, error) {
	return s.creates.Do(ctx, d)
}

func (s *Store) insert(drafts []listings.Draft) ([]listings.Listing, error) {
	created := make([]listings.Listing, len(drafts))
	err := pgdb.Create(s.pool, "listings", len(drafts), s.now(), func(ctx context.Context, tx pgx.Tx, firstID, now int64) error {
		var (
			ids, userIDs, prices = make([]int64, len(drafts)), make([]int64, len(drafts)), make([]int64, len(drafts))
			types                = make([]string, len(drafts))
		)
		for i, d := range drafts {
			id := firstID + int64(i)
			ids[i], userIDs[i], types[i], prices[i] = id, d.UserID, string(d.Type), d.Price
			created[i] = listings.Listing{ID: id, UserID: d.UserID, Type: d.Type, Price: d.Price, CreatedAt: now, UpdatedAt: now}
		}
		_, err := tx.Exec(ctx, `INSERT INTO listings (id, user_id, listing_type, price, created_at, updated_at)
			SELECT id, user_id, listing_type, price, $5, $5
			FROM unnest($1::BIGINT[], $2::BIGINT[], $3::TEXT[], $4::BIGINT[]) AS draft (id, user_id, listing_type, price)`,
			ids, userIDs, types, prices, now)
		return err
	})
	return created, err
}

const columns = "id, user_id, listing_type, price, created_at, updated_at"

// Get is part of listings.Store.
func (s *Store) Get(ctx context.Context, id int64) (listings.Listing, error) {
	found, err := s.query(ctx, "SELECT "+columns+" FROM listings WHERE id = $1", id)
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
	l := lookupOf(q)
	where, limit := l.where(), l.arg(q.Limit)
	text := "SELECT " + columns + " FROM listings WHERE " + where + " ORDER BY " + l.order + " LIMIT " + limit
	if q.Offset > 0 {
		// The inner query pages through the index alone, so rows before the
		// page are counted but not fetched.
		text = "SELECT " + columns + ` FROM listings WHERE id IN (
			SELECT id FROM listings WHERE ` + where + " ORDER BY " + l.order + " LIMIT " + limit + " OFFSET " + l.arg(q.Offset) + `)
			ORDER BY ` + l.order
	}
	found, err := s.query(ctx, text, l.args...)
	if l.Reversed {
		slices.Reverse(found)
	}
	return found, err
}

// OfUsers is part of listings.Store. LATERAL would be shorter, but Citus does
// not take a LIMIT inside of it.
func (s *Store) OfUsers(ctx context.Context, userIDs []int64, q listings.Query) ([]listings.Listing, error) {
	l := lookupOf(q)
	rest := " AND " + l.where() + " ORDER BY " + l.order + " LIMIT " + l.arg(q.Limit) + ")"
	var text strings.Builder
	seen := make(map[int64]struct{}, len(userIDs))
	for _, id := range userIDs {
		if _, ok := seen[id]; ok {
			continue
		}
		seen[id] = struct{}{}
		if text.Len() > 0 {
			text.WriteString(" UNION ALL ")
		}
		text.WriteString("(SELECT " + columns + " FROM listings WHERE user_id = " + l.arg(id) + rest)
	}
	if len(seen) == 0 {
		return nil, nil
	}
	// A text for each number of users is not worth preparing.
	found, err := s.query(ctx, text.String(), append([]any{pgx.QueryExecModeExec}, l.args...)...)
	return listings.InOrderOf(userIDs, q.Order, found), err
}

// Ping is part of listings.Store.
func (s *Store) Ping(ctx context.Context) error { return pgdb.Explain(ctx, s.pool.Ping(ctx)) }

// Close is part of listings.Store.
func (s *Store) Close() error {
	s.creates.Close()
	s.pool.Close()
	return nil
}

func (s *Store) query(ctx context.Context, text string, args ...any) ([]listings.Listing, error) {
	rows, err := s.pool.Query(ctx, text, args...)
	if err != nil {
		return nil, pgdb.Explain(ctx, err)
	}
	found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (l listings.Listing, err error) {
		err = row.Scan(&l.ID, &l.UserID, &l.Type, &l.Price, &l.CreatedAt, &l.UpdatedAt)
		return l, err
	})
	return found, pgdb.Explain(ctx, err)
}
