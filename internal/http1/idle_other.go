//go:build !unix

package http1

import "net"

// canCheckIdle tells whether look works here.
const canCheckIdle = false

// look is never called where it does not work.
func look(net.Conn) func() bool { return func() bool { return false } }
