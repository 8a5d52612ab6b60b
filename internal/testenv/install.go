package testenv

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// installTime bounds one install, the wait for another process's install included. Two
// of them fit in the ten minutes that "go test" gives a package.
const installTime = 4 * time.Minute

// findOrInstall returns what look finds, after installing Debian packages if it finds
// nothing.
func findOrInstall(look func() (string, error), packages ...string) (string, error) {
	found, err := look()
	if err == nil {
		return found, nil
	}
	aptGet, aptErr := exec.LookPath("apt-get")
	switch {
	case os.Geteuid() != 0:
		return "", fmt.Errorf("%w; not root, so nothing is installed", err)
	case aptErr != nil:
		return "", fmt.Errorf("%w; no apt-get to install it with", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), installTime)
	defer cancel()
	// "go test ./..." runs several test processes at once, and dpkg allows one.
	unlock, lockErr := lockFile(ctx, filepath.Join(os.TempDir(), "veranda-need.lock"))
	if lockErr != nil {
		return "", fmt.Errorf("%w; waiting to install it: %w", err, lockErr)
	}
	defer unlock()
	if found, err := look(); err == nil { // another process has installed it meanwhile
		return found, nil
	}
	announce(fmt.Sprintf("%v: installing %s with apt-get", err, strings.Join(packages, " ")))
	if instErr := install(ctx, aptGet, packages); instErr != nil {
		return "", fmt.Errorf("%w; installing it: %w", err, instErr)
	}
	return look()
}

// install installs Debian packages.
func install(ctx context.Context, aptGet string, packages []string) error {
	// Debian's PostgreSQL makes a cluster and starts it when it is installed. The tests
	// have no use for it, and it would take port 5432. Only a file can say so.
	const noCluster = "/etc/postgresql-common/createcluster.d/veranda-need.conf"
	if err := os.MkdirAll(filepath.Dir(noCluster), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(noCluster, []byte("create_main_cluster = false\n"), 0o644); err != nil {
		return err
	}
	defer os.Remove(noCluster)

	// The output goes to a file, not to a pipe: should this process die, the pipe would
	// break and kill apt-get with a package half installed.
	log, err := os.CreateTemp("", "veranda-need-*.log")
	if err != nil {
		return err
	}
	defer os.Remove(log.Name())
	defer log.Close()

	run := func(args ...string) error {
		cmd := exec.CommandContext(ctx, aptGet, args...)
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C")
		cmd.Stdout, cmd.Stderr = log, log
		// Not SIGKILL at once, which leaves dpkg to be repaired by hand.
		cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
		cmd.WaitDelay = 30 * time.Second
		if err := cmd.Run(); err != nil {
			out, _ := os.ReadFile(log.Name())
			return fmt.Errorf("apt-get %s: %w\n%s", args[0], errors.Join(err, ctx.Err()), tail(out))
		}
		return nil
	}
	args := append([]string{"install", "-y", "--no-install-recommends",
		"-o", "DPkg::Lock::Timeout=120", "-o", "Acquire::http::Timeout=20"}, packages...)
	if run(args...) == nil {
		return nil
	}
	// The list of packages is not there, as in a fresh container, or too old.
	if err := run("update", "-o", "Acquire::http::Timeout=20"); err != nil {
		return err
	}
	return run(args...)
}

// tail returns the last lines of a program's output, enough to say what went wrong.
func tail(out []byte) []byte {
	lines := bytes.Split(bytes.TrimSpace(out), []byte("\n"))
	return bytes.Join(lines[max(0, len(lines)-6):], []byte("\n"))
}
