package migrate

import (
	"slices"
	"testing"
	"testing/fstest"
)

func TestLoad(t *testing.T) {
	t.Parallel()
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	got, err := Load(fstest.MapFS{
		"migrations/0010_c.sql": file("three"), "migrations/0001_z.sql": file("one"), "migrations/0002_b.sql": file("two"),
		"migrations/README.md": file("text"), "migrations/old/0003.sql": file("deeper"), "0004.sql": file("outside"),
	})
	if want := []string{"one", "two", "three"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
	// A program that was built without its files must not run on an empty schema.
	if got, err := Load(fstest.MapFS{"migrations/README.md": file("text")}); err == nil {
		t.Errorf("no files: got %q, want an error", got)
	}
}

func TestPending(t *testing.T) {
	t.Parallel()
	all := []string{"one", "two"}
	for version, want := range [][]string{{"one", "two"}, {"two"}, {}} {
		if got, err := Pending(all, version); err != nil || !slices.Equal(got, want) {
			t.Errorf("from version %d: %q, %v, want %q", version, got, err, want)
		}
	}
	for _, version := range []int{3, -1} {
		if got, err := Pending(all, version); err == nil {
			t.Errorf("from version %d: %q, want an error", version, got)
		}
	}
}
