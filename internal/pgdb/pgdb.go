// Package pgdb opens a PostgreSQL database the way a service needs it: a
// connection pool and an up-to-date schema. The PostgreSQL stores of
// backend/listings and backend/users use it; package sqlitedb does the same for
// SQLite. It uses only features that CockroachDB, YugabyteDB and Citus share: no
// advisory locks, no LISTEN, no extensions.
package pgdb

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"runtime"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/veranda-go/veranda/internal/apierror"
	"github.com/veranda-go/veranda/internal/migrate"
)

// ErrClosed is returned by every query after Close. Its kind is Unavailable.
var ErrClosed = apierror.New(apierror.Unavailable, "database is closed")

// Open connects to the database at url and applies the migrations of a service
// that the database lacks. It retries until ctx ends if the database does not
// accept connections yet. Several processes may do so at the same time.
func Open(ctx context.Context, url, service string, migrations fs.FS) (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, errors.New("cannot read the database URL") // the cause may quote the password
	}
	if !strings.Contains(url, "pool_max_conns") {
		config.MaxConns = int32(max(8, 4*runtime.GOMAXPROCS(0)))
	}
	all, err := migrate.Load(migrations)
	if err != nil {
		return nil, err
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	for {
		err := upgrade(ctx, pool, service, all)
		if err == nil {
			return pool, nil
		}
		if temporary(err) {
			select {
			case <-time.After(200 * time.Millisecond):
				continue
			case <-ctx.Done():
			}
		}
		pool.Close()
		return nil, fmt.Errorf("cannot prepare the database: %w", err)
	}
}

// temporary reports whether the database is not up yet, or another process is
// creating the same table.
func temporary(err error) bool {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		var connect *pgconn.ConnectError
		return errors.As(err, &connect)
	}
	switch pg.Code {
	case "23505", "42P07", "42710", // created by another process just now
		"40001", "40P01", // serialization failure, deadlock
		"57P03", "53300": // starting up, too many connections
		return true
	}
	return false
}

// upgrade applies the pending migrations, one transaction for each. The row of
// version 0 is the lock: only its holder migrates.
func upgrade(ctx context.Context, pool *pgxpool.Pool, service string, all []string) error {
	table := service + "_migrations"
	if _, err := pool.Exec(ctx, "CREATE TABLE IF NOT EXISTS "+table+" (version BIGINT PRIMARY KEY)"); err != nil {
		return err
	}
	if _, err := pool.Exec(ctx, "INSERT INTO "+table+" VALUES (0) ON CONFLICT DO NOTHING"); err != nil {
		return err
	}
	for {
		done := false
		err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, "SELECT version FROM "+table+" WHERE version = 0 FOR UPDATE"); err != nil {
				return err
			}
			var version int
			if err := tx.QueryRow(ctx, "SELECT max(version) FROM "+table).Scan(&version); err != nil {
				return err
			}
			pending, err := migrate.Pending(all, version)
			if err != nil {
				return err
			}
			if done = len(pending) == 0; done {
				return nil
			}
			// The simple protocol takes a file of several statements.
			if _, err := tx.Conn().PgConn().Exec(ctx, pending[0]).ReadAll(); err != nil {
				return fmt.Errorf("migration %d: %w", version+1, err)
			}
			_, err = tx.Exec(ctx, "INSERT INTO "+table+" VALUES ($1)", version+1)
			return err
		})
		if err != nil || done {
			return err
		}
	}
}

// Query returns the rows of a statement. fields returns pointers to the fields
// of a row in the order of the columns. Each text stays prepared, so there must
// be few.
func Query[Row any](ctx context.Context, db *pgxpool.Pool, text string, args []any, fields func(*Row) []any) ([]Row, error) {
	rows, _ := db.Query(ctx, text, args...) // Collect returns the error
	found, err := Collect(rows, fields)
	return found, Explain(ctx, err)
}

// Collect returns the remaining rows and closes rows. See [Query] for fields.
func Collect[Row any](rows pgx.Rows, fields func(*Row) []any) (found []Row, err error) {
	found = make([]Row, 0, 16)
	var row Row
	_, err = pgx.ForEachRow(rows, fields(&row), func() error {
		found = append(found, row)
		return nil
	})
	return found, err
}

// Explain turns the driver's errors, by code, into ours.
func Explain(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var (
		pg      *pgconn.PgError
		connect *pgconn.ConnectError
		network net.Error
	)
	switch {
	case errors.As(err, &pg):
		switch pg.Code[:2] {
		case "08", "40", "53", "57", "58": // connection, conflict, resources, operator, system
			return apierror.Wrap(apierror.Unavailable, "database unavailable", err)
		}
		return err
	case errors.As(err, &connect), errors.As(err, &network), pgconn.SafeToRetry(err):
		return apierror.Wrap(apierror.Unavailable, "database unavailable", err)
	case strings.Contains(err.Error(), "closed pool"): // pgxpool has no value to compare with
		return ErrClosed
	}
	return err
}
