package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/veranda-go/veranda/internal/seed"
)

// defineSeed creates demo data in a running system.
func defineSeed(s *settings) func(context.Context, console) error {
	publicURL := s.flags.String("public-url", defaultPublicURL, "`URL` of the public layer")
	users := s.flags.Int("users", 100, "`number` of users to create, at most 10000000")
	listings := s.flags.Int("listings", 1000, "`number` of listings to create, at most 10000000; they need at least one user")
	return func(ctx context.Context, out console) error {
		c := seed.Config{
			PublicURL: *publicURL,
			Users:     *users,
			Listings:  *listings,
			Progress:  out.err,
			Terminal:  isTerminal(out.err),
		}
		if err := c.Check(); err != nil {
			return usageError{err}
		}
		res, err := seed.Run(ctx, c)
		switch {
		case err == nil:
			fmt.Fprintln(out.out, res)
		case errors.Is(err, context.Cause(ctx)):
			// Someone wished it to end, which is no failure, here as elsewhere.
			fmt.Fprintln(out.out, "stopped early:", res)
			return nil
		}
		return err
	}
}
