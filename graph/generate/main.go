// Command generate runs gqlgen with one more plugin, which writes the table of
// package graph/execute for the schema into the package of the generated code.
//
//	generate [gqlgen.yml]
//
// The paths in the configuration are relative to its folder. gqlgen's own
// command on the same configuration writes the same files but the table.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/99designs/gqlgen/api"
	"github.com/99designs/gqlgen/codegen/config"
)

func main() {
	name := "gqlgen.yml"
	if len(os.Args) > 1 {
		name = os.Args[1]
	}
	if err := generate(name); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func generate(name string) error {
	if err := os.Chdir(filepath.Dir(name)); err != nil {
		return err
	}
	cfg, err := config.LoadConfig(filepath.Base(name))
	if err != nil {
		return err
	}
	return api.Generate(cfg, api.AddPlugin(plugin{}))
}
