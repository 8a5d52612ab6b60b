// Package graph is the GraphQL API of the public layer. A request goes through
// package transport, which reads it, package prepare, which makes an operation
// of it, and package execute, which runs the operation on the resolvers here.
// Those call the core, package publicapi. schema.graphqls at the root of the
// repository is the contract; the folder generated is made from it. Package rest
// is the other API over the same core.
package graph

//go:generate go run ./generate ../gqlgen.yml
