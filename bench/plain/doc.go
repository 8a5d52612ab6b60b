// Package plain is a candidate of bench/load: gqlgen and a dataloader, used as
// their documentation shows. It serves the GraphQL workloads from the backends of
// package bench.
package plain

//go:generate go tool gqlgen generate
