package requestid

import (
	"strings"
	"testing"
)

func TestAccept(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"a", "A-Z_0.9", strings.Repeat("x", 64)} {
		if got := Accept(id); got != id {
			t.Errorf("id %q became %q", id, got)
		}
	}
	seen := map[string]bool{}
	for _, id := range []string{"", "", strings.Repeat("x", 65), "two words", "line\nbreak", "a\n", "quote\"", "名", "<b>", "\x00"} {
		got := Accept(id)
		if got == id || seen[got] || Accept(got) != got {
			t.Errorf("id %q became %q, want a new one", id, got)
		}
		seen[got] = true
	}
}

func TestContext(t *testing.T) {
	t.Parallel()
	if got := From(t.Context()); got != "" {
		t.Errorf("id %q outside of a request", got)
	}
	if got := From(With(t.Context(), "a")); got != "a" {
		t.Errorf("id %q, want a", got)
	}
}
