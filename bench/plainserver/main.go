// Command plainserver runs the candidate of package plain, for the commands
// bench/load and bench/attack.
//
//	plainserver LISTING_SERVICE_URL USER_SERVICE_URL
//
// It listens on a free loopback port and prints its URL. It is a separate
// program, so that gqlgen adds nothing to the process of another candidate.
package main

import (
	"fmt"
	"net"
	"net/http"
	"os"

	"github.com/veranda-go/veranda/bench"
	"github.com/veranda-go/veranda/bench/plain"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "plainserver:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("want two URLs, got %q", args)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Printf("http://%s\n", ln.Addr())
	return http.Serve(ln, plain.New(args[0], args[1], bench.NewTransport()))
}
