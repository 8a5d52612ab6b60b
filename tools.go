//go:build tools

// Package tools pins the command of gqlgen in this module, with the version that
// package graph/generate imports. Other tools are pinned in tools/go.mod, so that
// their dependencies stay out of this module.
package tools

import _ "github.com/99designs/gqlgen"
