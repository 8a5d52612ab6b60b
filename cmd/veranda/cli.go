package main

import (
	"context"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"strings"
	"text/tabwriter"

	"github.com/alecthomas/kong"
)

// cli has the commands of the program and, in their fields, their flags.
type cli struct {
	All            allCommand            `cmd:"" name:"" default:"withargs" help:"run all three services in this process"`
	ListingService listingServiceCommand `cmd:"" help:"run the listing service"`
	UserService    userServiceCommand    `cmd:"" help:"run the user service"`
	PublicAPI      publicAPICommand      `cmd:"" name:"public-api" help:"run the public layer in front of two services"`
	Seed           seedCommand           `cmd:"" help:"fill a running system with demo data"`
}

// console is where a command writes.
type console struct {
	out, err io.Writer
}

// usageError is a mistake on the command line or in the environment.
type usageError struct{ error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// run does what args and the environment ask for, until it is done or ctx ends.
// environ is in the form of os.Environ.
func run(ctx context.Context, args, environ []string, stdout, stderr io.Writer) error {
	if len(args) > 0 && args[0] == "help" {
		args = append(args[1:], "--help")
	}
	env := variables(environ)
	parser, helped, err := newParser(env, stdout)
	if err != nil {
		return err
	}
	if err := checkNames(parser.Model, env); err != nil {
		return err
	}
	command, err := parser.Parse(args)
	switch {
	case *helped:
		return nil
	case err != nil:
		return usageError{err}
	}
	command.BindTo(ctx, (*context.Context)(nil))
	return command.Run(console{stdout, stderr})
}

// newParser returns the parser of a command line. helped is set when it has
// printed the help.
func newParser(env map[string]string, stdout io.Writer) (parser *kong.Kong, helped *bool, err error) {
	helped = new(bool)
	parser, err = kong.New(&cli{},
		kong.Name("veranda"),
		kong.Exit(func(int) { *helped = true }),
		kong.Writers(stdout, io.Discard),
		kong.Help(help),
		kong.PostBuild(func(k *kong.Kong) error {
			for _, command := range k.Model.Children {
				for _, f := range command.Flags {
					f.Envs = []string{variable(f)}
				}
			}
			return nil
		}),
		// A resolver, not kong's own look at the environment, which takes an empty
		// variable for a value.
		kong.Resolvers(kong.ResolverFunc(func(_ *kong.Context, _ *kong.Path, f *kong.Flag) (any, error) {
			text, ok := env[variable(f)]
			if !ok {
				return nil, nil
			}
			token := kong.ScanFromTokens(kong.Token{Type: kong.FlagValueToken, Value: text})
			if err := f.Parse(token, reflect.New(f.Target.Type()).Elem()); err != nil {
				return nil, fmt.Errorf("environment variable %s: invalid value %q: %w", variable(f), text, err)
			}
			return text, nil
		})),
	)
	return parser, helped, err
}

// variable returns the name of a flag's environment variable.
func variable(f *kong.Flag) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
}

// envPrefix begins the names of our environment variables.
const envPrefix = "VERANDA_"

// Kubernetes makes variables of a Service's name, such as veranda or
// veranda-public.
var (
	serviceName  = regexp.MustCompile(`^VERANDA(_.+)?_(SERVICE_HOST|SERVICE_PORT(_.+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$`)
	serviceValue = regexp.MustCompile(`^(tcp|udp|sctp)://`)
)

// variables returns our variables in an environment, without empty ones, which count
// as not set, and without those of Kubernetes.
func variables(environ []string) map[string]string {
	env := map[string]string{}
	for _, pair := range environ {
		name, value, _ := strings.Cut(pair, "=")
		kubernetes := serviceName.MatchString(name) || strings.HasSuffix(name, "_PORT") && serviceValue.MatchString(value)
		if strings.HasPrefix(name, envPrefix) && value != "" && !kubernetes {
			env[name] = value
		}
	}
	return env
}

// checkNames refuses a variable that no command has. Those of other commands
// are ignored: one environment may serve several commands.
func checkNames(model *kong.Application, env map[string]string) error {
	known := map[string]bool{}
	for _, command := range model.Children {
		for _, f := range command.Flags {
			known[variable(f)] = true
		}
	}
	for name := range env {
		if !known[name] {
			return usagef("unknown environment variable %s", name)
		}
	}
	return nil
}

// help prints everything that can be set, with defaults and variables.
func help(_ kong.HelpOptions, ctx *kong.Context) error {
	out := tabwriter.NewWriter(ctx.Stdout, 0, 4, 2, ' ', 0)
	line := func(format string, args ...any) { fmt.Fprintf(out, format+"\n", args...) }
	commands := ctx.Model.Children
	command := ctx.Selected()
	if command == nil || command == commands[0] {
		command = commands[0]
		line("veranda serves property listings: a listing service, a user service, and a public\nlayer with REST and GraphQL in front of them.\n")
		line("Usage:")
		line("  veranda\t%s", command.Help)
		for _, c := range commands[1:] {
			line("  veranda %s\t%s", c.Name, c.Help)
		}
		line("\n'veranda COMMAND --help' shows the flags of a command. Flags of 'veranda' alone:\n")
	} else {
		line("Usage: veranda %s [flags]\n\nveranda %[1]s: %s\n", command.Name, command.Help)
	}
	for _, f := range command.Flags {
		value := " " + strings.ToLower(f.PlaceHolder)
		if f.IsBool() {
			value = ""
		}
		def := f.Default
		if def == "" {
			def = "none"
		}
		line("  --%s%s\t%s (default %s; %s)", f.Name, value, f.Help, def, variable(f))
	}
	return out.Flush()
}
