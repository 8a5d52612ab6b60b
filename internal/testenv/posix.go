//go:build linux || darwin

package testenv

import (
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"syscall"
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
