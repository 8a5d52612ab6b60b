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
		t.Errorf("two calls gave the same database %s", names[0])
	}
}

func TestPostgresDropsTheDatabase(t *testing.T) {
	var u string
	t.Run("", func(t *testing.T) {
		u = Postgres(t)
		// A connection left open must not keep it.
		if _, err := pgx.Connect(t.Context(), u); err != nil {
			t.Fatal(err)
		}
	})
	if conn, err := pgx.Connect(t.Context(), u); err == nil {
		conn.Close(t.Context())
		t.Error("the database is still there after its test")
	}
}

// TestServerOfOnesOwn has this process's throwaway server stand for a developer's.
func TestServerOfOnesOwn(t *testing.T) {
	server := Postgres(t)
	t.Setenv("TEST_POSTGRES_URL", server)
	if got := Postgres(t); got == server {
		t.Errorf("got the named database itself, %s, want one made for the test", got)
	} else {
		connect(t, got)
	}
}

// TestClusterDiesWithItsProcess kills a child of this test, which is this program
// again, in the middle of a test that has a cluster.
func TestClusterDiesWithItsProcess(t *testing.T) {
	if os.Getenv("NEED_TEST_CHILD") != "" {
		conn := connect(t, Postgres(t))
		var dir string
		if err := conn.QueryRow(t.Context(), "show data_directory").Scan(&dir); err != nil {
			t.Fatal(err)
		}
		fmt.Printf("cluster %s %s\n", dir, conn.Config().ConnString())
		select {}
	}
	if _, err := postgresPrograms(); err != nil {
		missing(t, "POSTGRESQL", err, announce)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command(self, "-test.run", "^"+t.Name()+"$")
	child.Env = append(os.Environ(), "NEED_TEST_CHILD=1", "TEST_POSTGRES_URL=")
	child.Stderr = os.Stderr
	stdout, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer child.Process.Kill()
	var dir, url string
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		if n, _ := fmt.Sscanf(lines.Text(), "cluster %s %s", &dir, &url); n == 2 {
			break
		}
		t.Log("child:", lines.Text())
	}
	if url == "" {
		t.Fatal("the child ended before it had a cluster")
	}
	connect(t, url)

	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	child.Wait()
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
	t.Errorf("the killed process's cluster is still at %s or in %s", url, dir)
}

func TestMissing(t *testing.T) {
	why := errors.New("it was eaten")
	for _, test := range []struct {
		noSkip, want string
		loud         int
	}{
		{"", "skip: SKIPPED FOR WANT OF CAKE: it was eaten", 1},
		{"1", "fatal: NO_SKIP is set, and there is no CAKE: it was eaten", 0},
	} {
		t.Run("NO_SKIP="+test.noSkip, func(t *testing.T) {
			t.Setenv("NO_SKIP", test.noSkip)
			defer toldMissing.Delete("CAKE")
			fake := &fakeTB{TB: t}
			var loud []string
			for range 2 { // the second is not told again
				missing(fake, "CAKE", why, func(line string) { loud = append(loud, line) })
				if fake.verdict != test.want {
					t.Errorf("got %q, want %q", fake.verdict, test.want)
				}
			}
			if len(loud) != test.loud {
				t.Errorf("announced %q, want %d lines", loud, test.loud)
			}
			for _, line := range loud {
				if !strings.HasPrefix(line, "SKIPPED FOR WANT OF CAKE: it was eaten") {
					t.Errorf("announced %q", line)
				}
			}
		})
	}
}

// fakeTB notes how a test would end.
type fakeTB struct {
	testing.TB
	verdict string
}

func (f *fakeTB) Skip(args ...any) { f.verdict = "skip: " + fmt.Sprint(args...) }
func (f *fakeTB) Fatalf(format string, args ...any) {
	f.verdict = "fatal: " + fmt.Sprintf(format, args...)
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

func TestLockFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := lockFile(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := lockFile(over, path); err == nil {
		t.Error("a second caller got the lock")
	}
	unlock()
	if _, err := lockFile(over, path); err != nil {
		t.Errorf("the lock was let go, and a caller did not get it: %v", err)
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
