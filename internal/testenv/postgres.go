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

// postgresMin is the oldest major version that Postgres accepts.
const postgresMin = 15

// Postgres returns the URL of an empty database for this test, with encoding UTF-8
// and locale C, which it drops after the test.
//
// The server is a throwaway cluster of the test process, on a loopback port. The
// first call starts it; it stops and is removed soon after the process has ended,
// killed or not. Its settings for durability are PostgreSQL's defaults, so that a
// commit costs what it costs in production. TEST_POSTGRES_URL replaces the cluster.
func Postgres(t testing.TB) string {
	t.Helper()
	server := os.Getenv("TEST_POSTGRES_URL")
	if server == "" {
		bin, err := postgresPrograms()
		if err != nil {
			Skip(t, err)
		}
		c, err := startCluster(bin)
		if err != nil {
			t.Fatalf("start PostgreSQL of %s: %v", bin, err)
		}
		server = c.url
	}
	u, err := url.Parse(server)
	if err != nil {
		t.Fatalf("TEST_POSTGRES_URL: %v", err)
	}
	// Random, since other processes may use the same server.
	name := "test_" + strings.ToLower(rand.Text())
	// Not from template1: an administrator may have changed it, and it cannot be copied
	// while a client is connected to it.
	if err := execute(server, "CREATE DATABASE "+name+
		" TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'"); err != nil {
		t.Fatalf("create a database: %v", err)
	}
	t.Cleanup(func() {
		// FORCE closes connections that the test left open. Not a failure, since a test may
		// have stopped the server.
		if err := execute(server, "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			t.Logf("drop the database: %v", err)
		}
	})
	u.Path = "/" + name
	return u.String()
}

// execute runs a statement on its own connection.
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

// postgresPrograms returns the folder of the PostgreSQL server's programs. It looks
// in PATH, in Debian's folders, and where pg_config says.
var postgresPrograms = sync.OnceValues(func() (string, error) {
	var dirs []string
	if path, err := exec.LookPath("postgres"); err == nil {
		// PATH may have links to some of the programs only.
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

	err := errors.New("no PostgreSQL server in PATH, /usr/lib/postgresql or the folder of pg_config")
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
		if _, err := fmt.Sscanf(version, "postgres (PostgreSQL) %d", &major); err == nil && major >= postgresMin {
			return dir, nil
		}
		err = fmt.Errorf("%s has %s, older than %d", dir, version, postgresMin)
	}
	return "", err
})

// cluster is a running throwaway PostgreSQL server.
type cluster struct {
	url string
	// life is this process's end of the pipe whose closing stops the server. The
	// reference keeps the garbage collector from closing it.
	life *os.File
}

// clusterScript creates a cluster, runs it until standard input ends, and removes it.
//
//go:embed cluster.sh
var clusterScript string

var theCluster struct {
	sync.Once
	*cluster
	err error
}

// startCluster returns this process's cluster. The first call starts it, with the
// server's programs in bin.
func startCluster(bin string) (*cluster, error) {
	theCluster.Do(func() { theCluster.cluster, theCluster.err = newCluster(bin) })
	return theCluster.cluster, theCluster.err
}

func newCluster(bin string) (*cluster, error) {
	// The system closes the pipe when this process ends, even by SIGKILL, and then the
	// shell at the other end stops the server. A parent-death signal would come too
	// early: when the thread that started the child ends.
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
	cmd.Dir = "/" // the server's user may not be allowed into the current folder
	// Without the rest of the environment, since PGDATA and others change what the
	// programs do.
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + os.TempDir(), "LC_ALL=C"}
	cmd.Stdin = stdin
	// Not this process's own output: "go test" waits until every process has closed it.
	stdout, err := cmd.StdoutPipe()
	if err == nil {
		err = detach(cmd)
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

// freePorts returns n free loopback ports. There are several, since another process
// may take one before the server does.
func freePorts(n int) ([]string, error) {
	var ports []string
	for range n {
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close() // not before all are open, so that they differ
		_, port, _ := net.SplitHostPort(l.Addr().String())
		ports = append(ports, port)
	}
	return ports, nil
}
