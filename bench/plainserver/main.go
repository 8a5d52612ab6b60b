// Command plainserver runs the candidate of package plain, for the load
// command (bench/load), which starts and stops it.
//
//	plainserver LISTING_SERVICE_URL USER_SERVICE_URL
//
// It listens on a free port of the loopback interface and prints its URL. It
// is a program of its own, so that what gqlgen adds to a process is added to
// no other candidate.
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
