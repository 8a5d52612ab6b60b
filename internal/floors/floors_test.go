package floors

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/veranda-go/veranda"

// house is every package of ours, the ground floor first. A package may import
// only what its row names, and a row may name only rows above it in this
// table, so the floors can be counted and nothing imports its neighbour.
// Names may hold a * as in path.Match.
var house = []room{
	{name: "internal/apierror", why: "everything may fail, so this stands on nothing"},
	{name: "internal/idempotency", may: "internal/apierror", why: "rules and words, for whatever is created"},
	{name: "internal/broadcast", why: "knows values, not what they are"},
	{name: "internal/creation", may: "internal/apierror internal/broadcast internal/idempotency", why: "knows drafts, rows and keys, not databases"},
	{name: "internal/migrate", why: "knows texts, not databases"},
	{name: "internal/pagination", may: "internal/apierror"},
	{name: "internal/http1", why: "bytes on connections, whatever they say"},
	{name: "internal/httpapi", may: "internal/apierror internal/http1 internal/idempotency internal/pagination", why: "the HTTP dress, for whatever is asked"},
	{name: "internal/server", may: "internal/apierror internal/http1 internal/httpapi", why: "listens and drains, for whatever is served"},
	{name: "internal/sqlitedb", may: "internal/apierror internal/creation internal/migrate internal/idempotency", why: "a file and its connections, no table"},
	{name: "internal/pgdb", may: "internal/apierror internal/creation internal/migrate internal/idempotency", why: "a pool and its schema, no table"},
	{name: "internal/coalesce", why: "knows questions, not what they are about"},

	{name: "backend/listings", may: "internal/apierror internal/broadcast internal/coalesce internal/idempotency internal/pagination internal/httpapi",
		why: "one service's rules and both ends of its routes; it never sees the other service or a database"},
	{name: "backend/users", may: "internal/apierror internal/idempotency internal/pagination internal/httpapi", why: "as backend/listings"},
	{name: "backend/listings/lookup", may: "backend/listings", why: "conditions of a query in SQL, for both stores"},
	{name: "backend/listings/sqlite", may: "backend/listings backend/listings/lookup internal/creation internal/sqlitedb",
		why: "a service's SQL; the two services' tables never join"},
	{name: "backend/users/sqlite", may: "backend/users internal/creation internal/sqlitedb"},
	{name: "backend/listings/postgres", may: "backend/listings backend/listings/lookup internal/creation internal/pgdb"},
	{name: "backend/users/postgres", may: "backend/users internal/creation internal/pgdb"},
	{name: "internal/creation/creationtest", tests: true, may: "internal/apierror internal/backendclient internal/creation internal/idempotency",
		why: "what both services promise of a creation"},
	{name: "backend/listings/listingstest", tests: true, may: "backend/listings backend/listings/sqlite internal/apierror internal/creation/creationtest internal/idempotency internal/pagination",
		why: "the promises of a store, kept by each"},
	{name: "backend/users/userstest", tests: true, may: "backend/users backend/users/sqlite internal/apierror internal/creation/creationtest internal/idempotency internal/pagination internal/httpapi",
		why: "as listingstest"},

	{name: "publicapi", may: "backend/listings backend/users internal/apierror internal/broadcast internal/coalesce internal/pagination internal/httpapi",
		why: "the core reaches the services through their clients alone: no SQL, no door; of wire it takes numbers and statuses"},
	{name: "graph/scalar", may: "backend/listings internal/apierror internal/httpapi"},
	{name: "graph/generated", may: "backend/listings backend/users graph/scalar publicapi",
		why: "generated; the types that gqlgen.yml binds"},
	{name: "graph", may: "backend/listings backend/users graph/generated graph/scalar internal/apierror internal/coalesce internal/pagination internal/httpapi publicapi",
		why: "a door knows the core and never the other door"},
	{name: "rest", may: "backend/listings backend/users internal/apierror internal/pagination internal/httpapi publicapi", why: "as graph"},
	{name: "playground", why: "files, and nothing of what they ask for"},
	{name: "internal/seed", may: "internal/apierror internal/httpapi", why: "a client like any other, which knows the public routes and nothing behind them"},

	{name: "cmd/veranda", may: "backend/* backend/*/sqlite backend/*/postgres graph rest playground publicapi internal/apierror internal/pagination internal/seed internal/server internal/httpapi",
		why: "wiring: the one place that knows all services, stores and doors"},

	{name: "internal/testenv", tests: true, why: "installs what tests need"},
	{name: "clients", tests: true, why: "clients of others, from npm, against the program as it runs"},
	{name: "internal/fakebackend", tests: true, why: "another hand's backend, which shares no code with ours, nor its mistakes"},
	{name: "internal/floors", tests: true},
	{name: ".", why: "tools.go, never compiled"},
}

