// Package testenv finds what tests need besides Go: a PostgreSQL server, a
// Chromium, Node with npm. It installs nothing: scripts/test does. A test that
// lacks something is skipped by name, or fails where NO_SKIP is set.
//
// The tests of backend/*/postgres, internal/pgdb, cmd/veranda and clients use
// it. No other code may import it.
//
// Environment variables:
//
//   - NO_SKIP: when set, a test that lacks something fails.
//   - TEST_POSTGRES_URL: the URL of a PostgreSQL server to use in place of a
//     throwaway one; its user may create databases.
package testenv

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// nodeMin is the oldest major version of Node that Node accepts.
const nodeMin = 20

// Chromium returns the path of a Chromium or Chrome.
func Chromium(t testing.TB) string {
	t.Helper()
	path, err := lookPath("chromium", "chromium-browser", "google-chrome", "google-chrome-stable",
		"/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
		"/Applications/Chromium.app/Contents/MacOS/Chromium")
	if err != nil {
		missing(t, "Chromium", err)
	}
	return path
}

// ChromiumFlags returns the command line flags of a headless Chromium that runs
// as root on a closed network.
func ChromiumFlags() []string {
	return []string{
		"--headless",
		"--no-sandbox",            // the sandbox refuses root
		"--disable-dev-shm-usage", // containers have a /dev/shm of 64 MB, and tabs crash when it is full
		"--disable-gpu",
		"--disable-quic",
		"--no-first-run",
		// These would connect to other hosts and wait for them:
		"--disable-background-networking",
		"--disable-component-update",
		"--disable-sync",
	}
}

// Node returns the paths of node, version 20 or later, and of npm.
func Node(t testing.TB) (node, npm string) {
	t.Helper()
	node, err := lookPath("node")
	if err == nil {
		err = checkNode(node)
	}
	if err == nil {
		npm, err = lookPath("npm")
	}
	if err != nil {
		missing(t, "Node", err)
	}
	return node, npm
}

func checkNode(node string) error {
	out, err := exec.Command(node, "--version").Output()
	if err != nil {
		return fmt.Errorf("%s --version: %w", node, err)
	}
	version := strings.TrimSpace(string(out))
	var major int
	fmt.Sscanf(version, "v%d", &major)
	if major < nodeMin {
		return fmt.Errorf("%s is %s, and %d or later is needed", node, version, nodeMin)
	}
	return nil
}

// lookPath returns the path of the first of the programs that is in PATH.
func lookPath(names ...string) (string, error) {
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("no %s in PATH", names[0])
}

// missing skips t, or fails it where NO_SKIP is set.
func missing(t testing.TB, what string, why error) {
	t.Helper()
	if os.Getenv("NO_SKIP") != "" {
		t.Fatalf("NO_SKIP is set, and there is no %s: %v", what, why)
	}
	t.Skipf("no %s: %v; scripts/test installs what it can", what, why)
}
