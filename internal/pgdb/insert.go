package pgdb

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/veranda-go/veranda/internal/creation"
	"github.com/veranda-go/veranda/internal/idempotency"
)

// insertTimeout bounds a transaction. It serves many callers, so it does not
// follow the context of any.
const insertTimeout = 15 * time.Second

// Insert returns how package creation inserts into a table, whose last id and
// time are the only row of the table with the suffix _last, and whose
// idempotency keys are in the one with the suffix _keys. insert inserts at least
// one row.
func Insert[Row any](db *pgxpool.Pool, table string, insert func(context.Context, pgx.Tx, []Row) error) creation.Insert[Row] {
	keyTable := table + "_keys"
	var (
		// Holds the lock of the row until the transaction ends.
		reserve = "UPDATE " + table + "_last SET id = id + $1, created_at = greatest(created_at, $2) WHERE one = 1 RETURNING id, created_at"
		find    = "SELECT key, digest, id, created_at FROM " + keyTable + " WHERE key = ANY($1) AND created_at > $2"
		// An old key may still be there.
		keep = "INSERT INTO " + keyTable + ` (key, digest, id, created_at)
			SELECT key, digest, id, $4 FROM unnest($1::TEXT[], $2::TEXT[], $3::BIGINT[]) AS new (key, digest, id)
			ON CONFLICT (key) DO UPDATE SET digest = excluded.digest, id = excluded.id, created_at = excluded.created_at`
		// ARRAY, because with a plain subquery a plan may read the whole table.
		forget = "DELETE FROM " + keyTable + " WHERE key = ANY(ARRAY(SELECT key FROM " + keyTable + " WHERE created_at <= $1 ORDER BY created_at LIMIT $2))"
	)
	// find and forget are planned each time: a plan that was made for an empty
	// table reads the whole of it.
	const planned = pgx.QueryExecModeExec

	return func(n int, keys []string, now int64, decide func(firstID, at int64, known map[string]creation.Key) ([]Row, []creation.Key)) error {
		ctx, cancel := context.WithTimeout(context.Background(), insertTimeout)
		defer cancel()
		return Explain(ctx, pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
			var last, at int64
			if err := tx.QueryRow(ctx, reserve, n, now).Scan(&last, &at); err != nil {
				return err
			}
			expired := at - idempotency.Keep.Microseconds()
			known := map[string]creation.Key{}
			if len(keys) > 0 {
				found, _ := tx.Query(ctx, find, planned, keys, expired)
				var k creation.Key
				if _, err := pgx.ForEachRow(found, []any{&k.Key, &k.Digest, &k.ID, &k.CreatedAt}, func() error {
					known[k.Key] = k
					return nil
				}); err != nil {
					return err
				}
			}
			rows, added := decide(last-int64(n)+1, at, known)
			if len(rows) == 0 {
				return nil
			}
			if err := insert(ctx, tx, rows); err != nil || len(added) == 0 {
				return err
			}
			var (
				newKeys, digests []string
				ids              []int64
			)
			for _, k := range added {
				newKeys, digests, ids = append(newKeys, k.Key), append(digests, k.Digest), append(ids, k.ID)
			}
			if _, err := tx.Exec(ctx, keep, newKeys, digests, ids, at); err != nil {
				return err
			}
			// Two old keys for each new one: this keeps up with any load and is never
			// slow.
			_, err := tx.Exec(ctx, forget, planned, expired, 2*len(added))
			return err
		}))
	}
}
