package pgdb

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/veranda-go/veranda/internal/apierror"
	"github.com/veranda-go/veranda/internal/creation"
	"github.com/veranda-go/veranda/internal/testenv"
)

// schema is a set of migrations, one file for each text.
func schema(texts ...string) fstest.MapFS {
	files := fstest.MapFS{}
	for i, text := range texts {
		files["migrations/000"+string(rune('1'+i))+".sql"] = &fstest.MapFile{Data: []byte(text)}
	}
	return files
}

const createThings = `CREATE TABLE things (n BIGINT); -- two statements in one file
	CREATE TABLE things_last (one BIGINT PRIMARY KEY, id BIGINT NOT NULL, created_at BIGINT NOT NULL);
	INSERT INTO things_last VALUES (1, 0, 0);`

func open(t *testing.T, server string, texts ...string) *pgxpool.Pool {
	t.Helper()
	pool, err := Open(t.Context(), server, "things", schema(texts...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// number returns the result of a query for one number.
func number(t *testing.T, pool *pgxpool.Pool, query string) (n int64) {
	t.Helper()
	if err := pool.QueryRow(t.Context(), query).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

func TestUpgrade(t *testing.T) {
	t.Parallel()
	server := testenv.Postgres(t)
	const second, third = "INSERT INTO things VALUES (2); INSERT INTO things VALUES (3);", "INSERT INTO things VALUES (4);"
	for _, step := range []struct {
		texts []string
		rows  int64
	}{
		{[]string{createThings}, 0},
		{[]string{createThings, second, third}, 3},
		{[]string{createThings, second, third}, 3}, // each is applied once
	} {
		pool := open(t, server, step.texts...)
		if got := number(t, pool, "SELECT count(*) FROM things"); got != step.rows {
			t.Errorf("after %d migrations: %d rows, want %d", len(step.texts), got, step.rows)
		}
	}
	if pool, err := Open(t.Context(), server, "things", schema(createThings)); err == nil {
		pool.Close()
		t.Error("an older program opened a newer schema")
	}
	// A migration that fails leaves no trace.
	if pool, err := Open(t.Context(), server, "things", schema(createThings, second, third, "DELETE FROM things; no SQL;")); err == nil {
		pool.Close()
		t.Error("a broken migration was not noticed")
	}
	pool := open(t, server, createThings, second, third)
	if got := number(t, pool, "SELECT count(*) FROM things"); got != 3 {
		t.Errorf("after a broken migration: %d rows, want 3", got)
	}
	// Another service may live in the same database.
	other, err := Open(t.Context(), server, "others", schema("CREATE TABLE others (n BIGINT);"))
	if err != nil {
		t.Fatalf("a second service: %v", err)
	}
	other.Close()
}

// TestDurable checks the setting of the connections for commits.
func TestDurable(t *testing.T) {
	t.Parallel()
	pool := open(t, testenv.Postgres(t), createThings)
	var commit string
	if err := pool.QueryRow(t.Context(), "SELECT current_setting('synchronous_commit')").Scan(&commit); err != nil || commit != "on" {
		t.Errorf("synchronous_commit is %q, %v, want on", commit, err)
	}
}

// TestOpenFails has URLs with a password in them, which no error may show.
func TestOpenFails(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	for _, server := range []string{
		"postgres://veranda:hunter2@127.0.0.1:x/veranda",
		"postgres://veranda:hunter2@127.0.0.1/veranda?sslmode=maybe",
		"postgres://veranda:hunter2@[::1/veranda",
		"password = hunter2 host=127.0.0.1 port=x",
		"postgres://veranda:hunter2@127.0.0.1:1/veranda?sslmode=disable", // no server there
	} {
		pool, err := Open(ctx, server, "things", schema(createThings))
		if err == nil {
			pool.Close()
			t.Errorf("%s was opened", server)
		} else if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the error shows the password: %v", err)
		}
	}
}

// TestOpenWaits starts a service before its database accepts connections.
func TestOpenWaits(t *testing.T) {
	t.Parallel()
	server, err := url.Parse(testenv.Postgres(t))
	if err != nil {
		t.Fatal(err)
	}
	admin, err := pgx.Connect(t.Context(), server.String())
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.WithoutCancel(t.Context())
	defer admin.Close(ctx)
	execute := func(statement string) {
		t.Helper()
		if _, err := admin.Exec(ctx, statement); err != nil {
			t.Errorf("%s: %v", statement, err)
		}
	}
	// A user of its own: the limit does not hold for a superuser, which the tests'
	// user may be.
	name := strings.TrimPrefix(server.Path, "/")
	execute("CREATE ROLE " + name + " LOGIN PASSWORD 'x'; GRANT ALL ON SCHEMA public TO " + name)
	defer execute("DROP OWNED BY " + name + " CASCADE; DROP ROLE " + name)
	execute("ALTER DATABASE " + name + " CONNECTION LIMIT 0")
	server.User = url.UserPassword(name, "x")

	opened := make(chan error)
	go func() {
		pool, err := Open(t.Context(), server.String(), "things", schema(createThings))
		if err == nil {
			pool.Close()
		}
		opened <- err
	}()
	select {
	case err := <-opened:
		t.Errorf("did not wait: %v", err)
		return
	case <-time.After(100 * time.Millisecond): // time for a first try; a slow machine has none, and passes
	}
	execute("ALTER DATABASE " + name + " CONNECTION LIMIT -1")
	if err := <-opened; err != nil {
		t.Errorf("open, once the database accepts connections: %v", err)
	}
}

type thing int64

func insert(ctx context.Context, tx pgx.Tx, things []thing) error {
	for _, n := range things {
		if _, err := tx.Exec(ctx, "INSERT INTO things VALUES ($1)", int64(n)); err != nil {
			return err
		}
	}
	return nil
}

// TestInsert reserves ids from several pools at once: no gap, no id twice, and
// a transaction that fails takes no ids.
func TestInsert(t *testing.T) {
	t.Parallel()
	server := testenv.Postgres(t)
	pools := []*pgxpool.Pool{open(t, server, createThings), open(t, server, createThings)}
	broken := errors.New("broken")
	var (
		mu      sync.Mutex
		ids     []int64
		writing sync.WaitGroup
	)
	for w := range 4 {
		writing.Go(func() {
			for i := range 10 {
				fails := i%3 == 1
				insertThings := Insert(pools[w%2], "things", func(ctx context.Context, tx pgx.Tx, things []thing) error {
					if err := insert(ctx, tx, things); err != nil || !fails {
						return err
					}
					return broken
				})
				var reserved []int64
				err := insertThings(3, nil, 1, func(first, _ int64, _ map[string]creation.Key) ([]thing, []creation.Key) {
					reserved = []int64{first, first + 1, first + 2}
					return []thing{thing(first), thing(first + 1), thing(first + 2)}, nil
				})
				if fails != errors.Is(err, broken) || err != nil && !fails {
					t.Errorf("insert: %v", err)
				}
				if err == nil {
					mu.Lock()
					ids = append(ids, reserved...)
					mu.Unlock()
				}
			}
		})
	}
	writing.Wait()
	slices.Sort(ids)
	for i, id := range ids {
		if id != int64(i+1) {
			t.Fatalf("the reserved ids are %v, want 1 to %d", ids, len(ids))
		}
	}
	if got := number(t, pools[0], "SELECT count(DISTINCT n) FROM things"); got != int64(len(ids)) {
		t.Errorf("%d rows, want %d", got, len(ids))
	}
}

type named struct {
	n    int64
	name string
}

func namedFields(r *named) []any { return []any{&r.n, &r.name} }

// TestQuery uses each mode of pgx that a URL can set: numbers come in either of
// PostgreSQL's formats.
func TestQuery(t *testing.T) {
	t.Parallel()
	server := testenv.Postgres(t)
	for _, mode := range []string{"", "cache_describe", "describe_exec", "exec", "simple_protocol"} {
		address, err := url.Parse(server)
		if err != nil {
			t.Fatal(err)
		}
		settings := address.Query()
		settings.Set("pool_max_conns", "1")
		if mode != "" {
			settings.Set("default_query_exec_mode", mode)
		}
		address.RawQuery = settings.Encode()
		pool := open(t, address.String(), createThings)
		for _, test := range []struct {
			query string
			args  []any
			want  string
		}{
			{"SELECT 1::BIGINT, 'one' WHERE false", nil, "[]"},
			{"SELECT n, 'name' FROM (VALUES (-1::BIGINT), (9223372036854775807)) AS v (n)", nil, "[{-1 name} {9223372036854775807 name}]"},
			{"SELECT $1::BIGINT, $2::TEXT LIMIT $3", []any{int64(-7), "é'", int64(1)}, "[{-7 é'}]"},
			{"SELECT $1::BIGINT, ''", []any{int64(math.MinInt64)}, "[{-9223372036854775808 }]"},
			{"SELECT n, 'any' FROM (VALUES (1::BIGINT), (2)) AS v (n) WHERE n = ANY($1)", []any{[]int64{2, 3}}, "[{2 any}]"},
			{"SELECT $1::INTEGER::BIGINT, 'four bytes'", []any{int64(5)}, "[{5 four bytes}]"},
		} {
			if got, err := Query(t.Context(), pool, test.query, test.args, namedFields); err != nil || fmt.Sprint(got) != test.want {
				t.Errorf("%q: %s: %v, %v, want %s", mode, test.query, got, err, test.want)
			}
		}
		canceled, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		_, err = Query(canceled, pool, "SELECT 1::BIGINT, pg_sleep(60)::TEXT", nil, namedFields)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%q: a query that is canceled: %v", mode, err)
		}
		for _, query := range []string{
			"SELECT NULL::BIGINT, 'null'",
			"SELECT 'x', 'text'",
			"SELECT 10 / n, 'then an error' FROM (VALUES (1::BIGINT), (0)) AS v (n)",
			"SELECT 1::BIGINT, 'one', $1::BIGINT", // no argument
			"no SQL",
		} {
			if got, err := Query(t.Context(), pool, query, nil, namedFields); err == nil {
				t.Errorf("%q: %s: no error but %v", mode, query, got)
			}
			// The connection, the only one, is usable for the next query.
			if got, err := Query(t.Context(), pool, "SELECT 1::BIGINT, 'one'", nil, namedFields); err != nil || len(got) != 1 {
				t.Errorf("%q: after %s: %v, %v", mode, query, got, err)
			}
		}
	}
}

// TestQueryAfterChange has a statement prepared before its table changes.
func TestQueryAfterChange(t *testing.T) {
	t.Parallel()
	pool := open(t, testenv.Postgres(t)+"&pool_max_conns=1", createThings+"INSERT INTO things VALUES (7);")
	query := func(columns string) (int64, error) {
		found, err := Query(t.Context(), pool, "SELECT * FROM things", nil, func(r *[2]int64) []any {
			return []any{&r[0], &r[1]}[:len(columns)]
		})
		if err != nil || len(found) != 1 {
			return 0, err
		}
		return found[0][0], nil
	}
	columns := "n"
	for _, change := range []string{
		"SELECT",
		"ALTER TABLE things ADD COLUMN more BIGINT NOT NULL DEFAULT 0",
		"DEALLOCATE ALL",
	} {
		if _, err := pool.Exec(t.Context(), change, pgx.QueryExecModeSimpleProtocol); err != nil {
			t.Fatal(err)
		}
		if change != "SELECT" {
			columns = "nm"
		}
		_, _ = query(columns) // this one may fail
		if n, err := query(columns); err != nil || n != 7 {
			t.Errorf("after %s: %d, %v", change, n, err)
		}
	}
}

func TestExplain(t *testing.T) {
	t.Parallel()
	server := testenv.Postgres(t)
	pool := open(t, server, createThings)
	ctx := t.Context()
	query := func(text string) error {
		_, err := pool.Exec(ctx, text)
		return Explain(ctx, err)
	}
	if err := query("SELECT 1"); err != nil {
		t.Errorf("no error became %v", err)
	}
	for text, want := range map[string]apierror.Kind{
		"SELECT nothing FROM nowhere": apierror.Internal, // a bug
		"SELECT 1/0":                  apierror.Internal,
		"SELECT pg_terminate_backend(pg_backend_pid())":               apierror.Unavailable,
		"SET statement_timeout = 1; SELECT pg_sleep(60)":              apierror.Unavailable, // canceled by the operator
		"DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '40001'; END $$": apierror.Unavailable,
		"DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '53100'; END $$": apierror.Unavailable, // disk full
	} {
		err := query(text)
		if err == nil || apierror.KindOf(err) != want {
			t.Errorf("%s: %v of kind %d, want kind %d", text, err, apierror.KindOf(err), want)
		}
		if got := apierror.From(err).Messages()[0]; got != "internal error" && got != "database unavailable" {
			t.Errorf("%s: the message is %q", text, got)
		}
	}
	canceled, cancel := context.WithCancel(ctx)
	cancel()
	_, err := pool.Exec(canceled, "SELECT 1")
	if err := Explain(canceled, err); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v, want %v", err, context.Canceled)
	}
	pool.Close()
	if err := query("SELECT 1"); !errors.Is(err, ErrClosed) {
		t.Errorf("closed: %v, want %v", err, ErrClosed)
	}
	// A server that is gone.
	gone, err := pgxpool.New(ctx, "postgres://veranda@127.0.0.1:1/veranda?sslmode=disable")
	if err != nil {
		t.Fatal(err)
	}
	defer gone.Close()
	_, err = gone.Exec(ctx, "SELECT 1")
	if err := Explain(ctx, err); apierror.KindOf(err) != apierror.Unavailable {
		t.Errorf("server gone: %v of kind %d, want unavailable", err, apierror.KindOf(err))
	}
}
