package sqlite

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/veranda-go/veranda/backend/listings"
)

// childVariable makes this test program a writer of the file that it names.
const childVariable = "VERANDA_TEST_CRASH_FILE"

func TestMain(m *testing.M) {
	if path := os.Getenv(childVariable); path != "" {
		fmt.Fprintln(os.Stderr, writeUntilKilled(path))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// writeUntilKilled creates listings from several goroutines, so that commits
// have many rows, and prints the id of each one that is acknowledged.
func writeUntilKilled(path string) error {
	s, err := Open(context.Background(), path)
	if err != nil {
		return err
	}
	failed := make(chan error)
	for range 8 {
		go func() {
			for {
				l, _, err := s.Create(context.Background(), listings.Draft{UserID: 7, Type: listings.Sale, Price: 1}, "")
				if err != nil {
					failed <- err
					return
				}
				// One unbuffered write for each line: a printed id is acknowledged.
				_, _ = os.Stdout.WriteString(strconv.FormatInt(l.ID, 10) + "\n")
			}
		}()
	}
	return <-failed
}

// TestKill kills processes that write: what they have acknowledged must be
// there for the next processes. Each round has two processes on one file,
// which in the first round both find without a schema.
func TestKill(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "listings.db")
	acknowledged := map[int64]bool{}
	for round := range 3 {
		var (
			mu      sync.Mutex
			running sync.WaitGroup
		)
		for process := range 2 {
			// Different ends: one of the two is killed amid the other's writing.
			enough := 100 * (process + 1)
			running.Go(func() {
				ids, err := killAfter(path, enough)
				if err != nil {
					t.Errorf("round %d: %v", round, err)
				}
				mu.Lock()
				defer mu.Unlock()
				for _, id := range ids {
					if acknowledged[id] {
						t.Errorf("round %d: id %d was assigned twice", round, id)
					}
					acknowledged[id] = true
				}
			})
		}
		running.Wait()
		verify(t, path, acknowledged)
	}
}

// verify opens the file of the killed processes and looks for each id.
func verify(t *testing.T, path string, acknowledged map[int64]bool) {
	t.Helper()
	s, err := Open(t.Context(), path)
	if err != nil {
		t.Fatalf("the file cannot be opened after the kill: %v", err)
	}
	defer s.Close()
	rows, err := s.List(t.Context(), listings.Query{Limit: 1 << 40})
	if err != nil {
		t.Fatal(err)
	}
	have := make(map[int64]bool, len(rows))
	for _, l := range rows {
		have[l.ID] = true
	}
	for id := range acknowledged {
		if !have[id] {
			t.Errorf("id %d was acknowledged and but is missing", id)
		}
	}
	t.Logf("%d acknowledged, %d rows", len(acknowledged), len(rows))
}

// killAfter starts a writing process, kills it when it has acknowledged enough
// ids, and returns all that it acknowledged.
func killAfter(path string, enough int) ([]int64, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	child := exec.Command(self)
	child.Env = append(os.Environ(), childVariable+"="+path)
	var stderr strings.Builder
	child.Stderr = &stderr
	out, err := child.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := child.Start(); err != nil {
		return nil, err
	}
	defer func() { _ = child.Wait() }() // the error of the kill

	var ids []int64
	for lines := bufio.NewReader(out); ; {
		line, err := lines.ReadString('\n')
		if err == io.EOF { // a partial line acknowledges nothing
			break
		}
		if err != nil {
			return ids, err
		}
		id, err := strconv.ParseInt(strings.TrimSuffix(line, "\n"), 10, 64)
		if err != nil {
			return ids, err
		}
		if ids = append(ids, id); len(ids) == enough {
			if err := child.Process.Kill(); err != nil {
				return ids, err
			}
		}
	}
	if len(ids) < enough {
		return ids, fmt.Errorf("the writer ended on its own after %d rows: %s", len(ids), stderr.String())
	}
	return ids, nil
}
