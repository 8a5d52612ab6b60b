package sqlitedb

import (
	"zombiezen.com/go/sqlite"

	"github.com/veranda-go/veranda/internal/creation"
	"github.com/veranda-go/veranda/internal/idempotency"
)

// Insert returns how package creation inserts into a table with an
// AUTOINCREMENT id. insert inserts one row. The idempotency keys are in the
// table with the suffix _keys.
func Insert[Row any](db *DB, table string, insert func(*sqlite.Conn, Row) error) creation.Insert[Row] {
	keyTable := table + "_keys"
	var (
		last = "SELECT (SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = '" + table + "'), coalesce(max(created_at), 0) FROM " + table
		find = "SELECT key, digest, id, created_at FROM " + keyTable + " WHERE key = ? AND created_at > ?"
		// An old key may still be there.
		keep   = "INSERT OR REPLACE INTO " + keyTable + " (key, digest, id, created_at) VALUES (?, ?, ?, ?)"
		forget = "DELETE FROM " + keyTable + " WHERE key IN (SELECT key FROM " + keyTable + " WHERE created_at <= ? ORDER BY created_at LIMIT +?)"
	)
	return func(_ int, keys []string, now int64, decide func(firstID, at int64, known map[string]creation.Key) ([]Row, []creation.Key)) error {
		return db.Write(func(c *sqlite.Conn) error {
			firstID, at := int64(1), now
			if err := Rows(c, last, nil, func(row *sqlite.Stmt) {
				firstID, at = row.ColumnInt64(0)+1, max(now, row.ColumnInt64(1))
			}); err != nil {
				return err
			}
			expired := at - idempotency.Keep.Microseconds()
			known := map[string]creation.Key{}
			for _, key := range keys {
				if err := Rows(c, find, []any{key, expired}, func(row *sqlite.Stmt) {
					known[key] = creation.Key{Key: key, Digest: row.ColumnText(1), ID: row.ColumnInt64(2), CreatedAt: row.ColumnInt64(3)}
				}); err != nil {
					return err
				}
			}
			rows, added := decide(firstID, at, known)
			for _, row := range rows {
				if err := insert(c, row); err != nil {
					return err
				}
			}
			for _, k := range added {
				if err := Rows(c, keep, []any{k.Key, k.Digest, k.ID, k.CreatedAt}, nil); err != nil {
					return err
				}
			}
			if len(added) == 0 {
				return nil
			}
			// Two old keys for each new one: this keeps up with any load and is never
			// slow.
			return Rows(c, forget, []any{expired, int64(2 * len(added))}, nil)
		})
	}
}
