package main

import (
	"fmt"
	"io"
)

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
