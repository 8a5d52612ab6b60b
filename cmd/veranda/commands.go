package main

import (
	"context"
	"errors"
	"path/filepath"
	"time"
)

func defineListingService(s *settings) func(context.Context, console) error {
	host, port := s.host(), s.port("port", "the service", 6000)
	database := s.databaseURL("sqlite:./data/listings.db")
	maxPage, drain, debug := s.maxPageSize(), s.drainDelay(), s.debug()
	return func(ctx context.Context, c console) error {
		log := newLogger(c.err, *debug)
		srv, err := startListingService(ctx, log, address(*host, *port), *database, *maxPage)
		if err != nil {
			return err
		}
		log.Info("listing service is up", "url", srv.URL())
		return serve(ctx, log, *drain, srv)
	}
}

func defineUserService(s *settings) func(context.Context, console) error {
	host, port := s.host(), s.port("port", "the service", 7000)
	database := s.databaseURL("sqlite:./data/users.db")
	maxPage, drain, debug := s.maxPageSize(), s.drainDelay(), s.debug()
	return func(ctx context.Context, c console) error {
		log := newLogger(c.err, *debug)
		srv, err := startUserService(ctx, log, address(*host, *port), *database, *maxPage)
		if err != nil {
			return err
		}
		log.Info("user service is up", "url", srv.URL())
		return serve(ctx, log, *drain, srv)
	}
}

func (s *settings) backendTimeout() *time.Duration {
	d := 5 * time.Second
	s.flags.Var((*delayValue)(&d), "backend-timeout", "how `long` a service may take for one answer")
	return &d
}

func definePublicAPI(s *settings) func(context.Context, console) error {
	host, port := s.host(), s.port("port", "the public layer", 8000)
	listingService := s.flags.String("listing-service-url", "http://127.0.0.1:6000", "`URL` of the listing service")
	userService := s.flags.String("user-service-url", "http://127.0.0.1:7000", "`URL` of the user service")
	timeout, core, doors, drain, debug := s.backendTimeout(), s.core(), s.doors(), s.drainDelay(), s.debug()
	return func(ctx context.Context, c console) error {
		log := newLogger(c.err, *debug)
		srv, err := startPublicAPI(log, publicConfig{address(*host, *port), *listingService, *userService, *timeout, *core, *doors})
		if err != nil {
			return err
		}
		log.Info("public layer is up", "url", srv.URL())
		return serve(ctx, log, *drain, srv)
	}
}

func defineAll(s *settings) func(context.Context, console) error {
	dataDir := s.flags.String("data-dir", "./data", "`folder` of the SQLite files; made if it is not there")
	host := s.host()
	publicPort := s.port("public-port", "the public layer", 8000)
	listingPort := s.port("listing-port", "the listing service", 6000)
	userPort := s.port("user-port", "the user service", 7000)
	timeout, core, doors, drain, debug := s.backendTimeout(), s.core(), s.doors(), s.drainDelay(), s.debug()
	return func(ctx context.Context, c console) (err error) {
		log := newLogger(c.err, *debug)
		var running []*service
		defer func() {
			if err != nil && running != nil {
				err = errors.Join(err, stop(running))
			}
		}()
		// Backends first: the public layer is up when it can answer. They are
		// not for others to reach, whatever --host says.
		listing, err := startListingService(ctx, log, address(loopback, *listingPort), "sqlite:"+filepath.Join(*dataDir, "listings.db"), core.MaxPageSize)
		if err != nil {
			return err
		}
		running = append(running, listing)
		user, err := startUserService(ctx, log, address(loopback, *userPort), "sqlite:"+filepath.Join(*dataDir, "users.db"), core.MaxPageSize)
		if err != nil {
			return err
		}
		running = append(running, user)
		public, err := startPublicAPI(log, publicConfig{address(*host, *publicPort), listing.URL(), user.URL(), *timeout, *core, *doors})
		if err != nil {
			return err
		}
		services := append(running, public)
		running = nil // serve stops them
		greet(c.out, public.URL(), listing.URL(), user.URL(), *dataDir)
		return serve(ctx, log, *drain, services...)
	}
}

const loopback = "127.0.0.1"
