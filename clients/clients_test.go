// Package clients runs clients of others, from npm, against the program as it
// is: graphql-http's audits, graphql-ws, graphql-sse, Apollo Client, Relay's
// compiler and graphql-codegen. The tests themselves are in the folder test,
// in JavaScript; by hand, with the binary in bin:
//
//	npm ci && PROGRAM=../bin/veranda npm test
package clients

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/veranda-go/veranda/internal/testenv"
)

// counts are the lines that tests print beside pass and fail.
var counts = regexp.MustCompile(`(?m)^(AUDITS|APOLLO|RELAY|CODEGEN|RECONNECTS) .*$`)

func TestClients(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	node, npm := testenv.Node(t)
	install(t, npm)
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
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // so that it stops the programs it started
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.CombinedOutput()
	for _, line := range counts.FindAllString(string(out), -1) {
		t.Log(line)
	}
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// install makes node_modules what package-lock.json says, unless it is.
func install(t *testing.T, npm string) {
	t.Helper()
	lock, err := os.Stat("package-lock.json")
	if err != nil {
		t.Fatal(err)
	}
	// npm writes this file last.
	if done, err := os.Stat("node_modules/.package-lock.json"); err == nil && !done.ModTime().Before(lock.ModTime()) {
		return
	}
	out, err := exec.CommandContext(t.Context(), npm, "ci", "--no-audit", "--no-fund").CombinedOutput()
	if err != nil && os.Getenv("NO_SKIP") == "" {
		t.Skipf("SKIPPED FOR WANT OF NPM PACKAGES: %v\n%s", err, out)
	}
	if err != nil {
		t.Fatalf("npm ci: %v\n%s", err, out)
	}
}
