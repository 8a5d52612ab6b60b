// Package errcode is the catalog of extensions.code, the part of a GraphQL
// error that is for programs. The messages are those of the REST API. All of
// package graph uses it; docs/graphql.md lists the codes for clients.
package errcode

import (
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/veranda-go/veranda/internal/apierror"
)

// Codes of requests that do not become an operation.
const (
	MethodNotAllowed = "METHOD_NOT_ALLOWED"
	NotAcceptable    = "NOT_ACCEPTABLE"
	OriginNotAllowed = "ORIGIN_NOT_ALLOWED"
	// SubscriptionNeedsStream is a subscription from a client that accepts a
	// single response only.
	SubscriptionNeedsStream = "SUBSCRIPTION_NEEDS_STREAM"
	// PersistedQueryNotFound requests the document's text, once.
	PersistedQueryNotFound = "PERSISTED_QUERY_NOT_FOUND"
	DocumentNotTrusted     = "DOCUMENT_NOT_TRUSTED"
	TooManyOperations      = "TOO_MANY_OPERATIONS"
)

// Codes of documents.
const (
	ParseFailed      = "GRAPHQL_PARSE_FAILED"
	ValidationFailed = "GRAPHQL_VALIDATION_FAILED"
	// TooComplex comes with the limit, its maximum and the actual value.
	TooComplex = "TOO_COMPLEX"
)

// Codes of input, in requests and in fields, and of failures.
const (
	Internal            = "INTERNAL"
	BadInput            = "BAD_INPUT"
	NotFound            = "NOT_FOUND"
	TooLarge            = "TOO_LARGE"
	BadMediaType        = "BAD_MEDIA_TYPE"
	Unavailable         = "UNAVAILABLE"
	Timeout             = "TIMEOUT"
	Unsupported         = "UNSUPPORTED"
	Conflict            = "CONFLICT"
	IdempotencyMismatch = "IDEMPOTENCY_MISMATCH"
)

var ofKind = [...]string{
	apierror.Internal:    Internal,
	apierror.Invalid:     BadInput,
	apierror.NotFound:    NotFound,
	apierror.TooLarge:    TooLarge,
	apierror.MediaType:   BadMediaType,
	apierror.Unavailable: Unavailable,
	apierror.Timeout:     Timeout,
	apierror.Unsupported: Unsupported,
	apierror.Conflict:    Conflict,
	apierror.KeyMismatch: IdempotencyMismatch,
}

// OfKind returns the code of a kind of error.
func OfKind(kind apierror.Kind) string { return ofKind[kind] }

// Errorf returns a GraphQL error with a code.
func Errorf(code, format string, args ...any) *gqlerror.Error {
	return Set(gqlerror.Errorf(format, args...), code)
}

// Set gives err a code and returns it.
func Set(err *gqlerror.Error, code string) *gqlerror.Error {
	if err.Extensions == nil {
		err.Extensions = map[string]any{}
	}
	err.Extensions["code"] = code
	return err
}
