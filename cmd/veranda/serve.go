package main

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// errTerminated is the cause of a context that SIGTERM ended: a machine wishes
// the program to stop, not a person.
var errTerminated = errors.New("terminated")

// serve keeps services running until ctx ends or one of them fails, then
// stops them: the last started first, so nobody asks a service that is gone.
func serve(ctx context.Context, log *slog.Logger, drainDelay time.Duration, services ...*service) error {
	failed := make(chan error, len(services))
	for _, s := range services {
		go func() {
			select {
			case err := <-s.Failed():
				failed <- err
			case <-ctx.Done():
			}
		}()
	}
	var err error
	select {
	case err = <-failed:
	case <-ctx.Done():
		for _, s := range services {
			s.Drain()
		}
		// Load balancers need a moment to see that /readyz fails. A person who
		// presses Ctrl-C does not.
		if errors.Is(context.Cause(ctx), errTerminated) {
			log.Info("draining", "delay", drainDelay.String())
			time.Sleep(drainDelay)
		}
	}
	return errors.Join(err, stop(services))
}

// stop ends services, the last one first.
func stop(services []*service) error {
	var errs []error
	for i := len(services) - 1; i >= 0; i-- {
		errs = append(errs, services[i].Stop(), services[i].close())
	}
	return errors.Join(errs...)
}
