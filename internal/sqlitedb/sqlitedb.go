// Package litedb opens an SQLite file the way a service needs it: one
// connection that writes, durably, and a pool that reads beside it. The
// sqlite stores of backend/listings and backend/users stand on it.
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

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/veranda-go/veranda/internal/apierror"
	"github.com/veranda-go/veranda/internal/migrate"
)

// busyTimeout is how long a writer waits for another process's transaction.
const busyTimeout = 10 * time.Second

// DB is one open file. Make it with Open.
type DB struct {
	mu     sync.Mutex // one transaction at a time
	writer *sqlite.Conn

	readers readers
	size    int // of readers, those that are in use too
	closed  chan struct{}
	once    sync.Once
}

// readers are the connections that nobody uses. Who comes gets the one that was
// used last: in turns, each would find its pages gone from the processor's
// caches, and a short query takes twice as long then.
type readers struct {
	free chan struct{} // one for each of conns
	mu   sync.Mutex
	// conns may be taken from by whoever has received from free.
	conns []*sqlite.Conn
}

func (r *readers) take() *sqlite.Conn {
	r.mu.Lock()
	defer r.mu.Unlock()
	last := len(r.conns) - 1
	c := r.conns[last]
	r.conns = r.conns[:last]
	return c
}

func (r *readers) put(c *sqlite.Conn) {
	r.mu.Lock()
	r.conns = append(r.conns, c)
	r.mu.Unlock()
	r.free <- struct{}{}
}

// ErrClosed is what every method returns after Close.
var ErrClosed = apierror.New(apierror.Unavailable, "database is closed")

// Open opens or creates the file at path, whose folder is made if need be,
// and brings its schema up to date. It is safe when several processes do so
// at once.
func Open(ctx context.Context, path string, migrations fs.FS) (*DB, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	size := max(4, 2*runtime.GOMAXPROCS(0))
	db := &DB{closed: make(chan struct{}), readers: readers{free: make(chan struct{}, size)}}
	var err error
	if db.writer, err = connect(path, sqlite.OpenReadWrite|sqlite.OpenCreate); err != nil {
		return nil, err
	}
	if err := upgrade(ctx, db.writer, migrations); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), db.writer.Close())
	}
	for range size {
		c, err := connect(path, sqlite.OpenReadOnly)
		if err != nil {
			return nil, errors.Join(err, db.Close())
		}
		db.readers.put(c)
		db.size++
	}
	return db, nil
}

func connect(path string, flags sqlite.OpenFlags) (*sqlite.Conn, error) {
	c, err := sqlite.OpenConn(path, flags)
	if err != nil {
		return nil, fmt.Errorf("cannot open %s: %w", path, err)
	}
	// The timeout comes first: switching to WAL takes a lock, and another
	// process may be doing the same.
	c.SetBusyTimeout(busyTimeout)
	// In memory a cache takes twice its size: what the driver allocates for a page
	// and its header, a little over 4 KB, is 8 KB. Readers that had 16 MB each
	// answered no faster.
	pragmas := []string{"foreign_keys = ON", "cache_size = -8000"}
	if flags&sqlite.OpenReadOnly == 0 {
		// In WAL mode only FULL waits for the disk at each commit; NORMAL
		// would lose acknowledged rows in a power cut.
		// The log may grow to 32 MB before it is moved into the file: with SQLite's
		// 4 MB, rows that land all over several indexes have it moved again and
		// again, for half of all that is written.
		pragmas = append(pragmas, "cache_size = -16000", "journal_mode = WAL", "synchronous = FULL", "wal_autocheckpoint = 8000")
	}
	for _, p := range pragmas {
		if err := pragma(c, p); err != nil {
			return nil, errors.Join(fmt.Errorf("cannot prepare %s: %w", path, err), c.Close())
		}
	}
	return c, nil
}

// pragma sets one. Of two processes that switch a new file to WAL at once,
// SQLite refuses one without waiting, as each holds what the other wants: that
// one has to try again.
func pragma(c *sqlite.Conn, text string) error {
	for start := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		err := sqlitex.ExecuteTransient(c, "PRAGMA "+text, nil)
		if sqlite.ErrCode(err).ToPrimary() != sqlite.ResultBusy || time.Since(start) > busyTimeout {
			return err
		}
	}
}

// upgrade applies what is missing in one transaction, which also is the lock
// against a second process. user_version counts the applied files.
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

// Read runs f with a connection that only reads.
func (db *DB) Read(ctx context.Context, f func(*sqlite.Conn) error) error {
	select {
	case <-db.closed:
		return ErrClosed
	default:
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-db.closed:
		return ErrClosed
	case <-db.readers.free:
		c := db.readers.take()
		defer db.readers.put(c)
		if err := ctx.Err(); err != nil {
			return err
		}
		return explain(ctx, f(c))
	}
}

// ReadLong is Read for a query that may take long: when ctx ends, it is
// interrupted. To be ready for that costs 10 µs, half of a short query.
func (db *DB) ReadLong(ctx context.Context, f func(*sqlite.Conn) error) error {
	return db.Read(ctx, func(c *sqlite.Conn) error {
		defer c.SetInterrupt(c.SetInterrupt(ctx.Done()))
		return f(c)
	})
}

// Write runs f in one transaction and returns when it is on disk.
func (db *DB) Write(f func(*sqlite.Conn) error) (err error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	select {
	case <-db.closed:
		return ErrClosed
	default:
	}
	defer func() { err = explain(context.Background(), err) }()
	end, err := sqlitex.ImmediateTransaction(db.writer)
	if err != nil {
		return err
	}
	defer end(&err)
	return f(db.writer)
}

// Ping tells whether the file can be read.
func (db *DB) Ping(ctx context.Context) error {
	return db.Read(ctx, func(c *sqlite.Conn) error {
		_, err := sqlitex.ResultInt64(c.Prep("SELECT count(*) FROM sqlite_schema"))
		return err
	})
}

// Close waits for what is under way and closes the file.
func (db *DB) Close() error {
	var errs []error
	db.once.Do(func() {
		close(db.closed)
		for len(errs) < db.size {
			select {
			case <-db.readers.free:
				errs = append(errs, db.readers.take().Close())
			case <-time.After(busyTimeout):
				errs = append(errs, errors.New("a query did not end"))
			}
		}
		db.mu.Lock()
		defer db.mu.Unlock()
		// The last connection to close moves the log into the file, so a copy
		// of the file alone is whole after a clean stop.
		errs = append(errs, db.writer.Close())
	})
	return errors.Join(errs...)
}

// explain turns the driver's errors, by code, into ours.
func explain(ctx context.Context, err error) error {
	if err == nil {
		return nil
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

// Rows runs a statement with args, each an int64 or a string, and calls f for
// every row that it gives.
//
// LIMIT wants its argument as +?. Of LIMIT ? alone SQLite takes the value for a
// hint how to plan, and so prepares the statement anew each time that one is
// bound, which takes as long as to read a page.
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
			panic(fmt.Sprintf("litedb: argument %d is a %T", i+1, a))
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

// IDs makes a JSON array of distinct ids, in their order, for json_each: the
// way to give SQLite a list of any length as one argument.
func IDs(ids []int64) string {
	b := make([]byte, 0, 12*len(ids)+2)
	b = append(b, '[')
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
