package testenv

import (
	"bufio"
	"context"
	"crypto/rand"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// postgresMin is the oldest PostgreSQL major version that Postgres accepts.
const postgresMin = 15

// Postgres returns the URL of an empty database made for this test, and dropped after
// it. Text sorts by bytes there (UTF-8, locale C), whatever the machine's language.
//
// The server is one throwaway cluster for the whole test process, on a loopback port,
// started by the first call and removed soon after the process ends, however it
// ends. It
// keeps PostgreSQL's settings for durability, so a commit waits for the disk. If TEST_POSTGRES_URL is set, it names the server to use instead, by a URL
// whose user may create databases.
func Postgres(t testing.TB) string {
	t.Helper()
	server := os.Getenv("TEST_POSTGRES_URL")
	if server == "" {
		bin, err := postgresPrograms()
		if err != nil {
			missing(t, "PostgreSQL", err)
		}
		c, err := startCluster(bin)
		if err != nil {
			t.Fatalf("testenv: starting PostgreSQL of %s: %v", bin, err)
		}
		server = c.url
	}
	u, err := url.Parse(server)
	if err != nil {
		t.Fatalf("testenv: TEST_POSTGRES_URL: %v", err)
	}
	// rand, since other processes may use the same server.
	name := "test_" + strings.ToLower(rand.Text())
	// From template0: template1 may hold what an administrator put there, and cannot be
	// copied while anyone is connected to it.
	if err := execute(server, "CREATE DATABASE "+name+
		" TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'"); err != nil {
		t.Fatalf("testenv: creating a database: %v", err)
	}
	t.Cleanup(func() {
		// FORCE, for the connections that the test left open. A test may have stopped the
		// server, so this is no failure.
		if err := execute(server, "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			t.Logf("testenv: dropping the test's database: %v", err)
		}
	})
	u.Path = "/" + name
	return u.String()
}

// execute runs one statement on a connection of its own.
func execute(server, statement string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, server)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, statement)
	return err
}

// postgresPrograms returns the folder of the PostgreSQL server's programs.
var postgresPrograms = sync.OnceValues(findPostgres)

// findPostgres looks for the server's programs in PATH, where Debian hides them, and
// where pg_config says they are.
func findPostgres() (string, error) {
	var dirs []string
	if path, err := exec.LookPath("postgres"); err == nil {
		// PATH may have links to some of the programs, and the folder they are in has all.
		if path, err := filepath.EvalSymlinks(path); err == nil {
			dirs = append(dirs, filepath.Dir(path))
		}
	}
	debian, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	slices.Reverse(debian) // the newest first
	dirs = append(dirs, debian...)
	if out, err := exec.Command("pg_config", "--bindir").Output(); err == nil {
		dirs = append(dirs, strings.TrimSpace(string(out)))
	}

	err := fmt.Errorf("no PostgreSQL server programs in PATH, /usr/lib/postgresql or the folder of pg_config")
	for _, dir := range dirs {
		if _, err := exec.LookPath(filepath.Join(dir, "initdb")); err != nil {
			continue
		}
		if _, err := exec.LookPath(filepath.Join(dir, "pg_ctl")); err != nil {
			continue
		}
		out, runErr := exec.Command(filepath.Join(dir, "postgres"), "--version").Output()
		if runErr != nil {
			continue
		}
		version := strings.TrimSpace(string(out))
		var major int
		fmt.Sscanf(version, "postgres (PostgreSQL) %d", &major)
		if major >= postgresMin {
			return dir, nil
		}
		err = fmt.Errorf("%s has %s, and %d or later is needed", dir, version, postgresMin)
	}
	return "", err
}

// cluster is a running throwaway PostgreSQL server.
type cluster struct {
	url string
	// life is this process's end of the pipe whose closing ends the server. It is kept
	// here because an os.File that nothing refers to is closed by the garbage collector.
	life *os.File
}

// clusterScript makes a cluster, serves it until its standard input ends, and removes it.
//
//go:embed cluster.sh
var clusterScript string

var theCluster struct {
	sync.Once
	*cluster
	err error
}

// startCluster starts this process's cluster, with the server's programs in bin, unless
// it is running already.
func startCluster(bin string) (*cluster, error) {
	theCluster.Do(func() { theCluster.cluster, theCluster.err = newCluster(bin) })
	return theCluster.cluster, theCluster.err
}

func newCluster(bin string) (*cluster, error) {
	// The system closes the pipe however this process ends, by SIGKILL too; and the
	// shell at its other end, which nobody kills, then stops the server. The parent-death
	// signal would not do: it comes when the thread that started the child ends, and Go
	// ends threads at will.
	stdin, life, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer stdin.Close()
	ports, err := freePorts(5)
	if err != nil {
		life.Close()
		return nil, err
	}
	cmd := exec.Command("/bin/sh", append([]string{"-c", clusterScript, "cluster.sh", bin}, ports...)...)
	cmd.Dir = "/" // the user that the server runs as may be kept out of the current folder
	// Nothing else of the environment, where PGDATA and its like would change what the
	// programs do.
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + os.TempDir(), "LC_ALL=C"}
	cmd.Stdin = stdin
	// Not this process's own output: "go test" waits until nobody holds that any more.
	stdout, err := cmd.StdoutPipe()
	if err == nil {
		err = setApart(cmd)
	}
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		life.Close()
		return nil, err
	}
	var output []string
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		if port, ok := strings.CutPrefix(lines.Text(), "ready on port "); ok {
			return &cluster{
				url:  "postgres://postgres@127.0.0.1:" + port + "/postgres?sslmode=disable",
				life: life,
			}, nil
		}
		output = append(output, lines.Text())
	}
	life.Close()
	return nil, errors.Join(cmd.Wait(), errors.New(strings.Join(output, "\n")))
}

// freePorts returns n loopback ports that are free now. Another process may take one
// before the server does, which is why there are several.
func freePorts(n int) ([]string, error) {
	var ports []string
	for range n {
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close() // after all are picked, so that they differ
		_, port, _ := net.SplitHostPort(l.Addr().String())
		ports = append(ports, port)
	}
	return ports, nil
}
