// Package migrate reads a store's schema changes: SQL files that are applied
// once each, in the order of their names, and never undone. Packages sqlitedb
// and pgdb apply them, each with its database's own lock.
package migrate

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
)

// Load returns the texts of migrations/*.sql in files, in the order of their
// names; the first one leads to version 1.
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

// Pending returns what leads from version to the newest schema. A database
// that is newer than the program is refused: an older program would not know
// what it must keep.
func Pending(all []string, version int) ([]string, error) {
	if version < 0 || version > len(all) {
		return nil, fmt.Errorf("the database has schema version %d, this program knows %d: run a newer program", version, len(all))
	}
	return all[version:], nil
}
