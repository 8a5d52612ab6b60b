package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/veranda-go/veranda/graph"
	"github.com/veranda-go/veranda/internal/seed"
	"github.com/veranda-go/veranda/publicapi"
)

// serving has the flags of every command that serves.
type serving struct {
	Host       string `default:"127.0.0.1" placeholder:"address" help:"address to listen on; only the public layer is meant to be reached from outside"`
	HTTP       string `name:"http" enum:"fast,std" default:"fast" placeholder:"kind" help:"implementation of HTTP/1.1: fast, or std for net/http alone, should a client or a proxy not work with fast"`
	DrainDelay delay  `default:"1s" placeholder:"duration" help:"time that /readyz fails before the port closes, after SIGTERM"`
	Debug      bool   `default:"false" help:"log every request"`
}

// paging has the flag of every command that serves lists.
type paging struct {
	MaxPageSize pageRows `default:"100" placeholder:"rows" help:"largest page, from 1 to 1000 rows"`
}

type listingServiceCommand struct {
	Port        port   `placeholder:"port" default:"6000" help:"port of the service; 0 picks a free one"`
	DatabaseURL string `name:"database-url" default:"sqlite:./data/listings.db" placeholder:"URL" help:"database, sqlite:PATH or postgres://…"`
	paging
	serving
}

// Run serves until ctx ends.
func (c *listingServiceCommand) Run(ctx context.Context, con console) error {
	log := newLogger(con.err, c.Debug)
	srv, err := startListingService(ctx, log, c.serving, c.Port, c.DatabaseURL, int64(c.MaxPageSize))
	if err != nil {
		return err
	}
	log.Info("listing service is up", "url", srv.URL())
	return serve(ctx, log, time.Duration(c.DrainDelay), srv)
}

type userServiceCommand struct {
	Port        port   `placeholder:"port" default:"7000" help:"port of the service; 0 picks a free one"`
	DatabaseURL string `name:"database-url" default:"sqlite:./data/users.db" placeholder:"URL" help:"database, sqlite:PATH or postgres://…"`
	paging
	serving
}

// Run serves until ctx ends.
func (c *userServiceCommand) Run(ctx context.Context, con console) error {
	log := newLogger(con.err, c.Debug)
	srv, err := startUserService(ctx, log, c.serving, c.Port, c.DatabaseURL, int64(c.MaxPageSize))
	if err != nil {
		return err
	}
	log.Info("user service is up", "url", srv.URL())
	return serve(ctx, log, time.Duration(c.DrainDelay), srv)
}

// public has the flags of the public layer.
type public struct {
	BackendTimeout       delay   `default:"5s" placeholder:"duration" help:"time that a service may take for one response"`
	UserCacheSize        count   `default:"0" placeholder:"users" help:"most users to keep in memory, about 200 bytes each; 0 asks the user service every time"`
	UserCacheTime        delay   `default:"30s" placeholder:"duration" help:"time that a user is kept"`
	AllowedOrigins       origins `placeholder:"origins" help:"web origins whose pages may call, such as https://www.example.com, separated by commas; * for any"`
	TrustedDocuments     string  `placeholder:"file" help:"GraphQL documents that clients may send by id or hash: Apollo's persisted query manifest, or {\"id\": \"document\"}"`
	TrustedDocumentsOnly bool    `default:"false" help:"run no GraphQL documents but the trusted ones; GraphiQL needs others"`
}

func (c *public) core(maxPageSize pageRows) publicapi.Config {
	return publicapi.Config{
		MaxPageSize: int64(maxPageSize), UserCacheSize: int(c.UserCacheSize), UserCacheTime: time.Duration(c.UserCacheTime),
	}
}

// trust gives h the trusted documents.
func (c *public) trust(h *graph.Handler) error {
	if c.TrustedDocuments == "" {
		if c.TrustedDocumentsOnly {
			return usagef("--trusted-documents-only: needs --trusted-documents")
		}
		return nil
	}
	manifest, err := os.ReadFile(c.TrustedDocuments)
	if err == nil {
		err = h.Trust(manifest, c.TrustedDocumentsOnly)
	}
	if err != nil {
		return usagef("--trusted-documents: %w", err)
	}
	return nil
}

