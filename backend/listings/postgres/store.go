// Package postgres keeps listings in PostgreSQL, or in what speaks its
// language. Its neighbour sqlite keeps the same promises, those of
// [listings.Store].
package postgres

import (
	"context"
	"embed"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/veranda-go/veranda/backend/listings"
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

var _ listings.Store = (*Store)(nil)

// Open connects to the database at url, postgres://….
func Open(ctx context.Context, url string) (listings.Store, error) {
	db, err := pgdb.Open(ctx, url, "listings", migrations)
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

func (s *Store) insert(creations []creation) ([]outcome, error) {
	outcomes := make([]outcome, len(creations))
	var asked []string
	for _, d := range creations {
		if d.key != "" {
			asked = append(asked, d.key)
		}
	}
	// Ids are taken for all. Those of replays are left out: a gap does no harm.
	err := pgdb.Create(s.db, "listings", len(creations), s.now(), func(ctx context.Context, tx pgx.Tx, firstID, now int64) error {
		known, err := pgdb.FindKeys(ctx, tx, "listings", asked, now)
		if err != nil {
			return err
		}
		var (
			ids, userIDs, prices []int64
			types                []string
		)
		added := map[string]idempotency.Kept{}
		for i, d := range creations {
			if kept, ok := known[d.key]; ok {
				outcomes[i] = replay(d, kept)
				continue
			}
			id := firstID + int64(len(ids))
			ids, userIDs, types, prices = append(ids, id), append(userIDs, d.UserID), append(types, string(d.Type)), append(prices, d.Price)
			outcomes[i].made = d.Created(id, now)
			if d.key != "" {
				known[d.key] = idempotency.Kept{Digest: d.Digest(), ID: id, CreatedAt: now}
				added[d.key] = known[d.key]
			}
		}
		if len(ids) == 0 {
			return nil
		}
		if _, err := tx.Exec(ctx, `INSERT INTO listings (id, user_id, listing_type, price, created_at, updated_at)
			SELECT id, user_id, listing_type, price, $5, $5
			FROM unnest($1::BIGINT[], $2::BIGINT[], $3::TEXT[], $4::BIGINT[]) AS draft (id, user_id, listing_type, price)`,
			ids, userIDs, types, prices, now); err != nil {
			return err
		}
		return pgdb.KeepKeys(ctx, tx, "listings", added, now)
	})
	return outcomes, err
}

const columns = "id, user_id, listing_type, price, created_at, updated_at"

// Get is part of listings.Store.
func (s *Store) Get(ctx context.Context, id int64) (listings.Listing, error) {
	found, err := s.query(ctx, 1, "SELECT "+columns+" FROM listings WHERE id = $1", id)
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
	found, err := s.query(ctx, q.Limit, l.text(q), l.args...)
	if l.Reversed {
		slices.Reverse(found)
	}
	return found, err
}

// OfUsers is part of listings.Store. It is List for each user, sent together
// and answered together: one round trip, in one snapshot. One statement for
// all would be LATERAL, which is as fast, but Citus has no LIMIT inside of it;
// or a UNION ALL, which is planned anew for each number of users and so takes
// four times as long for 100 of them.
func (s *Store) OfUsers(ctx context.Context, userIDs []int64, q listings.Query) ([]listings.Listing, error) {
	if len(userIDs) == 0 {
		return nil, nil
	}
	q.UserID = userIDs[0]
	l := lookupOf(q)
	text := l.text(q)
	batch := &pgx.Batch{}
	batch.Queue("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
	found := make([]listings.Listing, 0, min(int64(len(userIDs))*q.Limit, 1000))
	seen := make(map[int64]struct{}, len(userIDs))
	for _, id := range userIDs {
		if _, ok := seen[id]; ok {
			continue
		}
		seen[id] = struct{}{}
		args := slices.Clone(l.args)
		args[0] = id
		batch.Queue(text, args...).Query(func(rows pgx.Rows) error {
			before := len(found)
			err := pgdb.EachRow(rows, func(row *pgdb.Row) { found = append(found, scan(row)) })
			if l.Reversed {
				slices.Reverse(found[before:])
			}
			return err
		})
	}
	batch.Queue("COMMIT")
	// Close reads the answers. After an error the pool drops the connection,
	// whose transaction is still open.
	if err := s.db.SendBatch(ctx, batch).Close(); err != nil {
		return nil, pgdb.Explain(ctx, err)
	}
	return found, nil
}

// Feed is part of listings.Store. What is visible is looked up first: rows
// that come meanwhile have higher ids and are left for the next time.
func (s *Store) Feed(ctx context.Context, after, userID, limit int64) (listings.Feed, error) {
	var newest int64
	if err := s.db.QueryRow(ctx, "SELECT coalesce(max(id), 0) FROM listings").Scan(&newest); err != nil {
		return listings.Feed{}, pgdb.Explain(ctx, err)
	}
	feed := listings.Feed{LastID: max(after, newest)}
	if after < 0 || newest <= after {
		return feed, nil
	}
	text := "SELECT " + columns + " FROM listings WHERE id > $1 AND id <= $2 ORDER BY id LIMIT $3"
	args := []any{after, newest, limit}
	if userID != 0 {
		// In the index of a user, ids rise with created_at. The row before the
		// run tells where in time it begins.
		text = "SELECT " + columns + ` FROM listings
			WHERE user_id = $4 AND id <= $2 AND (created_at, id) > (
				coalesce((SELECT created_at FROM listings WHERE id <= $1 ORDER BY id DESC LIMIT 1), 0), $1)
			ORDER BY created_at, id LIMIT $3`
		args = append(args, userID)
	}
	var err error
	if feed.Listings, err = s.query(ctx, limit, text, args...); err != nil {
		return listings.Feed{}, err
	}
	if n := int64(len(feed.Listings)); n == limit {
		feed.LastID = feed.Listings[n-1].ID
	}
	return feed, nil
}

// Changed is part of listings.Store.
func (s *Store) Changed() <-chan struct{} { return s.creates.Changed() }

// Ping is part of listings.Store.
func (s *Store) Ping(ctx context.Context) error { return pgdb.Explain(ctx, s.db.Ping(ctx)) }

// Close is part of listings.Store.
func (s *Store) Close() error {
	s.creates.Close()
	s.db.Close()
	return nil
}

// query runs text with args. expect is the number of rows to make room for.
func (s *Store) query(ctx context.Context, expect int64, text string, args ...any) ([]listings.Listing, error) {
	found := make([]listings.Listing, 0, min(expect, 1000))
	err := s.db.Read(ctx, text, args, func(row *pgdb.Row) { found = append(found, scan(row)) })
	return found, err
}

func scan(row *pgdb.Row) listings.Listing {
	return listings.Listing{
		ID:        row.Int(0),
		UserID:    row.Int(1),
		Type:      listings.TypeOf(row.Bytes(2)),
		Price:     row.Int(3),
		CreatedAt: row.Int(4),
		UpdatedAt: row.Int(5),
	}
}
