// Package requestid carries the id of a request from the client through the
// public layer to the services, and to every log line about it. Package server
// takes the id from a request, package backendclient sends it on.
package requestid

import (
	"context"
	"crypto/rand"
	"strings"
)

// Header is the header of the id, in requests and in responses.
const Header = "X-Request-Id"

// maxLen is the longest id in bytes that is taken from a client.
const maxLen = 64

// plain are the characters that are taken from a client.
const plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."

// Accept returns a client's id if it is 1 to 64 letters, digits, dots,
// underscores and hyphens, otherwise a random one.
func Accept(id string) string {
	if id != "" && len(id) <= maxLen && strings.Trim(id, plain) == "" {
		return id
	}
	return rand.Text()
}

type key struct{}

// With returns ctx with the id.
func With(ctx context.Context, id string) context.Context { return context.WithValue(ctx, key{}, id) }

// From returns the id of the request that ctx belongs to, "" outside of one.
func From(ctx context.Context) string {
	id, _ := ctx.Value(key{}).(string)
	return id
}
