// Package sqlitedb opens an SQLite file the way a service needs it: one
// connection that writes, durably, and a pool of readers beside it. The SQLite
// stores of backend/listings and backend/users use it; package pgdb does the
// same for PostgreSQL.
package sqlitedb

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/puddle/v2"
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/veranda-go/veranda/internal/apierror"
	"github.com/veranda-go/veranda/internal/migrate"
)

// busyTimeout is how long a writer waits for another process's transaction.
const busyTimeout = 10 * time.Second

// DB is an open file. Make it with Open.
type DB struct {
	mu     sync.Mutex // held by a transaction
	writer *sqlite.Conn
	closed bool

	// readers lends the connection that was used last, whose pages are in the
	// processor's caches: in turns, a short query would take up to twice as long.
	readers *puddle.Pool[*sqlite.Conn]
}

// ErrClosed is returned by every method after Close. Its kind is Unavailable.
var ErrClosed = apierror.New(apierror.Unavailable, "database is closed")

// Open opens or creates the file at path, and its folder if there is none, and
// applies the migrations that the file lacks. Several processes may do so at
// the same time.
func Open(ctx context.Context, path string, migrations fs.FS) (*DB, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	writer, err := connect(path, sqlite.OpenReadWrite|sqlite.OpenCreate)
	if err != nil {
		return nil, err
	}
	if err := upgrade(ctx, writer, migrations); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), writer.Close())
	}
	readers, err := puddle.NewPool(&puddle.Config[*sqlite.Conn]{
		Constructor: func(context.Context) (*sqlite.Conn, error) { return connect(path, sqlite.OpenReadOnly) },
		Destructor:  func(c *sqlite.Conn) { _ = c.Close() },
		MaxSize:     int32(max(4, 2*runtime.GOMAXPROCS(0))),
	})
	if err != nil {
		return nil, errors.Join(err, writer.Close())
	}
	return &DB{writer: writer, readers: readers}, nil
}

func connect(path string, flags sqlite.OpenFlags) (*sqlite.Conn, error) {
	c, err := sqlite.OpenConn(path, flags)
	if err != nil {
		return nil, fmt.Errorf("cannot open %s: %w", path, err)
	}
	// The timeout comes first: switching to WAL takes a lock, and another
	// process may be doing the same.
	c.SetBusyTimeout(busyTimeout)
	// The cache takes twice its size in memory: the driver allocates 8 KB for a
	// page of 4 KB and its header. Readers with 16 MB each are no faster.
	pragmas := []string{"foreign_keys = ON", "cache_size = -8000"}
	if flags&sqlite.OpenReadOnly == 0 {
		// In WAL mode only FULL waits for the disk at each commit; NORMAL would
		// lose committed rows in a power cut.
		// A checkpoint at 32 MB of log, not at SQLite's 4 MB: rows that belong in
		// many places of several indexes make each checkpoint write the same pages
		// again, which was half of all bytes written.
		pragmas = append(pragmas, "cache_size = -16000", "journal_mode = WAL", "synchronous = FULL", "wal_autocheckpoint = 8000")
	}
	for _, p := range pragmas {
		if err := pragma(c, p); err != nil {
			return nil, errors.Join(fmt.Errorf("cannot prepare %s: %w", path, err), c.Close())
		}
	}
	return c, nil
}

// pragma sets a pragma. When two processes switch a new file to WAL at the same
// time, each holds a lock that the other needs, and SQLite returns BUSY to one
// of them without waiting: that one tries again.
func pragma(c *sqlite.Conn, text string) error {
	for start := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		err := sqlitex.ExecuteTransient(c, "PRAGMA "+text, nil)
		if sqlite.ErrCode(err).ToPrimary() != sqlite.ResultBusy || time.Since(start) > busyTimeout {
			return err
		}
	}
}

// upgrade applies the pending migrations in one transaction, which excludes
// other processes too. user_version is the number of applied migrations.
func upgrade(ctx context.Context, c *sqlite.Conn, migrations fs.FS) (err error) {
	all, err := migrate.Load(migrations)
	if err != nil {
		return err
	}
	defer c.SetInterrupt(c.SetInterrupt(ctx.Done()))
	end, err := sqlitex.ImmediateTransaction(c)
	if err != nil {
		return err
	}
	defer end(&err)
	version, err := sqlitex.ResultInt(c.Prep("PRAGMA user_version"))
	if err != nil {
		return err
	}
	pending, err := migrate.Pending(all, version)
	if err != nil {
		return err
	}
	for _, text := range pending {
		version++
		if err := sqlitex.ExecuteScript(c, text, nil); err != nil {
			return fmt.Errorf("migration %d: %w", version, err)
		}
	}
	return sqlitex.ExecuteTransient(c, fmt.Sprintf("PRAGMA user_version = %d", version), nil)
}

