package main

import (
	"flag"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/veranda-go/veranda/internal/pagination"
	"github.com/veranda-go/veranda/publicapi"
)

// envPrefix begins the environment variables that are ours.
const envPrefix = "VERANDA_"

// settings are the flags of one command, each of which may also be given as
// an environment variable. The flag wins.
type settings struct {
	flags *flag.FlagSet
}

func newSettings(name string) *settings {
	fs := flag.NewFlagSet(strings.TrimSpace("veranda "+name), flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.Usage = func() {}
	return &settings{fs}
}

func envName(flagName string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(flagName, "-", "_"))
}

// parse reads the flags, then the environment for those not given.
func (s *settings) parse(args, environ []string) error {
	if err := s.flags.Parse(args); err != nil {
		if err == flag.ErrHelp {
			return err
		}
		return usageError{err}
	}
	if s.flags.NArg() > 0 {
		return usagef("unexpected argument %q", s.flags.Arg(0))
	}
	given := map[string]bool{}
	s.flags.Visit(func(f *flag.Flag) { given[envName(f.Name)] = true })
	flags := map[string]*flag.Flag{}
	s.flags.VisitAll(func(f *flag.Flag) { flags[envName(f.Name)] = f })
	known := knownVariables()
	for _, pair := range environ {
		name, text, _ := strings.Cut(pair, "=")
		if !strings.HasPrefix(name, envPrefix) {
			continue
		}
		f := flags[name]
		switch {
		case f == nil && !known[name]:
			return usagef("unknown environment variable %s", name)
		case f == nil || given[name]:
			// Another command's: one environment may serve several commands.
		default:
			if err := f.Value.Set(text); err != nil {
				return usagef("environment variable %s: invalid value %q: %v", name, text, err)
			}
		}
	}
	return nil
}

// knownVariables are the variables of all commands.
func knownVariables() map[string]bool {
	known := map[string]bool{}
	for _, c := range commands {
		s := newSettings(c.name)
		c.define(s)
		s.flags.VisitAll(func(f *flag.Flag) { known[envName(f.Name)] = true })
	}
	return known
}

// help prints everything that can be set, with defaults.
func (s *settings) help(w io.Writer, cmd command) error {
	out := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	line := func(format string, args ...any) { fmt.Fprintf(out, format+"\n", args...) }
	if cmd.name == "" {
		line("veranda serves property listings: a listing service, a user service, and a public\nlayer with REST and GraphQL in front of them.\n")
		line("Usage:")
		for _, c := range commands {
			line("  %s\t%s", strings.TrimSpace("veranda "+c.name), c.summary)
		}
		line("\n'veranda COMMAND --help' shows a command's flags. Flags of 'veranda' alone:\n")
	} else {
		line("veranda %s: %s\n", cmd.name, cmd.summary)
	}
	s.flags.VisitAll(func(f *flag.Flag) {
		arg, usage := flag.UnquoteUsage(f)
		line("  --%s %s\t%s (default %s; %s)", f.Name, arg, usage, orNone(f.DefValue), envName(f.Name))
	})
	return out.Flush()
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// Settings that several commands share.

func (s *settings) host() *string {
	return s.flags.String("host", "127.0.0.1", "`address` to listen on; only the public layer is meant to be reached from outside")
}

func (s *settings) port(name, what string, def int) *int {
	p := def
	s.flags.Var((*portValue)(&p), name, "`port` of "+what+"; 0 picks a free one")
	return &p
}

func (s *settings) debug() *bool {
	return s.flags.Bool("debug", false, "log every request")
}

func (s *settings) maxPageSize() *int64 {
	n := int64(pagination.DefaultMaxSize)
	s.maxPageSizeVar(&n)
	return &n
}

func (s *settings) maxPageSizeVar(n *int64) {
	*n = pagination.DefaultMaxSize
	s.flags.Var((*maxPageValue)(n), "max-page-size", "largest page in `rows`, from 1 to 1000")
}

// core are the settings of a publicapi.Config.
func (s *settings) core() *publicapi.Config {
	c := &publicapi.Config{UserCacheTime: 30 * time.Second}
	s.maxPageSizeVar(&c.MaxPageSize)
	s.flags.Var((*countValue)(&c.UserCacheSize), "user-cache-size", "most `users` to keep in memory, each about 200 bytes; 0 asks the user service every time")
	s.flags.Var((*delayValue)(&c.UserCacheTime), "user-cache-time", "how `long` a user is kept")
	return c
}

func (s *settings) drainDelay() *time.Duration {
	d := time.Second
	s.flags.Var((*delayValue)(&d), "drain-delay", "how `long` /readyz fails before the port closes, after SIGTERM")
	return &d
}

func (s *settings) databaseURL(def string) *string {
	return s.flags.String("database-url", def, "`URL` of the database, sqlite:PATH or postgres://…")
}
