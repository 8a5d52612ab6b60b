package httpapi

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/veranda-go/veranda/internal/apierror"
)

func TestObject(t *testing.T) {
	got, err := Object([]byte(` {"a":[1,{"b":null},true,"\u00e9\ud83c\udfc3"],"n":9223372036854775807123,"":{}} `), "body")
	want := map[string]any{
		"a": []any{json.Number("1"), map[string]any{"b": nil}, true, "é🏃"},
		"n": json.Number("9223372036854775807123"), "": map[string]any{},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v, %v, want %v", got, err, want)
	}
	deep := func(n int) string { return `{"a":` + strings.Repeat("[", n) + strings.Repeat("]", n) + `}` }
	if _, err := Object([]byte(deep(maxNesting-1)), "body"); err != nil {
		t.Error(err)
	}
	for _, test := range []struct{ text, want string }{
		{``, "body: malformed JSON: it ends too early"},
		{`{"a":1`, "a: malformed JSON: it ends too early"},
		{`[]`, "body: must be a JSON object"},
		{`null`, "body: must be a JSON object"},
		{`{"a":1,"a":1}`, "a: given more than once"},
		{`{"a":{"b":1,"b":1}}`, "a: a name is given more than once"},
		{`{"a":{"b":1,"\u0062":1}}`, "a: a name is given more than once"},
		{`{"a":1} {}`, "body: more text after the JSON object"},
		{`{"a":1}x`, "body: more text after the JSON object"},
		{`{"a":"\ud800"}`, "a: malformed JSON, or not valid UTF-8"},
		{"{\"a\":\"\xff\"}", "a: malformed JSON, or not valid UTF-8"},
		{"{\"\xff\":1}", "body: malformed JSON, or not valid UTF-8"},
		{`{"a":01}`, "a: malformed JSON, or not valid UTF-8"},
		{`{"a":NaN}`, "a: malformed JSON, or not valid UTF-8"},
		{`{a:1}`, "body: malformed JSON, or not valid UTF-8"},
		{`{"a":1,}`, "a: malformed JSON, or not valid UTF-8"},
		{`{"a":[1,]}`, "a: malformed JSON, or not valid UTF-8"},
		{deep(maxNesting), "a: must not be nested deeper than 32"},
		{deep(1 << 20), "a: must not be nested deeper than 32"},
	} {
		_, err := Object([]byte(test.text), "body")
		if err == nil || strings.Join(apierror.From(err).Messages(), "; ") != test.want || apierror.KindOf(err) != apierror.Invalid {
			t.Errorf("%.40s: %v, want %s", test.text, err, test.want)
		}
	}
}

// FuzzObject holds Object against the standard library: what it takes, that
// takes too, and means the same.
func FuzzObject(f *testing.F) {
	for _, text := range []string{
		``, `{}`, `{"query":"{a}","variables":{"a":[1,-0.5e3,null,true,{"b":"\u00e9"}]}}`, `{"a":1,"a":2}`, `{"a":"\ud800"}`, `[{}]`, `{"a":[[[[]]]]}`, "{\"\xff\":1}",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := Object(text, "body")
		if err != nil {
			if s := apierror.From(err).Messages(); apierror.KindOf(err) != apierror.Invalid || len(s) != 1 || len(s[0]) > 300 {
				t.Errorf("%q: %v", text, err)
			}
			return
		}
		d := json.NewDecoder(strings.NewReader(string(text)))
		d.UseNumber()
		var want map[string]any
		if err := d.Decode(&want); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %v, the standard library says %v, %v", text, got, want, err)
		}
	})
}
