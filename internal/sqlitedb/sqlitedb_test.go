package sqlitedb

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/veranda-go/veranda/internal/apierror"
)

// schema is a set of migrations, one file for each text.
func schema(texts ...string) fstest.MapFS {
	files := fstest.MapFS{}
	for i, text := range texts {
		files["migrations/000"+string(rune('1'+i))+".sql"] = &fstest.MapFile{Data: []byte(text)}
	}
	return files
}

const createThings = "CREATE TABLE things (n INTEGER) STRICT;"

func open(t *testing.T, path string, texts ...string) *DB {
	t.Helper()
	db, err := Open(t.Context(), path, schema(texts...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return db
}

// number returns the result of a query for one number.
func number(t *testing.T, db *DB, query string) (n int64) {
	t.Helper()
	err := db.Read(t.Context(), func(c *sqlite.Conn) (err error) {
		n, err = sqlitex.ResultInt64(c.Prep(query))
		return err
	})
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

func insert(n int64) func(*sqlite.Conn) error {
	return func(c *sqlite.Conn) error {
		return Rows(c, "INSERT INTO things VALUES (?)", []any{n}, nil)
	}
}

// TestDurable checks the settings of the writer for commits. A killed process
// loses nothing either way; a power cut, which no test can make, loses commits
// when synchronous is less than FULL.
func TestDurable(t *testing.T) {
	t.Parallel()
	db := open(t, filepath.Join(t.TempDir(), "new", "folder", "x.db"), createThings)
	err := db.Write(func(c *sqlite.Conn) error {
		return Rows(c, "SELECT journal_mode, synchronous FROM pragma_journal_mode, pragma_synchronous", nil, func(row *sqlite.Stmt) {
			if mode, level := row.ColumnText(0), row.ColumnInt64(1); mode != "wal" || level < 2 {
				t.Errorf("journal mode %s, synchronous %d, want wal and 2, which is FULL", mode, level)
			}
		})
	})
	if err != nil {
		t.Error(err)
	}
}

func TestUpgrade(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "x.db")
	const second, third = "INSERT INTO things VALUES (2); INSERT INTO things VALUES (3);", "INSERT INTO things VALUES (4);"
	for _, step := range []struct {
		texts []string
		rows  int64
	}{
		{[]string{createThings}, 0},
		{[]string{createThings, second, third}, 3},
		{[]string{createThings, second, third}, 3}, // each is applied once
	} {
		db := open(t, path, step.texts...)
		if got := number(t, db, "SELECT count(*) FROM things"); got != step.rows {
			t.Errorf("after %d migrations: %d rows, want %d", len(step.texts), got, step.rows)
		}
	}
	if db, err := Open(t.Context(), path, schema(createThings)); err == nil {
		db.Close()
		t.Error("an older program opened a newer schema")
	}
	// A migration that fails leaves no trace of itself or of those before it.
	if db, err := Open(t.Context(), path, schema(createThings, second, third, "DELETE FROM things;", "CREATE TABLE more (n); no SQL;")); err == nil {
		db.Close()
		t.Error("a broken migration was not noticed")
	}
	db := open(t, path, createThings, second, third)
	if got := number(t, db, "SELECT count(*) FROM things"); got != 3 {
		t.Errorf("after a broken migration: %d rows, want 3", got)
	}
	if got := number(t, db, "SELECT count(*) FROM sqlite_schema WHERE name = 'more'"); got != 0 {
		t.Error("a broken migration has left its table")
	}
}

func TestOpenFails(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	text := filepath.Join(dir, "text")
	if err := os.WriteFile(text, []byte(strings.Repeat("This is no database. ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, text, filepath.Join(text, "below.db")} {
		if db, err := Open(t.Context(), path, schema(createThings)); err == nil {
			db.Close()
			t.Errorf("%s was opened", path)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if db, err := Open(ctx, filepath.Join(dir, "x.db"), schema(createThings)); err == nil {
		db.Close()
		t.Error("opened, but the context has ended")
	}
}

func TestWriteIsAtomic(t *testing.T) {
	t.Parallel()
	db := open(t, filepath.Join(t.TempDir(), "x.db"), createThings)
	broken := errors.New("broken")
	err := db.Write(func(c *sqlite.Conn) error {
		if err := insert(1)(c); err != nil {
			return err
		}
		return broken
	})
	if !errors.Is(err, broken) {
		t.Errorf("error %v, want %v", err, broken)
	}
	if got := number(t, db, "SELECT count(*) FROM things"); got != 0 {
		t.Errorf("%d rows of a transaction that failed", got)
	}
	if err := db.Write(insert(2)); err != nil {
		t.Errorf("the next transaction: %v", err)
	}
	if got := number(t, db, "SELECT sum(n) FROM things"); got != 2 {
		t.Errorf("sum %d, want 2", got)
	}
	if err := db.Read(t.Context(), insert(3)); apierror.KindOf(err) != apierror.Unavailable {
		t.Errorf("writing with a reader: error %v, want unavailable", err)
	}
}

// endless is a query that never ends unless it is interrupted.
const endless = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"

func TestReadLongIsInterrupted(t *testing.T) {
	t.Parallel()
	db := open(t, filepath.Join(t.TempDir(), "x.db"), createThings)
	ctx, cancel := context.WithCancel(t.Context())
	err := db.ReadLong(ctx, func(c *sqlite.Conn) error {
		go cancel()
		return Rows(c, endless, nil, nil)
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want %v", err, context.Canceled)
	}
	// The connection is usable for the next query.
	number(t, db, "SELECT 1")
}

// TestReadersTakeTheLastUsed has readers inside each other, so that all
// connections are in use at once, and then one after the other.
func TestReadersTakeTheLastUsed(t *testing.T) {
	t.Parallel()
	db := open(t, filepath.Join(t.TempDir(), "x.db"), createThings)
	var used []*sqlite.Conn // the last one first
	var read func(depth int32)
	read = func(depth int32) {
		err := db.Read(t.Context(), func(c *sqlite.Conn) error {
			if depth > 1 {
				read(depth - 1)
			}
			if slices.Contains(used, c) {
				t.Error("a connection has two users")
			}
			used = slices.Insert(used, 0, c)
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
	read(db.readers.Stat().MaxResources())
	for range 3 {
		_ = db.Read(t.Context(), func(c *sqlite.Conn) error {
			if c != used[0] {
				t.Error("not the connection that was used last")
			}
			return nil
		})
	}
}

func TestClose(t *testing.T) {
	t.Parallel()
	db := open(t, filepath.Join(t.TempDir(), "x.db"), createThings)
	closed := make(chan error)
	err := db.Read(t.Context(), func(c *sqlite.Conn) error {
		go func() { closed <- db.Close() }()
		for !errors.Is(db.Ping(t.Context()), ErrClosed) {
			runtime.Gosched()
		}
		// The connection must stay open until the query ends.
		return Rows(c, "SELECT 1", nil, func(*sqlite.Stmt) {})
	})
	if err != nil {
		t.Errorf("a query during Close: %v", err)
	}
	if err := <-closed; err != nil {
		t.Errorf("close: %v", err)
	}
	if err := db.Close(); err != nil {
		t.Errorf("second close: %v", err)
	}
	for name, err := range map[string]error{
		"ping":  db.Ping(t.Context()),
		"read":  db.Read(t.Context(), insert(1)),
		"write": db.Write(insert(1)),
	} {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("%s after close: %v, want %v", name, err, ErrClosed)
		}
	}
}

func TestIDs(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		ids  []int64
		want string
	}{
		{nil, "[]"},
		{[]int64{7}, "[7]"},
		{[]int64{3, 1, 3, 2, 1}, "[3,1,2]"},
		{[]int64{math.MinInt64, 0, math.MaxInt64}, "[-9223372036854775808,0,9223372036854775807]"},
	} {
		if got := IDs(test.ids); got != test.want {
			t.Errorf("%v: %s, want %s", test.ids, got, test.want)
		}
	}
}
