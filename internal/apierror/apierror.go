// Package apierror has the error type of every layer.
//
// An [Error] has a public half and a private half: its messages may be shown
// to any client, its wrapped cause goes to the log alone. Stores and backend
// clients make errors, package httpapi turns their [Kind] into an HTTP status,
// package backendclient turns a status back into a kind, and package graph
// turns a kind into an error code.
package apierror

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Kind classifies an error by what a caller can do about it.
type Kind uint8

// The kinds. An error that is not an [Error] counts as Internal.
const (
	// Internal is a bug or a failure of the service; its cause is never shown.
	Internal Kind = iota
	// Invalid is input that breaks a rule; the error names the fields.
	Invalid
	// NotFound is an object or a route that does not exist.
	NotFound
	// TooLarge is a request body over its limit.
	TooLarge
	// MediaType is a request body of a type that the route does not accept.
	MediaType
	// Unavailable is a service or a database that does not respond.
	Unavailable
	// Timeout is a deadline that passed.
	Timeout
	// Unsupported is a request that the backend in use has no route for.
	Unsupported
	// Conflict is a request that another one in progress excludes.
	Conflict
	// KeyMismatch is an idempotency key that was used with other parameters.
	KeyMismatch
)

// statuses is the table between kinds and HTTP status codes, in both directions.
var statuses = [...]int{
	Internal:    http.StatusInternalServerError,
	Invalid:     http.StatusBadRequest,
	NotFound:    http.StatusNotFound,
	TooLarge:    http.StatusRequestEntityTooLarge,
	MediaType:   http.StatusUnsupportedMediaType,
	Unavailable: http.StatusServiceUnavailable,
	Timeout:     http.StatusGatewayTimeout,
	Unsupported: http.StatusNotImplemented,
	Conflict:    http.StatusConflict,
	KeyMismatch: http.StatusUnprocessableEntity,
}

// HTTPStatus returns the HTTP status code of the kind.
func (k Kind) HTTPStatus() int { return statuses[k] }

// KindOfStatus returns the kind that has the HTTP status code; ok is false if
// there is none.
func KindOfStatus(status int) (kind Kind, ok bool) {
	for k, s := range statuses {
		if s == status {
			return Kind(k), true
		}
	}
	return Internal, false
}

// FieldError is one broken rule of one field of the input.
type FieldError struct {
	// Field is the parameter's name as REST spells it, such as page_size. It is
	// empty where the message is about the input as a whole.
	Field string
	// Message is the rule, without names of parameters: "must be at least 1".
	Message string
	// Other is the parameter that the rule compares the field with, as REST
	// spells it; it ends the text: "min_price: must not be above max_price".
	Other string
}

// String returns the public text: "field: message other".
func (f FieldError) String() string {
	text := f.Message
	if f.Field != "" {
		text = f.Field + ": " + text
	}
	if f.Other != "" {
		text += " " + f.Other
	}
	return text
}

// Spell returns f with the names of its parameters as spell returns them, for
// an API that does not spell parameters as REST does.
func (f FieldError) Spell(spell func(string) string) FieldError {
	f.Field, f.Other = spell(f.Field), spell(f.Other)
	return f
}

// Error is an error with a public half and a private half.
type Error struct {
	Kind Kind
	// Fields are the public half. They are never empty.
	Fields []FieldError
	// RetryAfter is how long to wait before another attempt, for Unavailable and
	// Conflict. Zero means one second.
	RetryAfter time.Duration

	cause error
}

// Error returns the text for logs: the messages and the cause.
func (e *Error) Error() string {
	text := strings.Join(e.Messages(), "; ")
	if e.cause != nil {
		text += ": " + e.cause.Error()
	}
	return text
}

// Unwrap returns the private cause, nil if there is none.
func (e *Error) Unwrap() error { return e.cause }

// Messages returns the public text of each field error.
func (e *Error) Messages() []string {
	out := make([]string, len(e.Fields))
	for i, f := range e.Fields {
		out[i] = f.String()
	}
	return out
}

// New returns an error with one public message that names no field.
func New(kind Kind, message string) *Error {
	return &Error{Kind: kind, Fields: []FieldError{{Message: message}}}
}

// Wrap is New with a private cause.
func Wrap(kind Kind, message string, cause error) *Error {
	e := New(kind, message)
	e.cause = cause
	return e
}

// Invalidf returns an Invalid error of one broken rule.
func Invalidf(field, format string, args ...any) *Error {
	return &Error{Kind: Invalid, Fields: []FieldError{{Field: field, Message: fmt.Sprintf(format, args...)}}}
}

// From returns the Error in err's chain. A deadline that passed becomes a
// Timeout, a canceled context Unavailable, and every other error Internal with
// a fixed message, so that no unknown text is shown.
func From(err error) *Error {
	var e *Error
	switch {
	case errors.As(err, &e):
		return e
	case errors.Is(err, context.DeadlineExceeded):
		return Wrap(Timeout, "deadline passed", err)
	case errors.Is(err, context.Canceled):
		return Wrap(Unavailable, "request canceled", err)
	default:
		return Wrap(Internal, "internal error", err)
	}
}

// KindOf returns From(err).Kind.
func KindOf(err error) Kind { return From(err).Kind }

// FromFields returns an Invalid error of fields, nil if there are none.
func FromFields(fields []FieldError) error {
	if len(fields) == 0 {
		return nil
	}
	return &Error{Kind: Invalid, Fields: fields}
}
