// Package plain is a candidate: gqlgen with a dataloader, used as their
// documentation shows and no further. It answers the same GraphQL questions as
// the product, from the same backends.
package plain

//go:generate go run github.com/99designs/gqlgen generate
