// Package testenv finds the programs that tests need beside Go: a PostgreSQL
// server, Chromium, and Node with npm. A test that needs a missing program is
// skipped. It installs nothing: that is the part of scripts/test.
//
// The tests of backend/*/postgres, internal/pgdb, cmd/veranda and clients use it.
// Only tests may import it.
//
// Environment variables:
//
//   - NO_SKIP: if set, a test that needs a missing program fails instead.
//   - TEST_POSTGRES_URL: the URL of a PostgreSQL server to use instead of a
//     throwaway one. Its user must be allowed to create databases.
package testenv

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
)

// The oldest version that Node accepts.
const nodeMajor, nodeMinor = 20, 19

// Chromium returns the path of Chromium or Chrome.
func Chromium(t testing.TB) string {
	t.Helper()
	path, err := lookPath("chromium", "chromium-browser", "google-chrome", "google-chrome-stable",
		"/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
		"/Applications/Chromium.app/Contents/MacOS/Chromium")
	if err != nil {
		Skip(t, err)
	}
	return path
}

// ChromiumFlags returns the command line flags for a headless Chromium that runs as
// root without a network. With chromedp:
//
//	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(testenv.Chromium(t)))
//	for _, flag := range testenv.ChromiumFlags() {
//		opts = append(opts, chromedp.Flag(strings.TrimPrefix(flag, "--"), true))
//	}
func ChromiumFlags() []string {
	return []string{
		"--headless",
		"--no-sandbox",            // the sandbox refuses root
		"--disable-dev-shm-usage", // the 64 MB of /dev/shm in a container are too few for a tab
		"--disable-gpu",
		"--disable-quic",
		"--no-first-run",
		// Requests to other hosts, which time out without a network:
		"--disable-background-networking",
		"--disable-component-update",
		"--disable-sync",
	}
}

// Node returns the paths of node, version 20.19 or newer, and of npm.
func Node(t testing.TB) (node, npm string) {
	t.Helper()
	paths, err := nodeAndNpm()
	if err != nil {
		Skip(t, err)
	}
	return paths[0], paths[1]
}

var nodeAndNpm = sync.OnceValues(func() (paths [2]string, err error) {
	for i, name := range []string{"node", "npm"} {
		if paths[i], err = lookPath(name); err != nil {
			return paths, err
		}
	}
	out, err := exec.Command(paths[0], "--version").Output()
	if err != nil {
		return paths, fmt.Errorf("%s --version: %w", paths[0], err)
	}
	version := strings.TrimSpace(string(out))
	var major, minor int
	if _, err := fmt.Sscanf(version, "v%d.%d.", &major, &minor); err != nil {
		return paths, fmt.Errorf("%s --version: %q: %w", paths[0], version, err)
	}
	if major < nodeMajor || major == nodeMajor && minor < nodeMinor {
		return paths, fmt.Errorf("%s is %s, older than %d.%d", paths[0], version, nodeMajor, nodeMinor)
	}
	return paths, nil
})

// lookPath returns the path of the first of the programs that is in PATH.
func lookPath(names ...string) (string, error) {
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("no %s in PATH", names[0])
}

// Skip skips t, or fails it if NO_SKIP is set, because of why.
func Skip(t testing.TB, why error) {
	t.Helper()
	if os.Getenv("NO_SKIP") != "" {
		t.Fatalf("%v, and NO_SKIP is set", why)
	}
	t.Skipf("%v; scripts/test installs what is missing", why)
}