// outside is every module of others that is imported, and by whom. Test files
// are free to import any of them.
var outside = []guest{
	{"github.com/go-chi/chi/v5", "internal/httpapi internal/server backend/listings backend/listings/listingstest backend/users rest", "routes"},
	{"github.com/go-json-experiment/json", "internal/httpapi internal/seed", "strict JSON; services read it through httpapi.Params"},
	{"github.com/graph-gophers/dataloader/v7", "publicapi", "batches are the core's affair"},
	{"github.com/maypok86/otter/v2", "publicapi", "as dataloader"},
	{"github.com/99designs/gqlgen", "graph graph/generated graph/scalar .", "only the GraphQL door knows its engine"},
	{"github.com/vektah/gqlparser/v2", "graph graph/generated", "as gqlgen"},
	{"github.com/coder/websocket", "graph", "as gqlgen, whose own WebSockets bound too little"},
	{"zombiezen.com/go/sqlite", "internal/sqlitedb backend/*/sqlite", "driver and SQL end at the store"},
	{"github.com/jackc/puddle/v2", "internal/sqlitedb", "pgx's pool, for SQLite's readers"},
	{"github.com/jackc/pgx/v5", "internal/pgdb backend/*/postgres internal/testenv", "as sqlite"},
	{"golang.org/x/term", "cmd/veranda", "terminals"},
	{"golang.org/x/vuln", ".", "a tool"},
	{"honnef.co/go/tools", ".", "a tool"},
	{"github.com/chromedp/chromedp", "", "drives the browser of tests"},
	{"github.com/chromedp/cdproto", "", "what a browser tells, with chromedp"},
	{"github.com/anishathalye/porcupine", "", "judges what tests saw"},

	// From the standard library, what has one place.
	{"flag", "cmd/veranda", "settings are read in one place"},
	{"os/signal", "cmd/veranda", "the program handles signals, packages get contexts"},
	{"database/sql", "", "costs twice as much as the driver: docs/decisions/0002-sqlite-driver.md"},
	{"testing", "internal/testenv internal/fakebackend internal/creation/creationtest backend/*/*test", "not linked into the binary"},
	{"unsafe", "", "nothing here is worth it"},
	{"C", "", "the binary is static"},
}

// room is a package of ours.
type room struct {
	name  string
	may   string // what of ours it may import, names apart by spaces
	tests bool   // only test files, and other rooms for tests, may import it
	why   string
}

// guest is a package or a module of others.
type guest struct {
	path string
	by   string // the rooms that may import it, names apart by spaces
	why  string
}

const advice = "\n\tThe table is in internal/floors/floors_test.go, the reasons are in docs/decisions/0001-layout.md."

func TestEveryImportIsInTheTable(t *testing.T) {
	for _, f := range goFiles(t) {
		r := roomOf(f.dir)
		if r == nil {
			t.Errorf("%s: no row for package %s: add one that names what of ours it may import, and say why%s", f.name, f.dir, advice)
			continue
		}
		for _, imported := range f.imports {
			if ours, ok := inModule(imported); ok {
				target := roomOf(ours)
				switch {
				case f.isTest: // the compiler already forbids circles
				case target != nil && target.tests && !r.tests:
					t.Errorf("%s imports %s, which is for tests: %s%s", f.name, ours, target.why, advice)
				case !matches(r.may, ours):
					t.Errorf("%s imports %s, which %s may not (%s): ask a package between the two, or change the table and say why%s",
						f.name, ours, f.dir, orElse(r.why, "see its neighbours' rows"), advice)
				}
				continue
			}
			g := guestOf(imported)
			switch {
			case g == nil && strings.Contains(strings.Split(imported, "/")[0], "."):
				t.Errorf("%s imports %s, which is no module that we know: add a row to outside, if it is worth what it costs%s", f.name, imported, advice)
			case g == nil || f.isTest:
			case !matches(g.by, f.dir):
				t.Errorf("%s imports %s, which is only for %s: %s%s", f.name, imported, orElse(g.by, "tests"), g.why, advice)
			}
		}
	}
}

