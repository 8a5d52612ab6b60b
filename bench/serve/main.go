// Command serve runs the in-memory backends or one of the baselines of package
// bench, for the commands bench/load and bench/attack.
//
//	serve backends LISTINGS USERS
//	serve baseline LISTING_SERVICE_URL USER_SERVICE_URL
//	serve constant
//
// It listens on free loopback ports and prints their URLs, one a line. The
// backends have two ports, and serve both services' routes on each.
package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"

	"github.com/veranda-go/veranda/bench"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "serve:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 3 && args[0] == "backends":
		listings, err := strconv.Atoi(args[1])
		if err != nil {
			return err
		}
		users, err := strconv.Atoi(args[2])
		if err != nil {
			return err
		}
		return serveBackends(bench.NewData(listings, users))
	case len(args) == 3 && args[0] == "baseline":
		return serve(bench.NewBaseline(args[1], args[2], bench.NewTransport()))
	case len(args) == 1 && args[0] == "constant":
		return serve(http.HandlerFunc(bench.Constant))
	}
	return fmt.Errorf("want backends, baseline or constant, got %q", args)
}

func serveBackends(d *bench.Data) error {
	failed := make(chan error)
	backend := bench.NewBackend(d)
	for range 2 {
		ln, err := listen()
		if err != nil {
			return err
		}
		go func() { failed <- backend.Serve(ln) }()
	}
	return <-failed
}

func serve(h http.Handler) error {
	ln, err := listen()
	if err != nil {
		return err
	}
	return http.Serve(ln, h)
}

func listen() (net.Listener, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err == nil {
		fmt.Printf("http://%s\n", ln.Addr())
	}
	return ln, err
}
