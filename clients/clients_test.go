// Package clients runs well-known GraphQL clients from npm against the veranda
// binary: the audits of graphql-http, graphql-ws, graphql-sse, Apollo Client,
// Relay's compiler and graphql-codegen. The tests are in the folder test, in
// JavaScript. To run them by hand, after "make build":
//
//	npm ci && PROGRAM=../bin/veranda npm test
package clients

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/veranda-go/veranda/internal/testenv"
)

// summary matches the lines that the tests print of their results.
var summary = regexp.MustCompile(`(?m)^(AUDITS|APOLLO|RELAY|CODEGEN|RECONNECTS) .*$`)

func TestClients(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	node, _ := testenv.Node(t)
	needPackages(t)
	program := filepath.Join(t.TempDir(), "veranda")
	if out, err := exec.Command("go", "build", "-o", program, "../cmd/veranda").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	tests, err := filepath.Glob("test/*.test.js")
	if err != nil || len(tests) == 0 {
		t.Fatalf("no tests: %v", err)
	}
	cmd := exec.CommandContext(t.Context(), node, append([]string{"--test", "--test-reporter=spec"}, tests...)...)
	cmd.Env = append(os.Environ(), "PROGRAM="+program, "NO_COLOR=1")
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // so that it stops its programs
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.CombinedOutput()
	for _, line := range summary.FindAllString(string(out), -1) {
		t.Log(line)
	}
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// needPackages skips t unless node_modules is what package-lock.json says.
func needPackages(t *testing.T) {
	t.Helper()
	lock, err := os.Stat("package-lock.json")
	if err != nil {
		t.Fatal(err)
	}
	// npm writes this file last.
	installed, err := os.Stat("node_modules/.package-lock.json")
	if err != nil {
		testenv.Skip(t, fmt.Errorf("no npm packages: %w", err))
	} else if installed.ModTime().Before(lock.ModTime()) {
		testenv.Skip(t, errors.New("npm packages older than package-lock.json"))
	}
}
