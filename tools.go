//go:build tools

// Package tools pins the programs that the Makefile runs. The linter, which has
// several hundred dependencies, is in the module tools/go.mod.
package tools

import (
	_ "github.com/99designs/gqlgen"
	_ "golang.org/x/vuln/cmd/govulncheck"
)
