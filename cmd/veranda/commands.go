package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/veranda-go/veranda/internal/httpapi"
	"github.com/veranda-go/veranda/internal/seed"
)

// servingFlags are those of every command that serves.
type servingFlags struct {
	Host        string        `default:"127.0.0.1" placeholder:"address" help:"Address to listen on; only the public layer is meant to be reached from outside."`
	HTTP        string        `name:"http" enum:"fast,std" default:"fast" placeholder:"implementation" help:"HTTP/1.1 implementation: fast, or std, which is net/http alone. Use std if a client or proxy does not work with fast."`
	MaxPageSize int           `default:"100" min:"1" max:"1000" placeholder:"rows" help:"Largest page, from 1 to 1000 rows."`
	DrainDelay  time.Duration `default:"1s" max:"1h" placeholder:"duration" help:"Time that /readyz fails before the port closes, after SIGTERM."`
	Debug       bool          `default:"false" help:"Log every request."`
}

// standard reports whether net/http is to serve and call alone.
func (c servingFlags) standard() bool { return c.HTTP == "std" }

func (c servingFlags) address(port int) string {
	return net.JoinHostPort(strings.Trim(c.Host, "[]"), strconv.Itoa(port))
}

// backendFlags are those of the listing service and of the user service.
type backendFlags struct {
	Port        int    `default:"${port}" max:"65535" placeholder:"port" help:"Port to listen on; 0 picks a free one."`
	DatabaseURL string `name:"database-url" default:"sqlite:./data/${table}.db" placeholder:"URL" help:"Database: sqlite:PATH or postgres://…"`
	servingFlags
}

type listingServiceCommand struct{ backendFlags }

// Run serves until ctx ends.
func (c *listingServiceCommand) Run(ctx context.Context, con console) error {
	return c.serveOne(ctx, con, c.start)
}

type userServiceCommand struct{ backendFlags }

// Run serves until ctx ends.
func (c *userServiceCommand) Run(ctx context.Context, con console) error {
	return c.serveOne(ctx, con, c.start)
}

// publicFlags are those of the public layer.
type publicFlags struct {
	BackendTimeout       time.Duration `default:"5s" max:"1h" placeholder:"duration" help:"Time that a service may take for one response."`
	UserCacheSize        int           `default:"0" max:"100000000" placeholder:"users" help:"Most users to keep in memory, about 200 bytes each; 0 turns the cache off."`
	UserCacheTime        time.Duration `default:"30s" max:"1h" placeholder:"duration" help:"Time that a user is kept in the cache."`
	AllowedOrigins       origins       `placeholder:"origins" help:"Web origins whose pages may call the APIs, separated by commas, such as https://www.example.com; * for any."`
	TrustedDocuments     string        `placeholder:"file" help:"File of GraphQL documents that clients may send by id or hash: Apollo's persisted query manifest, or {\"id\": \"document\"}."`
	TrustedDocumentsOnly bool          `default:"false" help:"Run no other GraphQL documents; the playground does not work then."`
}

// origins is the value of --allowed-origins.
type origins struct{ httpapi.Origins }

// UnmarshalText implements encoding.TextUnmarshaler.
func (o *origins) UnmarshalText(text []byte) (err error) {
	o.Origins, err = httpapi.ParseOrigins(string(text))
	return err
}

type publicAPICommand struct {
	Port              int    `default:"8000" max:"65535" placeholder:"port" help:"Port to listen on; 0 picks a free one."`
	ListingServiceURL string `name:"listing-service-url" default:"http://127.0.0.1:6000" placeholder:"URL" help:"Listing service."`
	UserServiceURL    string `name:"user-service-url" default:"http://127.0.0.1:7000" placeholder:"URL" help:"User service."`
	publicFlags
	servingFlags
}

// Run serves until ctx ends.
func (c *publicAPICommand) Run(ctx context.Context, con console) error {
	return c.serveOne(ctx, con, c.start)
}

type allCommand struct {
	DataDir     string `default:"./data" placeholder:"directory" help:"Directory of the SQLite files; created if it does not exist."`
	PublicPort  int    `default:"8000" max:"65535" placeholder:"port" help:"Port of the public layer; 0 picks a free one."`
	ListingPort int    `default:"6000" max:"65535" placeholder:"port" help:"Port of the listing service; 0 picks a free one."`
	UserPort    int    `default:"7000" max:"65535" placeholder:"port" help:"Port of the user service; 0 picks a free one."`
	publicFlags
	servingFlags
}

// Run serves until ctx ends.
func (c *allCommand) Run(ctx context.Context, con console) (err error) {
	log := newLogger(con.err, c.Debug)
	var services group
	defer func() { err = errors.Join(err, services.stop()) }()
	// The backends listen on loopback, whatever --host says.
	loopback := c.servingFlags
	loopback.Host = "127.0.0.1"
	database := func(name string) string { return "sqlite:" + filepath.Join(c.DataDir, name) }
	listing, err := services.add((&listingServiceCommand{backendFlags{c.ListingPort, database("listings.db"), loopback}}).start(ctx, log))
	if err != nil {
		return err
	}
	user, err := services.add((&userServiceCommand{backendFlags{c.UserPort, database("users.db"), loopback}}).start(ctx, log))
	if err != nil {
		return err
	}
	public, err := services.add((&publicAPICommand{c.PublicPort, listing, user, c.publicFlags, c.servingFlags}).start(ctx, log))
	if err != nil {
		return err
	}
	greet(con.out, public, listing, user, c.DataDir)
	return services.wait(ctx, log, c.DrainDelay)
}

// greet prints the addresses and the next steps.
func greet(w io.Writer, public, listing, user, dataDir string) {
	seed := "veranda seed"
	if public != defaultPublicURL {
		seed += " --public-url " + public
	}
	fmt.Fprintf(w, `veranda is up; its data is in %s

  start page       %[2]s/
  playground       %[2]s/playground
  GraphQL          %[2]s/graphql
  REST             %[2]s/public-api/listings
  listing service  %[3]s
  user service     %[4]s

Try:
  curl '%[2]s/public-api/listings?page_num=1&page_size=10'

No listings yet? In another terminal, fill it with demo data:
  go run ./cmd/%[5]s

Ctrl-C stops it.
`, dataDir, public, listing, user, seed)
}

const defaultPublicURL = "http://127.0.0.1:8000"

type seedCommand struct {
	PublicURL string `name:"public-url" default:"http://127.0.0.1:8000" placeholder:"URL" help:"Public layer to send the demo data to."`
	Users     int    `default:"100" max:"10000000" placeholder:"number" help:"Users to create, at most 10000000."`
	Listings  int    `default:"1000" max:"10000000" placeholder:"number" help:"Listings to create, at most 10000000; they need at least one user."`
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
	case errors.Is(err, context.Cause(ctx)): // a signal, which is no failure
		fmt.Fprintln(con.out, "stopped early:", res)
		return nil
	}
	return err
}
