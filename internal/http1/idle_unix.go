//go:build unix

package http1

import (
	"net"
	"syscall"
)

// canCheckIdle tells whether look works here.
const canCheckIdle = true

// look gives a function that tells whether the other side has been silent. It
// does not wait. If it says no, a byte may be lost, and the connection is good
// for nothing.
func look(nc net.Conn) func() bool {
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