// Read runs f with a connection that only reads. It waits for one until ctx
// ends; f itself is not interrupted, see [DB.ReadLong].
func (db *DB) Read(ctx context.Context, f func(*sqlite.Conn) error) error {
	reader, err := db.readers.Acquire(ctx)
	if err != nil {
		return explain(ctx, err)
	}
	defer reader.Release()
	return explain(ctx, f(reader.Value()))
}

// ReadLong is Read for queries that may take long: the end of ctx interrupts
// them. Arming the interrupt takes 10 µs, half as long as a short query.
func (db *DB) ReadLong(ctx context.Context, f func(*sqlite.Conn) error) error {
	return db.Read(ctx, func(c *sqlite.Conn) error {
		defer c.SetInterrupt(c.SetInterrupt(ctx.Done()))
		return f(c)
	})
}

// Write runs f in a transaction and returns when it is on disk. An error of f
// rolls the transaction back.
func (db *DB) Write(f func(*sqlite.Conn) error) (err error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.closed {
		return ErrClosed
	}
	defer func() { err = explain(context.Background(), err) }()
	end, err := sqlitex.ImmediateTransaction(db.writer)
	if err != nil {
		return err
	}
	defer end(&err)
	return f(db.writer)
}

// Ping returns an error unless the file can be read.
func (db *DB) Ping(ctx context.Context) error {
	return db.Read(ctx, func(c *sqlite.Conn) error {
		_, err := sqlitex.ResultInt64(c.Prep("SELECT count(*) FROM sqlite_schema"))
		return err
	})
}

// Close waits for the queries and the transaction in progress and closes the
// file.
func (db *DB) Close() error {
	db.readers.Close()
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.closed {
		return nil
	}
	db.closed = true
	// The last connection to close moves the log into the file, so that a copy of
	// the file alone is complete after a clean stop.
	return db.writer.Close()
}

// explain turns the driver's errors, by code, into ours.
func explain(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, puddle.ErrClosedPool) {
		return ErrClosed
	}
	switch sqlite.ErrCode(err).ToPrimary() {
	case sqlite.ResultInterrupt:
		if ctx.Err() != nil {
			return ctx.Err()
		}
	case sqlite.ResultBusy, sqlite.ResultLocked, sqlite.ResultFull, sqlite.ResultIOErr, sqlite.ResultCantOpen, sqlite.ResultReadOnly:
		return apierror.Wrap(apierror.Unavailable, "database unavailable", err)
	}
	return err
}

// Query returns the rows of a statement, read by scan. See [Rows] for args.
func Query[T any](ctx context.Context, read func(context.Context, func(*sqlite.Conn) error) error,
	text string, args []any, scan func(*sqlite.Stmt) T,
) (found []T, err error) {
	found = make([]T, 0, 16)
	err = read(ctx, func(c *sqlite.Conn) error {
		return Rows(c, text, args, func(row *sqlite.Stmt) { found = append(found, scan(row)) })
	})
	return found, err
}

// Rows runs a statement with args, each an int64 or a string, and calls f for
// each row of its result.
//
// A LIMIT must be written as LIMIT +?. SQLite's planner uses the value of a
// plain LIMIT ?, and so compiles the statement again whenever a value is bound,
// which takes as long as reading a page.
func Rows(c *sqlite.Conn, text string, args []any, f func(*sqlite.Stmt)) error {
	stmt, err := c.Prepare(text)
	if err != nil {
		return err
	}
	defer stmt.Reset() // so that an error does not keep the snapshot open
	for i, a := range args {
		switch a := a.(type) {
		case int64:
			stmt.BindInt64(i+1, a)
		case string:
			stmt.BindText(i+1, a)
		default:
			panic(fmt.Sprintf("sqlitedb: argument %d is a %T", i+1, a))
		}
	}
	for {
		more, err := stmt.Step()
		if err != nil || !more {
			return err
		}
		f(stmt)
	}
}

// IDs returns ids as a JSON array, in their order and each once, for json_each:
// a list of any length as one argument.
func IDs(ids []int64) string {
	b := []byte{'['}
	seen := make(map[int64]struct{}, len(ids))
	for _, id := range ids {
		if _, ok := seen[id]; ok {
			continue
		}
		seen[id] = struct{}{}
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, id, 10)
	}
	return string(append(b, ']'))
}
