package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"
)

// cli has the commands of the program and, in their fields, their flags.
type cli struct {
	All            allCommand            `cmd:"" name:"" default:"withargs" hidden:"" help:"Run all three services in this process."`
	ListingService listingServiceCommand `cmd:"" set:"port=6000" set:"table=listings" help:"Run the listing service."` //nolint:staticcheck // kong reads each set
	UserService    userServiceCommand    `cmd:"" set:"port=7000" set:"table=users" help:"Run the user service."`       //nolint:staticcheck // kong reads each set
	PublicAPI      publicAPICommand      `cmd:"" name:"public-api" help:"Run the public layer in front of the two services."`
	Seed           seedCommand           `cmd:"" help:"Fill a running system with demo data."`
}

const description = "Veranda serves property listings: a listing service, a user service, and a public layer with REST and GraphQL in front of them. " +
	"Without a command, it runs all three, with the flags below."

// console is where a command writes.
type console struct {
	out, err io.Writer
}

// usageError is a mistake on the command line or in the environment.
type usageError struct{ error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// Error hides passwords: the mistake may be a URL in the wrong place.
func (e usageError) Error() string { return secret.ReplaceAllString(e.error.Error(), "${1}xxxxx${2}") }

// secret matches the user and password of a URL, and a parameter password.
var secret = regexp.MustCompile(`(://)[^\s"]*(@)|(?:password=)[^\s"&]*`)

// run runs the command of args until it is done or ctx ends. environ is in the
// form of os.Environ.
func run(ctx context.Context, args, environ []string, stdout, stderr io.Writer) error {
	if len(args) > 0 && args[0] == "help" {
		args = append(args[1:], "--help")
	}
	helped := false
	parser, err := newParser(environ, stdout, func(int) { helped = true })
	if err != nil {
		return err
	}
	command, err := parser.Parse(args)
	switch {
	case helped:
		return nil
	case err != nil:
		return usageError{err}
	}
	command.BindTo(ctx, (*context.Context)(nil))
	return command.Run(console{stdout, stderr})
}

// newParser returns the parser of a command line. It calls exit when it has
// printed the help.
func newParser(environ []string, stdout io.Writer, exit func(int)) (*kong.Kong, error) {
	var env map[string]string
	parser, err := kong.New(&cli{},
		kong.Name("veranda"),
		kong.Description(description),
		kong.Exit(exit),
		kong.Writers(stdout, io.Discard),
		kong.ConfigureHelp(kong.HelpOptions{NoAppSummary: true, Compact: true, FlagsLast: true, WrapUpperBound: 120}),
		kong.Help(help),
		kong.ValueFormatter(helpText),
		kong.KindMapper(reflect.Int, kong.MapperFunc(decodeBounded)),
		kong.TypeMapper(reflect.TypeFor[time.Duration](), kong.MapperFunc(decodeBounded)),
		// kong's own lookup takes an empty variable for a value.
		kong.Resolvers(kong.ResolverFunc(func(_ *kong.Context, _ *kong.Path, f *kong.Flag) (any, error) {
			text := env[variable(f.Name)]
			if text == "" {
				return nil, nil
			}
			token := kong.ScanFromTokens(kong.Token{Type: kong.FlagValueToken, Value: text})
			if err := f.Parse(token, reflect.New(f.Target.Type()).Elem()); err != nil {
				return nil, fmt.Errorf("environment variable %s: invalid value %q: %w", variable(f.Name), text, err)
			}
			return text, nil
		})),
	)
	if err == nil {
		env, err = variables(parser.Model, environ)
	}
	return parser, err
}

// decodeBounded decodes a whole number or a duration between the tags min, which
// is 0 by default, and max.
func decodeBounded(ctx *kong.DecodeContext, target reflect.Value) error {
	var text string
	if err := ctx.Scan.PopValueInto("value", &text); err != nil {
		return err
	}
	kind, parse := "a whole number", func(s string) (int64, error) { return strconv.ParseInt(s, 10, 64) }
	if target.Type() == reflect.TypeFor[time.Duration]() {
		kind, parse = "a duration such as 250ms,", func(s string) (int64, error) {
			d, err := time.ParseDuration(s)
			return int64(d), err
		}
	}
	low, high := cmp.Or(ctx.Value.Tag.Get("min"), "0"), ctx.Value.Tag.Get("max")
	n, err := parse(text)
	least, _ := parse(low)
	most, _ := parse(high)
	if err != nil || n < least || n > most {
		return fmt.Errorf("must be %s from %s to %s", kind, low, high)
	}
	target.SetInt(n)
	return nil
}

// envPrefix begins the names of our environment variables.
const envPrefix = "VERANDA_"

// variable returns the name of a flag's environment variable.
func variable(flag string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// Kubernetes makes variables of a Service's name, such as veranda or
// veranda-public.
var (
	serviceName  = regexp.MustCompile(`^VERANDA(_.+)?_(SERVICE_HOST|SERVICE_PORT(_.+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$`)
	serviceValue = regexp.MustCompile(`^(tcp|udp|sctp)://`)
)

// variables returns the variables of environ by name. Empty ones count as not
// set, and those of Kubernetes are ignored. A variable of another command is no
// error: one environment may serve several commands.
func variables(model *kong.Application, environ []string) (map[string]string, error) {
	env := map[string]string{}
	for _, command := range model.Children {
		for _, f := range command.Flags {
			env[variable(f.Name)] = ""
		}
	}
	for _, pair := range environ {
		name, value, _ := strings.Cut(pair, "=")
		if !strings.HasPrefix(name, envPrefix) || value == "" || serviceName.MatchString(name) ||
			strings.HasSuffix(name, "_PORT") && serviceValue.MatchString(value) {
			continue
		}
		if _, known := env[name]; !known {
			return nil, usagef("unknown environment variable %s", name)
		}
		env[name] = value
	}
	return env, nil
}

// help prints the help of a command or, with the flags of the command without a
// name, of the program.
func help(options kong.HelpOptions, ctx *kong.Context) error {
	all := ctx.Model.Children[0]
	if c := ctx.Selected(); c != nil && c != all {
		fmt.Fprintf(ctx.Stdout, "Usage: veranda %s [flags]\n", c.Name)
	} else {
		fmt.Fprintln(ctx.Stdout, "Usage: veranda [flags]\n       veranda <command> [flags]")
		ctx.Path = ctx.Path[:1]
		ctx.Model.Flags = append(ctx.Model.Flags, all.Flags...)
	}
	return kong.DefaultHelpPrinter(options, ctx)
}

// helpText returns the help of a flag with its default and variable.
func helpText(v *kong.Value) string {
	if v.Name == "help" {
		return "Show this help."
	}
	return fmt.Sprintf("%s (default %s; %s)", strings.TrimSuffix(v.Help, "."), cmp.Or(v.Default, "none"), variable(v.Name))
}