type publicAPICommand struct {
	Port              port   `placeholder:"port" default:"8000" help:"port of the public layer; 0 picks a free one"`
	ListingServiceURL string `name:"listing-service-url" default:"http://127.0.0.1:6000" placeholder:"URL" help:"listing service"`
	UserServiceURL    string `name:"user-service-url" default:"http://127.0.0.1:7000" placeholder:"URL" help:"user service"`
	public
	paging
	serving
}

// Run serves until ctx ends.
func (c *publicAPICommand) Run(ctx context.Context, con console) error {
	log := newLogger(con.err, c.Debug)
	srv, err := startPublicAPI(log, c.serving, c.Port, c.public, c.MaxPageSize, c.ListingServiceURL, c.UserServiceURL)
	if err != nil {
		return err
	}
	log.Info("public layer is up", "url", srv.URL())
	return serve(ctx, log, time.Duration(c.DrainDelay), srv)
}

type allCommand struct {
	DataDir     string `default:"./data" placeholder:"folder" help:"folder of the SQLite files; made if it does not exist"`
	PublicPort  port   `placeholder:"port" default:"8000" help:"port of the public layer; 0 picks a free one"`
	ListingPort port   `placeholder:"port" default:"6000" help:"port of the listing service; 0 picks a free one"`
	UserPort    port   `placeholder:"port" default:"7000" help:"port of the user service; 0 picks a free one"`
	public
	paging
	serving
}

// Run serves until ctx ends.
func (c *allCommand) Run(ctx context.Context, con console) (err error) {
	log := newLogger(con.err, c.Debug)
	var running []*service
	defer func() {
		if err != nil && running != nil {
			err = errors.Join(err, stop(running))
		}
	}()
	// Backends first: the public layer is up when it can respond. They listen on
	// loopback alone, whatever --host says.
	backend := c.serving
	backend.Host = loopback
	listing, err := startListingService(ctx, log, backend, c.ListingPort, "sqlite:"+filepath.Join(c.DataDir, "listings.db"), int64(c.MaxPageSize))
	if err != nil {
		return err
	}
	running = append(running, listing)
	user, err := startUserService(ctx, log, backend, c.UserPort, "sqlite:"+filepath.Join(c.DataDir, "users.db"), int64(c.MaxPageSize))
	if err != nil {
		return err
	}
	running = append(running, user)
	public, err := startPublicAPI(log, c.serving, c.PublicPort, c.public, c.MaxPageSize, listing.URL(), user.URL())
	if err != nil {
		return err
	}
	services := append(running, public)
	running = nil // serve stops them
	greet(con.out, public.URL(), listing.URL(), user.URL(), c.DataDir)
	return serve(ctx, log, time.Duration(c.DrainDelay), services...)
}

const loopback = "127.0.0.1"

type seedCommand struct {
	PublicURL string `name:"public-url" default:"http://127.0.0.1:8000" placeholder:"URL" help:"public layer"`
	Users     int    `default:"100" placeholder:"number" help:"users to create, at most 10000000"`
	Listings  int    `default:"1000" placeholder:"number" help:"listings to create, at most 10000000; they need at least one user"`
}

// Run creates the demo data.
func (c *seedCommand) Run(ctx context.Context, con console) error {
	config := seed.Config{PublicURL: c.PublicURL, Users: c.Users, Listings: c.Listings, Progress: con.err, Terminal: isTerminal(con.err)}
	if err := config.Check(); err != nil {
		return usageError{err}
	}
	res, err := seed.Run(ctx, config)
	switch {
	case err == nil:
		fmt.Fprintln(con.out, res)
	case errors.Is(err, context.Cause(ctx)):
		// The user or the system ended it, which is no failure.
		fmt.Fprintln(con.out, "stopped early:", res)
		return nil
	}
	return err
}
