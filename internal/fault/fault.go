// Package fault is the one error type that travels from store to door.
//
// A [Fault] says two things to two readers: its sentences are safe to show to
// anyone, its wrapped cause is for the log alone. Stores and clients make
// faults, package wire turns their [Kind] into an HTTP status and back, and
// package graph into an error code.
package fault

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Kind says what went wrong, in the few ways in which callers act differently.
type Kind uint8

// The kinds. Anything that is not a Fault counts as Internal.
const (
	// Internal is a defect or a failure of ours; its cause is never shown.
	Internal Kind = iota
	// Invalid is input that breaks a rule; its problems name the parameters.
	Invalid
	// NotFound is a thing or a route that does not exist.
	NotFound
	// TooLarge is a request body over its limit.
	TooLarge
	// MediaType is a request body of a kind that the route does not take.
	MediaType
	// Unavailable is a service or a database that does not answer now.
	Unavailable
	// Timeout is a deadline that passed.
	Timeout
	// Unsupported is a question that the backend in use has no route for.
	Unsupported
	// Conflict is a request that another one under way stands against.
	Conflict
	// Mismatch is an idempotency key that was used for something else.
	Mismatch
)

// Problem is one broken rule of one parameter.
type Problem struct {
	// Param is the name as REST spells it, such as page_size. It may be empty
	// where the input as a whole is at fault.
	Param string
	// Text is the rule, without the parameter's name: "must be at least 1".
	Text string
}

// String is the public sentence, "param: text".
func (p Problem) String() string {
	if p.Param == "" {
		return p.Text
	}
	return p.Param + ": " + p.Text
}

// Fault is an error with a public and a private half.
type Fault struct {
	Kind Kind
	// Problems are the public sentences; never empty.
	Problems []Problem
	// RetryAfter is when to try again, for Unavailable and Conflict; zero means
	// a second.
	RetryAfter time.Duration

	cause error
}

// Error is the text for logs: the sentences and the cause.
func (f *Fault) Error() string {
	text := strings.Join(f.Sentences(), "; ")
	if f.cause != nil {
		text += ": " + f.cause.Error()
	}
	return text
}

// Unwrap gives the private cause, nil if there is none.
func (f *Fault) Unwrap() error { return f.cause }

// Sentences are the problems as public text.
func (f *Fault) Sentences() []string {
	out := make([]string, len(f.Problems))
	for i, p := range f.Problems {
		out[i] = p.String()
	}
	return out
}

// New makes a fault with one public sentence that names no parameter.
func New(kind Kind, sentence string) *Fault {
	return &Fault{Kind: kind, Problems: []Problem{{Text: sentence}}}
}

// Wrap is New with a private cause.
func Wrap(kind Kind, sentence string, cause error) *Fault {
	f := New(kind, sentence)
	f.cause = cause
	return f
}

// Input makes an Invalid fault of one broken rule.
func Input(param, format string, args ...any) *Fault {
	return &Fault{Kind: Invalid, Problems: []Problem{{param, fmt.Sprintf(format, args...)}}}
}

// From gives the Fault in err's chain. A deadline that passed becomes a
// Timeout, a cancelled context Unavailable, all else Internal with a fixed
// sentence, so nothing unknown is ever shown.
func From(err error) *Fault {
	var f *Fault
	switch {
	case errors.As(err, &f):
		return f
	case errors.Is(err, context.DeadlineExceeded):
		return Wrap(Timeout, "deadline passed", err)
	case errors.Is(err, context.Canceled):
		return Wrap(Unavailable, "request cancelled", err)
	default:
		return Wrap(Internal, "internal error", err)
	}
}

// KindOf is From(err).Kind.
func KindOf(err error) Kind { return From(err).Kind }

// Check makes an Invalid fault of problems, nil if there are none.
func Check(problems []Problem) error {
	if len(problems) == 0 {
		return nil
	}
	return &Fault{Kind: Invalid, Problems: problems}
}
