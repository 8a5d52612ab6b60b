// Package graph is the GraphQL door of the public layer: it takes a request
// (GraphQL over HTTP), runs it against the core (package publicapi) and
// writes the answer. schema.graphqls at the root of the repository is its
// contract; the folder generated is gqlgen's own, made from it. Its neighbour,
// package rest, opens the same core to REST.
package graph

//go:generate go run github.com/99designs/gqlgen generate --config ../gqlgen.yml
