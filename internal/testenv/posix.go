//go:build linux || darwin

package testenv

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"syscall"
	"time"
)

// setApart makes cmd outlive what ends this process, and run as another user than root.
func setApart(cmd *exec.Cmd) error {
	// A session of its own: Ctrl-C reaches the tests, and not what cleans up after them.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if os.Geteuid() != 0 {
		return nil
	}
	// PostgreSQL refuses to run as root.
	u, err := user.Lookup("postgres")
	if err != nil {
		u, err = user.Lookup("nobody")
	}
	if err != nil {
		return err
	}
	uid, err := strconv.ParseInt(u.Uid, 10, 64)
	if err != nil {
		return err
	}
	gid, err := strconv.ParseInt(u.Gid, 10, 64)
	if err != nil {
		return err
	}
	// By way of int64: a Mac's nobody is -2.
	cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return nil
}

// lockFile takes the lock that the file at path stands for, and waits for it until ctx
// ends. The system lets go of the lock when the process dies.
func lockFile(ctx context.Context, path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
		select {
		case <-ctx.Done():
			f.Close()
			return nil, fmt.Errorf("%s is still locked by another process: %w", path, ctx.Err())
		case <-time.After(100 * time.Millisecond):
		}
	}
	return func() { f.Close() }, nil
}
