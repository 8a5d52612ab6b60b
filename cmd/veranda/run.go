package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
)

// A command is one thing that the binary can be told to do.
type command struct {
	name    string // "" is the command without a name: everything at once
	summary string
	// define adds the command's flags to s and returns what runs it.
	define func(s *settings) func(context.Context, console) error
}

var commands = []command{
	{"", "run all three services in this process", defineAll},
	{"listing-service", "run the listing service", defineListingService},
	{"user-service", "run the user service", defineUserService},
	{"public-api", "run the public layer in front of two services", definePublicAPI},
	{"seed", "fill a running system with demo data", defineSeed},
}

// console is where a command writes.
type console struct {
	out, err io.Writer
}

// usageError is a mistake on the command line or in the environment.
type usageError struct{ error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// run does what args ask, until it is done or ctx ends. environ is in the
// form of os.Environ.
func run(ctx context.Context, args, environ []string, stdout, stderr io.Writer) error {
	cmd := commands[0]
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		name := args[0]
		if name == "help" {
			name, args = "", []string{"help", "--help"}
		}
		args = args[1:]
		found := false
		for _, c := range commands {
			if c.name == name {
				cmd, found = c, true
			}
		}
		if !found {
			return usagef("unknown command %q", name)
		}
	}
	s := newSettings(cmd.name)
	start := cmd.define(s)
	err := s.parse(args, environ)
	if errors.Is(err, flag.ErrHelp) {
		return s.help(stdout, cmd)
	}
	if err != nil {
		return err
	}
	return start(ctx, console{stdout, stderr})
}
