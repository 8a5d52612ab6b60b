package main

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestPublicFlags starts the public layer with flags that are wrong.
func TestPublicFlags(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"--allowed-origins", "www.example.com"}, `"www.example.com" is neither`},
		{[]string{"--trusted-documents-only"}, "--trusted-documents-only: needs --trusted-documents"},
		{[]string{"--trusted-documents", filepath.Join(dir, "none")}, "--trusted-documents: open "},
		{[]string{"--trusted-documents", file("broken", "{")}, "--trusted-documents: manifest: malformed JSON"},
		{[]string{"--trusted-documents", file("wrong", `{"list-7":"{ nowhere }"}`)}, `--trusted-documents: document "list-7": Cannot query field "nowhere"`},
	} {
		args := append([]string{"public-api", "--port", "0"}, test.args...)
		err := run(context.Background(), args, nil, &bytes.Buffer{}, &bytes.Buffer{})
		var usage usageError
		if !errors.As(err, &usage) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v: %v, want %s", test.args, err, test.want)
		}
	}
}

// TestPagesOfOtherOrigins sends the requests of pages of another origin.
func TestPagesOfOtherOrigins(t *testing.T) {
	t.Parallel()
	const page = "https://www.example.com"
	closed, open := start(t, "--data-dir", t.TempDir()), start(t, "--data-dir", t.TempDir(), "--allowed-origins", page)
	for _, path := range []string{"/graphql", "/public-api/listings"} {
		for _, p := range []*program{closed, open} {
			allowed := ""
			if p == open {
				allowed = page
			}
			preflight, err := http.NewRequestWithContext(t.Context(), "OPTIONS", p.url+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			preflight.Header.Set("Origin", page)
			preflight.Header.Set("Access-Control-Request-Method", "POST")
			preflight.Header.Set("Access-Control-Request-Headers", "content-type")
			resp, err := http.DefaultClient.Do(preflight)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if got := resp.Header.Get("Access-Control-Allow-Origin"); got != allowed || (resp.StatusCode == 204) != (p == open) {
				t.Errorf("%s: %d, allowed %q, want %q", path, resp.StatusCode, got, allowed)
			}
			// A form can change nothing, whatever page sends it.
			for _, kind := range []string{"application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain"} {
				resp, err := http.Post(p.url+path, kind, strings.NewReader(`{"query":"mutation{createUser(input:{name:\"x\"}){user{id}}}"}`))
				if err != nil {
					t.Fatal(err)
				}
				resp.Body.Close()
				if resp.StatusCode != 415 {
					t.Errorf("%s: %s: %d, want 415", path, kind, resp.StatusCode)
				}
			}
		}
	}
}
