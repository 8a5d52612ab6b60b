// Package migrate reads the migrations of a store's schema: SQL files that are
// applied once each, in the order of their names, and never undone. Packages
// sqlitedb and pgdb apply them, each under a lock of its database.
package migrate

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
)

// Load returns the contents of migrations/*.sql in files, in the order of their
// names. The first migration leads to version 1.
func Load(files fs.FS) ([]string, error) {
	names, err := fs.Glob(files, "migrations/*.sql")
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, errors.New("no migrations found")
	}
	slices.Sort(names)
	texts := make([]string, len(names))
	for i, name := range names {
		b, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		texts[i] = string(b)
	}
	return texts, nil
}

// Pending returns the migrations that lead from version to the newest schema. It
// returns an error if the database is newer than the program, which would not
// know what the newer schema requires.
func Pending(all []string, version int) ([]string, error) {
	if version < 0 || version > len(all) {
		return nil, fmt.Errorf("the database has schema version %d, this program knows %d: run a newer program", version, len(all))
	}
	return all[version:], nil
}
