// Command veranda is the whole system in one binary: the listing service, the
// user service and the public layer in front of them, together or one by one.
// This package only wires: flags and environment, stores, servers, signals.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"
)

// ballastBytes is allocated and never written, so it takes no memory; the
// garbage collector counts it and runs every 20 MB of allocation instead of
// every 4. GOGC would grow with the live heap under load, to hundreds of MB.
const ballastBytes = 16 << 20

func main() {
	defer runtime.KeepAlive(make([]byte, ballastBytes))
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		s := <-signals
		signal.Stop(signals) // a second one ends the program at once
		if s == syscall.SIGTERM {
			cancel(errTerminated)
		} else {
			cancel(nil)
		}
	}()
	err := run(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr)
	var usage usageError
	switch {
	case err == nil:
	case errors.As(err, &usage):
		fmt.Fprintf(os.Stderr, "veranda: %v\nRun 'veranda --help' for usage.\n", err)
		os.Exit(2)
	default:
		fmt.Fprintf(os.Stderr, "veranda: %v\n", err)
		os.Exit(1)
	}
}
