//go:build !unix

package http1

import "net"

// canCheckIdle reports whether newIdleCheck works on this system.
const canCheckIdle = false

// newIdleCheck is not called where it does not work.
func newIdleCheck(net.Conn) func() bool { return func() bool { return false } }
