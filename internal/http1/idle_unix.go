//go:build unix

package http1

import (
	"net"
	"syscall"
)

// canCheckIdle reports whether newIdleCheck works on this system.
const canCheckIdle = true

// newIdleCheck returns a function that reports, without waiting, whether there
// is nothing to read from nc, not even its end. If there is, a byte may be lost,
// and the connection must be closed.
func newIdleCheck(nc net.Conn) func() bool {
	sc, ok := nc.(syscall.Conn)
	if !ok {
		return func() bool { return false }
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return func() bool { return false }
	}
	var b [1]byte
	read := func(fd uintptr) bool {
		_, err = syscall.Read(int(fd), b[:])
		return true // do not wait
	}
	return func() bool { return raw.Read(read) == nil && err == syscall.EAGAIN }
}
