package fastjson

import (
	"encoding/json"
	"fmt"
	"testing"
)

func TestAppendString(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		"", "plain", `"quotes" \ and / more`, "\x00\x1f\x7f\n\r\t", "名前 🏡", "<b>&amp;</b>", "\u2028\u2029\ufeff", "\U0010ffff",
	} {
		var got string
		if err := json.Unmarshal(AppendString(nil, s), &got); err != nil || got != s {
			t.Errorf("%q came back as %q, %v", s, got, err)
		}
	}
	var got string
	if err := json.Unmarshal(AppendString(nil, "a\xffb"), &got); err != nil || got != "a\ufffdb" {
		t.Errorf("invalid UTF-8 came back as %q, %v", got, err)
	}
	if got := string(AppendStrings(nil, nil)); got != "[]" {
		t.Errorf("no strings are %s, want an array", got)
	}
	if got := string(AppendList(nil, []int{1, 2}, func(n *int, b []byte) []byte { return fmt.Append(b, *n) })); got != "[1,2]" {
		t.Errorf("list %s, want [1,2]", got)
	}
}
