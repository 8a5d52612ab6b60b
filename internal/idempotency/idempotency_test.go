package idempotency

import (
	"testing"

	"github.com/veranda-go/veranda/internal/apierror"
)

func TestDigest(t *testing.T) {
	lists := [][]string{
		nil, {""}, {"", ""}, {"a"}, {"b"}, {"a", ""}, {"", "a"}, {"ab"}, {"a", "b"}, {`a"b`}, {`a""b`}, {`"a"`}, {`a","b`}, {"a\x00b"}, {"名前"}, {"\xff"}, {"\\xff"},
	}
	seen := map[string][]string{}
	for _, fields := range lists {
		digest := Digest(fields...)
		if digest != Digest(fields...) || len(digest) != 22 {
			t.Errorf("%q: %q", fields, digest)
		}
		if other, ok := seen[digest]; ok {
			t.Errorf("%q and %q have one digest", fields, other)
		}
		seen[digest] = fields
	}
}

func TestInFlight(t *testing.T) {
	var f InFlight
	enter := func(key string, free bool) {
		t.Helper()
		err := f.Enter(key)
		if free && err != nil || !free && apierror.KindOf(err) != apierror.Conflict {
			t.Errorf("%q: %v", key, err)
		}
	}
	enter("a", true)
	enter("a", false)
	enter("b", true)
	enter("", true)
	enter("", true)
	f.Leave("a")
	f.Leave("")
	enter("a", true)
	enter("b", false)
}
