//go:build tools

// Package tools pins the programs that the Makefile and .ci/run call with "go run".
package tools

import (
	_ "github.com/99designs/gqlgen"
)
