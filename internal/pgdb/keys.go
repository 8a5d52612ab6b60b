package pgdb

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/veranda-go/veranda/internal/idempotency"
)

// FindKeys looks in table service_keys for those of keys that are not
// forgotten at now, in microseconds since the Unix epoch. Within [Create] no
// other process can add to them.
func FindKeys(ctx context.Context, tx pgx.Tx, service string, keys []string, now int64) (map[string]idempotency.Kept, error) {
	found := map[string]idempotency.Kept{}
	if len(keys) == 0 {
		return found, nil
	}
	// Planned each time: a plan that was made for an empty table reads it whole.
	rows, err := tx.Query(ctx, "SELECT key, digest, id, created_at FROM "+service+"_keys WHERE key = ANY($1) AND created_at > $2",
		pgx.QueryExecModeExec, keys, idempotency.Since(now))
	if err != nil {
		return nil, err
	}
	var (
		key  string
		kept idempotency.Kept
	)
	_, err = pgx.ForEachRow(rows, []any{&key, &kept.Digest, &kept.ID, &kept.CreatedAt}, func() error {
		found[key] = kept
		return nil
	})
	return found, err
}

// KeepKeys keeps new keys, and removes up to twice as many that are forgotten
// at now: so it keeps up with any load and never takes long.
func KeepKeys(ctx context.Context, tx pgx.Tx, service string, kept map[string]idempotency.Kept, now int64) error {
	if len(kept) == 0 {
		return nil
	}
	var (
		keys, digests []string
		ids           []int64
	)
	for key, k := range kept {
		keys, digests, ids = append(keys, key), append(digests, k.Digest), append(ids, k.ID)
	}
	table := service + "_keys"
	// A key that is forgotten may not be removed yet.
	_, err := tx.Exec(ctx, "INSERT INTO "+table+` (key, digest, id, created_at)
		SELECT key, digest, id, $4 FROM unnest($1::TEXT[], $2::TEXT[], $3::BIGINT[]) AS new (key, digest, id)
		ON CONFLICT (key) DO UPDATE SET digest = excluded.digest, id = excluded.id, created_at = excluded.created_at`,
		keys, digests, ids, now)
	if err != nil {
		return err
	}
	// Planned each time, and with an array: with a subquery too a plan may come
	// to read the whole table.
	_, err = tx.Exec(ctx, "DELETE FROM "+table+" WHERE key = ANY(ARRAY(SELECT key FROM "+table+" WHERE created_at <= $1 ORDER BY created_at LIMIT $2))",
		pgx.QueryExecModeExec, idempotency.Since(now), 2*len(kept))
	return err
}
