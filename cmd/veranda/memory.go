package main

import "os"

// ballastBytes is what the collector is made to believe is in use.
const ballastBytes = 16 << 20

// ballast makes the collector run less often. It runs when the heap has
// doubled since the last time; what a request needs is garbage when it ends,
// and little else is in use (some 4 MB), so under load it would run hundreds
// of times a second. With the ballast it runs each 20 MB instead of each 4,
// and still each doubling where much is in use, which a higher GOGC would
// turn into hundreds of megabytes. The ballast itself takes no memory: pages
// that nobody writes to are never there. Who sets GOGC or GOMEMLIMIT knows
// better, and gets none. The caller keeps it alive.
func ballast() []byte {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return nil
	}
	return make([]byte, ballastBytes)
}
