//go:build tools

// Package tools pins the programs that the Makefile calls with "go run".
package tools

import (
	_ "github.com/99designs/gqlgen"
	_ "golang.org/x/vuln/cmd/govulncheck"
	_ "honnef.co/go/tools/cmd/staticcheck"
)
