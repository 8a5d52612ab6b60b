// Package need finds what a test needs from outside Go: a PostgreSQL server, a
// Chromium, Node with npm. What is not there is installed where that is easy (root on
// a Debian-like system); where it is not, the test is skipped, loudly.
//
// The tests of backend/*/postgres, cmd/veranda and the playground call it, so that
// "go test ./..." is all there is to type on a fresh machine. Nothing but tests may
// import it: it is never linked into the binary.
//
// Environment variables:
//
//   - NO_SKIP: when set, a missing need fails the test instead of skipping it.
//   - TEST_POSTGRES_URL: the URL of a PostgreSQL server to use in place of a throwaway one.
package testenv

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// nodeMin is the oldest Node major version that Node accepts.
const nodeMin = 20

// Chromium returns the path of a Chromium or Chrome, installed when there is none.
func Chromium(t testing.TB) string {
	t.Helper()
	path, err := chromium()
	if err != nil {
		missing(t, "CHROMIUM", err, announce)
	}
	return path
}

var chromium = sync.OnceValues(func() (string, error) {
	return findOrInstall(func() (string, error) {
		return lookPath("chromium", "chromium-browser", "google-chrome", "google-chrome-stable",
			"/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
			"/Applications/Chromium.app/Contents/MacOS/Chromium")
	}, "chromium")
})

// ChromiumFlags returns the command line flags for a headless Chromium that runs as
// root on a closed network. With chromedp:
//
//	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(testenv.Chromium(t)))
//	for _, flag := range testenv.ChromiumFlags() {
//		opts = append(opts, chromedp.Flag(strings.TrimPrefix(flag, "--"), true))
//	}
func ChromiumFlags() []string {
	return []string{
		"--headless",
		"--no-sandbox",            // the sandbox refuses root
		"--disable-dev-shm-usage", // containers have a /dev/shm of 64 MB, and tabs crash when it is full
		"--disable-gpu",
		"--disable-quic",
		"--no-first-run",
		// What would call home, and on a closed network wait for an answer:
		"--disable-background-networking",
		"--disable-component-update",
		"--disable-sync",
	}
}

// Node returns the paths of node, version 20 or later, and of npm, installed when they
// are not there. Debian 12 packages an older node: there the test is skipped unless
// node comes from elsewhere.
func Node(t testing.TB) (node, npm string) {
	t.Helper()
	paths, err := nodeAndNpm()
	if err != nil {
		missing(t, "NODE", err, announce)
	}
	return paths[0], paths[1]
}

var nodeAndNpm = sync.OnceValues(func() (paths [2]string, err error) {
	paths[0], err = findOrInstall(func() (string, error) { return lookPath("node") }, "nodejs")
	if err != nil {
		return paths, err
	}
	out, err := exec.Command(paths[0], "--version").Output()
	if err != nil {
		return paths, fmt.Errorf("%s --version: %w", paths[0], err)
	}
	version := strings.TrimSpace(string(out))
	var major int
	fmt.Sscanf(version, "v%d", &major)
	if major < nodeMin {
		return paths, fmt.Errorf("%s is %s, and %d or later is needed", paths[0], version, nodeMin)
	}
	// Only now: Debian's npm is hundreds of packages, all in vain if node is too old.
	paths[1], err = findOrInstall(func() (string, error) { return lookPath("npm") }, "npm")
	return paths, err
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

// missing skips t, or fails it when NO_SKIP is set, because what is not to be had. The
// first skip of the process for want of each thing is also told to loud, since
// "go test" without -v does not show that anything was skipped.
func missing(t testing.TB, what string, why error, loud func(line string)) {
	t.Helper()
	if os.Getenv("NO_SKIP") != "" {
		t.Fatalf("NO_SKIP is set, and there is no %s: %v", what, why)
		return
	}
	line := fmt.Sprintf("SKIPPED FOR WANT OF %s: %v", what, why)
	if _, told := toldMissing.LoadOrStore(what, true); !told {
		loud(line + " (" + filepath.Base(os.Args[0]) + ", from " + t.Name() + " on; set NO_SKIP=1 to fail instead)")
	}
	t.Skip(line)
}

// toldMissing has the names of what was announced as missing.
var toldMissing sync.Map

// announce writes line where a person may see it. What a test writes to its standard
// error is no such place: "go test" with a list of packages, "./..." too, throws away
// the output of a package that passes, unless it has -v. So the line goes, whichever
// can be written first, to
//
//   - the standard error of the "go" command that runs this test, through /proc, on
//     Linux, when that is a terminal or a pipe (a regular file has its own write
//     position, and two writers would overwrite each other);
//   - the terminal, if there is one;
//   - the standard error of this process, seen with -v or when the package fails.
func announce(line string) {
	line = "\n" + line + "\n"
	parent := fmt.Sprintf("/proc/%d", os.Getppid())
	exe, _ := os.Readlink(parent + "/exe")
	if filepath.Base(exe) == "go" && writeStream(parent+"/fd/2", line) == nil {
		return
	}
	if writeStream("/dev/tty", line) == nil {
		return
	}
	fmt.Fprint(os.Stderr, line)
}

// writeStream writes text to the terminal or pipe that path names.
func writeStream(path, text string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.Mode()&(os.ModeCharDevice|os.ModeNamedPipe) == 0 {
		return fmt.Errorf("%s is no terminal and no pipe", path)
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteString(text)
	return err
}
