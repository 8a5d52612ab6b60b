package httpapi

import (
	"net/http/httptest"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/veranda-go/veranda/internal/apierror"
)

// fuzzBody tests that any body gives values that keep the rules, or an error
// about the input.
func fuzzBody(f *testing.F, contentType string, read func(*httptest.ResponseRecorder, string) *Params) {
	f.Fuzz(func(t *testing.T, body string) {
		w := httptest.NewRecorder()
		p := read(w, body)
		name, n := p.RequiredText("name"), p.RequiredInt("price")
		err := p.Err()
		if err == nil {
			if n < 1 {
				t.Errorf("price %d passed", n)
			}
			if contentType == "application/json" && !utf8.ValidString(name) {
				t.Errorf("name %q passed", name)
			}
			return
		}
		switch apierror.KindOf(err) {
		case apierror.Invalid, apierror.TooLarge:
		default:
			t.Errorf("kind %v: %v", apierror.KindOf(err), err)
		}
		for _, s := range apierror.From(err).Messages() {
			if s == "" || !utf8.ValidString(s) || strings.ContainsAny(s, "\x00\n") {
				t.Errorf("message %q", s)
			}
		}
	})
}

func FuzzForm(f *testing.F) {
	for _, s := range []string{"name=a&price=1", "name=a%26b&price=9223372036854775808", "name=%zz", "name=a;b&price=-1", "price=1&price=2"} {
		f.Add(s)
	}
	const form = "application/x-www-form-urlencoded"
	fuzzBody(f, form, func(w *httptest.ResponseRecorder, body string) *Params {
		r := httptest.NewRequest("POST", "/", strings.NewReader(body))
		r.Header.Set("Content-Type", form)
		return Form(w, r)
	})
}

func FuzzJSON(f *testing.F) {
	for _, s := range []string{
		`{"name":"a","price":1}`, `{"name":"\ud800","price":1e3}`, `{"name":["a"],"price":1.0}`, `{"name":"a","name":"b"}`,
		`[]`, `{"name":"a","price":1} x`, `{"\u0000":1}`, "{\"name\":\"\xff\"}", strings.Repeat(`{"a":`, 1000),
	} {
		f.Add(s)
	}
	fuzzBody(f, "application/json", func(w *httptest.ResponseRecorder, body string) *Params {
		r := httptest.NewRequest("POST", "/", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		return JSON(w, r, "name", "price")
	})
}
