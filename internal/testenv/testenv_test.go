package testenv

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

func TestPostgres(t *testing.T) {
	var names []string
	for range 2 {
		conn := connect(t, Postgres(t))
		var one, tables int
		var name, fsync, commit string
		err := conn.QueryRow(t.Context(), `select 1, current_database(),
			(select count(*) from pg_tables where schemaname = 'public'),
			current_setting('fsync'), current_setting('synchronous_commit')`,
		).Scan(&one, &name, &tables, &fsync, &commit)
		if err != nil {
			t.Fatal(err)
		}
		if one != 1 || tables != 0 {
			t.Errorf("got %d and %d tables, want 1 and none", one, tables)
		}
		if fsync != "on" || commit != "on" {
			t.Errorf("fsync is %s and synchronous_commit %s, want both on", fsync, commit)
		}
		if _, err := conn.Exec(t.Context(), "create table mine (id int)"); err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	if names[0] == names[1] {
		t.Errorf("two calls returned the same database %s", names[0])
	}
}

func TestPostgresDropsTheDatabase(t *testing.T) {
	var u string
	t.Run("", func(t *testing.T) {
		u = Postgres(t)
		// An open connection must not prevent it.
		if _, err := pgx.Connect(t.Context(), u); err != nil {
			t.Fatal(err)
		}
	})
	if conn, err := pgx.Connect(t.Context(), u); err == nil {
		conn.Close(t.Context())
		t.Error("the database exists after the test")
	}
}

// TestPostgresURL uses this process's throwaway server as the one that
// TEST_POSTGRES_URL names.
func TestPostgresURL(t *testing.T) {
	server := Postgres(t)
	t.Setenv("TEST_POSTGRES_URL", server)
	if got := Postgres(t); got == server {
		t.Errorf("got the database of TEST_POSTGRES_URL, %s, want a new one", got)
	} else {
		connect(t, got)
	}
}

// TestClusterDiesWithItsProcess kills another process of this test program while it
// uses its cluster.
func TestClusterDiesWithItsProcess(t *testing.T) {
	if os.Getenv("TESTENV_CHILD") != "" {
		conn := connect(t, Postgres(t))
		var dir string
		if err := conn.QueryRow(t.Context(), "show data_directory").Scan(&dir); err != nil {
			t.Fatal(err)
		}
		fmt.Printf("cluster %s %s\n", dir, conn.Config().ConnString())
		select {}
	}
	if _, err := postgresPrograms(); err != nil {
		Skip(t, err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command(self, "-test.run", "^"+t.Name()+"$")
	child.Env = append(os.Environ(), "TESTENV_CHILD=1", "TEST_POSTGRES_URL=")
	child.Stderr = os.Stderr
	stdout, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = child.Process.Kill() }()
	var dir, url string
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		if n, _ := fmt.Sscanf(lines.Text(), "cluster %s %s", &dir, &url); n == 2 {
			break
		}
		t.Log("child:", lines.Text())
	}
	if url == "" {
		t.Fatal("the child ended before it printed its cluster")
	}
	connect(t, url)

	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait() // killed
	for range 600 {
		conn, connErr := pgx.Connect(t.Context(), url)
		if connErr == nil {
			conn.Close(t.Context())
		}
		_, statErr := os.Stat(filepath.Dir(dir))
		if connErr != nil && errors.Is(statErr, os.ErrNotExist) {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Errorf("the killed process's cluster is still running at %s or stored in %s", url, dir)
}

func TestSkip(t *testing.T) {
	for _, test := range []struct{ noSkip, want string }{
		{"", "skip: no cake in PATH; scripts/test installs what is missing"},
		{"1", "fatal: no cake in PATH, and NO_SKIP is set"},
	} {
		t.Setenv("NO_SKIP", test.noSkip)
		fake := &fakeTB{TB: t}
		Skip(fake, errors.New("no cake in PATH"))
		if len(fake.calls) == 0 || fake.calls[0] != test.want {
			t.Errorf("NO_SKIP=%s: got %q, want %q", test.noSkip, fake.calls, test.want)
		}
	}
}

// fakeTB records how a test would end, and goes on.
type fakeTB struct {
	testing.TB
	calls []string
}

func (f *fakeTB) Skipf(format string, args ...any) {
	f.calls = append(f.calls, "skip: "+fmt.Sprintf(format, args...))
}

func (f *fakeTB) Fatalf(format string, args ...any) {
	f.calls = append(f.calls, "fatal: "+fmt.Sprintf(format, args...))
}

func TestChromium(t *testing.T) {
	args := append(ChromiumFlags(), "--dump-dom", "--user-data-dir="+t.TempDir(), "data:text/html,<p>it runs</p>")
	out, err := exec.Command(Chromium(t), args...).Output()
	if err != nil || !strings.Contains(string(out), "<p>it runs</p>") {
		t.Errorf("got %q, %v", out, err)
	}
}

func TestNode(t *testing.T) {
	node, npm := Node(t)
	if out, err := exec.Command(node, "-p", "6*7").Output(); err != nil || string(out) != "42\n" {
		t.Errorf("node: got %q, %v", out, err)
	}
	if out, err := exec.Command(npm, "--version").Output(); err != nil {
		t.Errorf("npm: got %q, %v", out, err)
	}
}

// connect returns a connection that is closed after the test.
func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}
