package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/veranda-go/veranda/backend/listings"
	listingspg "github.com/veranda-go/veranda/backend/listings/postgres"
	listingslite "github.com/veranda-go/veranda/backend/listings/sqlite"
	"github.com/veranda-go/veranda/backend/users"
	userspg "github.com/veranda-go/veranda/backend/users/postgres"
	userslite "github.com/veranda-go/veranda/backend/users/sqlite"
	"github.com/veranda-go/veranda/graph"
	"github.com/veranda-go/veranda/internal/backendclient"
	"github.com/veranda-go/veranda/internal/httpapi"
	"github.com/veranda-go/veranda/internal/server"
	"github.com/veranda-go/veranda/playground"
	"github.com/veranda-go/veranda/publicapi"
	"github.com/veranda-go/veranda/rest"
)

// openTimeout bounds how long a service waits for its database at start: a
// database that starts beside it may need some seconds.
const openTimeout = 30 * time.Second

// open opens a store by the scheme of its URL.
func open[S any](ctx context.Context, databaseURL string,
	lite func(ctx context.Context, path string) (S, error),
	pg func(ctx context.Context, url string) (S, error),
) (S, error) {
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	switch scheme, rest, _ := strings.Cut(databaseURL, ":"); scheme {
	case "sqlite":
		if rest != "" {
			return lite(ctx, rest)
		}
	case "postgres", "postgresql":
		return pg(ctx, databaseURL)
	}
	var none S
	// The URL is not shown: it may hold a password.
	return none, usagef("database URL: must be sqlite:PATH or postgres://…")
}

// startListingService serves the listings of a database.
func startListingService(ctx context.Context, log *slog.Logger, c serving, p port, databaseURL string, maxPageSize int64) (*service, error) {
	store, err := open(ctx, databaseURL, listingslite.Open, listingspg.Open)
	if err != nil {
		return nil, fmt.Errorf("listing service: %w", err)
	}
	srv, err := server.New("listing-service", c.address(p), log)
	if err != nil {
		store.Close()
		return nil, err
	}
	srv.Standard = c.HTTP == std
	r := httpapi.NewRouter()
	srv.Health(r)
	listings.NewHandler(store, maxPageSize, srv.Log()).Routes(r)
	srv.Start(r, store.Ping)
	return &service{srv, store.Close}, nil
}

// startUserService serves the users of a database.
func startUserService(ctx context.Context, log *slog.Logger, c serving, p port, databaseURL string, maxPageSize int64) (*service, error) {
	store, err := open(ctx, databaseURL, userslite.Open, userspg.Open)
	if err != nil {
		return nil, fmt.Errorf("user service: %w", err)
	}
	srv, err := server.New("user-service", c.address(p), log)
	if err != nil {
		store.Close()
		return nil, err
	}
	srv.Standard = c.HTTP == std
	r := httpapi.NewRouter()
	srv.Health(r)
	users.NewHandler(store, maxPageSize, srv.Log()).Routes(r)
	srv.Start(r, store.Ping)
	return &service{srv, store.Close}, nil
}

// startPublicAPI serves both public APIs.
func startPublicAPI(log *slog.Logger, c serving, p port, config public, maxPageSize pageRows, listingServiceURL, userServiceURL string) (*service, error) {
	timeout := time.Duration(config.BackendTimeout)
	listingTransport, userTransport := c.transport(), c.transport()
	lc, err := backendclient.NewClient("listing service", listingServiceURL, timeout, listingTransport)
	if err != nil {
		return nil, usageError{err}
	}
	uc, err := backendclient.NewClient("user service", userServiceURL, timeout, userTransport)
	if err != nil {
		return nil, usageError{err}
	}
	api := publicapi.New(listings.NewClient(lc), users.NewClient(uc), config.core(maxPageSize))
	graphQL := graph.New(api, log.With("service", "public-api"))
	graphQL.Origins = config.AllowedOrigins.Origins
	if err := config.trust(graphQL); err != nil {
		return nil, err
	}
	srv, err := server.New("public-api", c.address(p), log)
	if err != nil {
		return nil, err
	}
	srv.Standard = c.HTTP == std
	r := httpapi.NewRouter()
	r.Use(config.AllowedOrigins.CORS)
	srv.Health(r)
	playground.Routes(r, srv.Log())
	r.Handle("/graphql", graphQL)
	rest.New(api, srv.Log()).Routes(r)
	srv.Start(r, api.Ready)
	return &service{srv, func() error {
		listingTransport.CloseIdleConnections()
		userTransport.CloseIdleConnections()
		return nil
	}}, nil
}

// service is a server and what it has to close.
type service struct {
	*server.Server
	close func() error
}

// std is the value of --http for net/http alone.
const std = "std"

func (c serving) transport() backendclient.Transport {
	if c.HTTP == std {
		return backendclient.NewStandardTransport()
	}
	return backendclient.NewTransport()
}

func (c serving) address(p port) string {
	return net.JoinHostPort(strings.Trim(c.Host, "[]"), strconv.Itoa(int(p)))
}
