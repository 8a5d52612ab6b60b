package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

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

// openTimeout bounds the wait for a database that may be starting, too.
const openTimeout = 30 * time.Second

// openStore opens a store by the scheme of its URL.
func openStore[S any](ctx context.Context, databaseURL string,
	openSQLite func(ctx context.Context, path string) (S, error),
	openPostgres func(ctx context.Context, url string) (S, error),
) (S, error) {
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	switch scheme, path, _ := strings.Cut(databaseURL, ":"); {
	case scheme == "sqlite" && path != "":
		return openSQLite(ctx, path)
	case scheme == "postgres" || scheme == "postgresql":
		return openPostgres(ctx, databaseURL)
	}
	var none S
	return none, usagef("--database-url: must be sqlite:PATH or postgres://…") // it may hold a password
}

// start starts the listing service.
func (c *listingServiceCommand) start(ctx context.Context, log *slog.Logger) (*service, error) {
	store, err := openStore(ctx, c.DatabaseURL, listingslite.Open, listingspg.Open)
	if err != nil {
		return nil, fmt.Errorf("listing service: %w", err)
	}
	return c.startServer("listing-service", c.Port, log, store.Ping, store.Close, func(r chi.Router, log *slog.Logger) {
		listings.NewHandler(store, int64(c.MaxPageSize), log).Routes(r)
	})
}

// start starts the user service.
func (c *userServiceCommand) start(ctx context.Context, log *slog.Logger) (*service, error) {
	store, err := openStore(ctx, c.DatabaseURL, userslite.Open, userspg.Open)
	if err != nil {
		return nil, fmt.Errorf("user service: %w", err)
	}
	return c.startServer("user-service", c.Port, log, store.Ping, store.Close, func(r chi.Router, log *slog.Logger) {
		users.NewHandler(store, int64(c.MaxPageSize), log).Routes(r)
	})
}

// start starts the public layer.
func (c *publicAPICommand) start(_ context.Context, log *slog.Logger) (*service, error) {
	newTransport := backendclient.NewTransport
	if c.standard() {
		newTransport = backendclient.NewStandardTransport
	}
	transport := newTransport()
	listingClient, err := backendclient.NewClient("listing service", c.ListingServiceURL, c.BackendTimeout, transport)
	if err != nil {
		return nil, usageError{err}
	}
	userClient, err := backendclient.NewClient("user service", c.UserServiceURL, c.BackendTimeout, transport)
	if err != nil {
		return nil, usageError{err}
	}
	api := publicapi.New(listings.NewClient(listingClient), users.NewClient(userClient),
		publicapi.Config{MaxPageSize: int64(c.MaxPageSize), UserCacheSize: c.UserCacheSize, UserCacheTime: c.UserCacheTime})
	graphQL := graph.New(api, log.With("service", "public-api"))
	graphQL.Origins = c.AllowedOrigins.Origins
	if err := c.trust(graphQL); err != nil {
		return nil, err
	}
	closeAll := func() error {
		transport.CloseIdleConnections()
		return nil
	}
	return c.startServer("public-api", c.Port, log, api.Ready, closeAll, func(r chi.Router, log *slog.Logger) {
		r.Use(c.AllowedOrigins.CORS)
		playground.Routes(r, log)
		r.Handle("/graphql", graphQL)
		rest.New(api, log).Routes(r)
	})
}

// trust gives h the trusted documents.
func (c *publicFlags) trust(h *graph.Handler) error {
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

// startServer serves routes. closeAll is called when the server has stopped or
// cannot start.
func (c servingFlags) startServer(name string, port int, log *slog.Logger, ready func(context.Context) error, closeAll func() error,
	routes func(chi.Router, *slog.Logger),
) (*service, error) {
	srv, err := server.New(name, c.address(port), log)
	if err != nil {
		return nil, errors.Join(err, closeAll())
	}
	srv.Standard = c.standard()
	r := httpapi.NewRouter()
	routes(r, srv.Log())
	srv.Health(r)
	srv.Start(r, ready)
	return &service{srv, closeAll}, nil
}

// errTerminated is the cause of a context that SIGTERM ended.
var errTerminated = errors.New("terminated")

// service is a server and what it has to close.
type service struct {
	*server.Server
	close func() error
}

// group has the services of the process in the order in which they started.
type group []*service

// add adds the service that was started, if err is nil, and returns its URL.
func (g *group) add(s *service, err error) (url string, _ error) {
	if err != nil {
		return "", err
	}
	*g = append(*g, s)
	return s.URL(), nil
}

// wait returns when one of the services fails, or when ctx has ended and the
// services are drained. After SIGTERM they still serve for drainDelay.
func (g group) wait(ctx context.Context, log *slog.Logger, drainDelay time.Duration) error {
	failed := make(chan error, len(g))
	for _, s := range g {
		go func() {
			select {
			case err := <-s.Failed():
				failed <- err
			case <-ctx.Done():
			}
		}()
	}
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	for _, s := range g {
		s.Drain()
	}
	// Load balancers need time to see that /readyz fails. Nobody waits for it
	// after Ctrl-C.
	if errors.Is(context.Cause(ctx), errTerminated) {
		log.Info("draining", "delay", drainDelay.String())
		time.Sleep(drainDelay)
	}
	return nil
}

// stop stops the services, the last one first: each calls those before it.
func (g group) stop() error {
	var errs []error
	for _, s := range slices.Backward(g) {
		errs = append(errs, s.Stop(), s.close())
	}
	return errors.Join(errs...)
}

// serveOne starts a service and serves until ctx ends or the service fails.
func (c servingFlags) serveOne(ctx context.Context, con console, start func(context.Context, *slog.Logger) (*service, error)) (err error) {
	log := newLogger(con.err, c.Debug)
	var services group
	url, err := services.add(start(ctx, log))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, services.stop()) }()
	log.Info("serving", "service", services[0].Name, "url", url)
	return services.wait(ctx, log, c.DrainDelay)
}
