package main

import (
	"os"
	"runtime/debug"
)

// tuneGC lets the heap grow to five times what is in use before it is
// collected, in place of twice. What a request needs is garbage when it ends,
// and little else is in use (some 5 MB, caches included), so the collector
// would run hundreds of times a second under load: 10 to 20 % of the CPU for
// memory that nobody misses. GOGC overrides it; with GOMEMLIMIT set the
// runtime collects earlier by itself as that comes near.
func tuneGC() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
}