func TestRowsNameOnlyFloorsBelow(t *testing.T) {
	for i, r := range house {
		for pattern := range strings.FieldsSeq(r.may) {
			below := slices.ContainsFunc(house[:i], func(b room) bool { return matches(pattern, b.name) })
			above := slices.ContainsFunc(house[i:], func(b room) bool { return matches(pattern, b.name) })
			if !below || above {
				t.Errorf("%s may import %s, which is not on a floor below it", r.name, pattern)
			}
		}
	}
}

func TestNoRowIsLeftOver(t *testing.T) {
	dirs := map[string]bool{}
	for _, f := range goFiles(t) {
		dirs[f.dir] = true
	}
	for _, r := range house {
		if !dirs[r.name] && !strings.Contains(r.name, "*") {
			t.Errorf("there is no package %s any more: drop its row%s", r.name, advice)
		}
	}
}

func TestEveryPackageSaysItsPart(t *testing.T) {
	comments := map[string]string{}
	for _, f := range goFiles(t) {
		if _, ok := comments[f.dir]; !ok {
			comments[f.dir] = ""
		}
		if f.comment != "" {
			if comments[f.dir] != "" {
				t.Errorf("%s: package %s has a second package comment", f.name, f.dir)
			}
			comments[f.dir] = f.comment
		}
	}
	const enough = 60 // "Package x does y." says nothing that the name does not
	for dir, comment := range comments {
		if generated := dir == "graph/generated"; generated {
			continue
		}
		if len(comment) < enough || !strings.HasPrefix(comment, "Package ") && !strings.HasPrefix(comment, "Command ") {
			t.Errorf("package %s needs a comment that begins with Package or Command and says its part and its neighbours", dir)
		}
	}
}

// goFile is what a Go file says before its code begins.
type goFile struct {
	name, dir string // from the root of the repository, with slashes
	isTest    bool
	imports   []string
	comment   string // of the package
}

// goFiles reads every Go file of the module, whatever system or tag it is for.
// It does not ask "go list": what that reads, the test cache does not know of,
// and would answer "ok (cached)" after a change.
func goFiles(t *testing.T) []goFile {
	t.Helper()
	root := "../.."
	var files []goFile
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := d.Name()
		if d.IsDir() {
			if name == root {
				return nil
			}
			if strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") || base == "testdata" || base == "node_modules" || base == "data" {
				return fs.SkipDir
			}
			if _, err := os.Stat(filepath.Join(name, "go.mod")); err == nil {
				return fs.SkipDir // another module
			}
			return nil
		}
		if !strings.HasSuffix(base, ".go") || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") {
			return nil
		}
		f, err := readGoFile(name)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		f.name = filepath.ToSlash(rel)
		f.dir = path.Dir(f.name)
		f.isTest = strings.HasSuffix(base, "_test.go")
		files = append(files, f)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 20 {
		t.Fatalf("found only %d Go files", len(files))
	}
	return files
}

func readGoFile(name string) (goFile, error) {
	source, err := os.ReadFile(name)
	if err != nil {
		return goFile{}, err
	}
	parsed, err := parser.ParseFile(token.NewFileSet(), name, source, parser.ImportsOnly|parser.ParseComments)
	if err != nil {
		return goFile{}, fmt.Errorf("%s: %w", name, err)
	}
	var f goFile
	for _, spec := range parsed.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return goFile{}, fmt.Errorf("%s: %w", name, err)
		}
		f.imports = append(f.imports, imported)
	}
	if parsed.Doc != nil && !isBuildTag(parsed.Doc) {
		f.comment = parsed.Doc.Text()
	}
	if bytes.HasPrefix(source, []byte("// Code generated ")) {
		f.comment = ""
	}
	return f, nil
}

func isBuildTag(doc *ast.CommentGroup) bool { return strings.HasPrefix(doc.List[0].Text, "//go:build") }

func roomOf(dir string) *room {
	for i := range house {
		if matches(house[i].name, dir) {
			return &house[i]
		}
	}
	return nil
}

func guestOf(imported string) *guest {
	for i := range outside {
		if p := outside[i].path; imported == p || strings.HasPrefix(imported, p+"/") {
			return &outside[i]
		}
	}
	return nil
}

// inModule gives the folder of a package of ours.
func inModule(imported string) (dir string, ok bool) {
	if imported == module {
		return ".", true
	}
	return strings.CutPrefix(imported, module+"/")
}

// matches tells whether one of the patterns, apart by spaces, fits name.
func matches(patterns, name string) bool {
	for pattern := range strings.FieldsSeq(patterns) {
		if ok, err := path.Match(pattern, name); err != nil {
			panic(err)
		} else if ok {
			return true
		}
	}
	return false
}

func orElse(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}
