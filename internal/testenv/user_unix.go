//go:build linux || darwin

package testenv

import (
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"syscall"
)

// detach makes cmd survive the signals that end this process, and run as another
// user if this process runs as root.
func detach(cmd *exec.Cmd) error {
	// In a session of its own, cmd gets no Ctrl-C, and can clean up.
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
	// Converted from int64, since nobody is -2 on macOS.
	cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return nil
}
