// Package floors keeps the packages apart: its test holds the table of who
// may import whom and compares it with every Go file of the repository.
// There is nothing else in it, and nothing imports it.
package floors
