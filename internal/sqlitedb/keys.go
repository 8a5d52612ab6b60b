package sqlitedb

import (
	"zombiezen.com/go/sqlite"

	"github.com/veranda-go/veranda/internal/idempotency"
)

// Keys is a table of idempotency keys. Its methods are called within
// [DB.Write], so that a key is kept with what it created or not at all.
type Keys struct {
	find, keep, sweep string
}

// KeysOf is the table service_keys.
func KeysOf(service string) Keys {
	table := service + "_keys"
	return Keys{
		find: "SELECT digest, id, created_at FROM " + table + " WHERE key = ? AND created_at > ?",
		// A key that is forgotten may not be swept yet.
		keep:  "INSERT OR REPLACE INTO " + table + " (key, digest, id, created_at) VALUES (?, ?, ?, ?)",
		sweep: "DELETE FROM " + table + " WHERE key IN (SELECT key FROM " + table + " WHERE created_at <= ? ORDER BY created_at LIMIT +?)",
	}
}

// Find looks for a key that is not forgotten at now, in microseconds since the
// Unix epoch.
func (k Keys) Find(c *sqlite.Conn, key string, now int64) (kept idempotency.Kept, ok bool, err error) {
	err = Rows(c, k.find, []any{key, idempotency.Since(now)}, func(row *sqlite.Stmt) {
		ok = true
		kept = idempotency.Kept{Digest: row.ColumnText(0), ID: row.ColumnInt64(1), CreatedAt: row.ColumnInt64(2)}
	})
	return kept, ok, err
}

// Keep keeps a key.
func (k Keys) Keep(c *sqlite.Conn, key string, kept idempotency.Kept) error {
	return Rows(c, k.keep, []any{key, kept.Digest, kept.ID, kept.CreatedAt}, nil)
}

// Sweep removes keys that are forgotten at now. After n new ones it removes up
// to twice as many, so it keeps up with any load and never takes long.
func (k Keys) Sweep(c *sqlite.Conn, now int64, n int) error {
	if n == 0 {
		return nil
	}
	return Rows(c, k.sweep, []any{idempotency.Since(now), int64(2 * n)}, nil)
}
