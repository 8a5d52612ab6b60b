// Package pgdb opens a PostgreSQL database the way a service needs it: a pool
// and an up-to-date schema. The postgres stores of backend/listings and
// backend/users stand on it. It uses only what CockroachDB, YugabyteDB and
// Citus have as well: no advisory locks, no LISTEN, no extensions.
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

// ErrClosed is what every method of a store returns after Close.
var ErrClosed = apierror.New(apierror.Unavailable, "database is closed")

// Open connects to the database at url and brings the schema of service up to
// date. A database that does not answer yet is tried until ctx ends. It is
// safe when several processes do so at once.
func Open(ctx context.Context, url, service string, migrations fs.FS) (*DB, error) {
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
			mode := config.ConnConfig.DefaultQueryExecMode
			return &DB{pool, mode == pgx.QueryExecModeCacheStatement}, nil
		}
		if !worthAnotherTry(err) || !sleep(ctx, 200*time.Millisecond) {
			pool.Close()
			return nil, fmt.Errorf("cannot prepare the database: %w", err)
		}
	}
}

func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// worthAnotherTry tells a database that is not up yet, or another process
// that creates the same table, from a mistake.
func worthAnotherTry(err error) bool {
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

// upgrade applies what is missing, one transaction for each file. The row of
// version 0 is the lock: who holds it is the only one to migrate.
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

// createTimeout bounds one transaction of many creations, in which no single
// caller's context can have a say.
const createTimeout = 15 * time.Second

// Create runs insert in a transaction that holds the only row of table
// service_last, from which it takes the ids of n rows and their time: the
// first id of an unbroken run, and created, which never falls.
func Create(db *DB, service string, n int, now time.Time,
	insert func(ctx context.Context, tx pgx.Tx, firstID, created int64) error,
) error {
	ctx, cancel := context.WithTimeout(context.Background(), createTimeout)
	defer cancel()
	err := pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		var last, created int64
		err := tx.QueryRow(ctx, "UPDATE "+service+"_last SET id = id + $1, created_at = greatest(created_at, $2) WHERE one = 1 RETURNING id, created_at",
			n, now.UnixMicro()).Scan(&last, &created)
		if err != nil {
			return err
		}
		return insert(ctx, tx, last-int64(n)+1, created)
	})
	return Explain(ctx, err)
}
