package httpapi

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
)

func TestParseOrigins(t *testing.T) {
	for _, text := range []string{"", " ", "*", "https://a.example", "http://localhost:3000, https://b.example"} {
		if _, err := ParseOrigins(text); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
	for _, text := range []string{"a.example", "https://a.example/", "https://a.example/x", "https://*.example ftp", "ftp://a", "https://u@a.example",
		"null", "https://", ",", "https://a.example,", "https://a.example?x"} {
		if _, err := ParseOrigins(text); err == nil {
			t.Errorf("%q: taken", text)
		}
	}
}

func TestCORS(t *testing.T) {
	const listed, other = "https://a.example", "https://b.example"
	for _, test := range []struct {
		name, origins, method, origin string
		preflight                     bool
		status                        int
		allow, vary                   string
	}{
		{"off", "", "GET", listed, false, 200, "", ""},
		{"off, preflight", "", "OPTIONS", listed, true, 405, "", ""},
		{"listed", listed, "GET", listed, false, 200, listed, "Origin"},
		{"not listed", listed, "GET", other, false, 200, "", "Origin"},
		{"sandboxed page", listed, "GET", "null", false, 200, "", "Origin"},
		{"no page", listed, "GET", "", false, 200, "", "Origin"},
		{"prefix", listed, "GET", listed + ".evil.example", false, 200, "", "Origin"},
		{"listed, preflight", listed, "OPTIONS", listed, true, 204, listed, "Origin"},
		{"not listed, preflight", listed, "OPTIONS", other, true, 204, "", "Origin"},
		{"any", "*", "POST", other, false, 200, "*", ""},
		{"any, preflight", "*", "OPTIONS", other, true, 204, "*", ""},
		{"not a preflight", listed, "OPTIONS", listed, false, 405, listed, "Origin"},
	} {
		o, err := ParseOrigins(test.origins)
		if err != nil {
			t.Fatal(err)
		}
		h := o.CORS(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodOptions {
				w.WriteHeader(http.StatusMethodNotAllowed)
			}
		}))
		r := httptest.NewRequest(test.method, "/graphql", nil)
		if test.origin != "" {
			r.Header.Set("Origin", test.origin)
		}
		if test.preflight {
			r.Header.Set("Access-Control-Request-Method", "POST")
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if got := w.Header().Get("Access-Control-Allow-Origin"); w.Code != test.status || got != test.allow {
			t.Errorf("%s: %d, allowed %q", test.name, w.Code, got)
		}
		if (test.vary != "") != slices.Contains(w.Header().Values("Vary"), "Origin") {
			t.Errorf("%s: Vary %q", test.name, w.Header().Values("Vary"))
		}
		if got := w.Header().Get("Access-Control-Allow-Headers") != ""; got != (test.preflight && test.allow != "") {
			t.Errorf("%s: headers allowed: %v", test.name, got)
		}
		if w.Header().Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s: cookies", test.name)
		}
	}
}

func TestTrusts(t *testing.T) {
	o, _ := ParseOrigins("https://a.example")
	for origin, want := range map[string]bool{
		"": true, "https://a.example": true, "http://veranda.example:8000": true, "https://VERANDA.example:8000": true,
		"null": false, "https://veranda.example": false, "https://b.example": false, "http://a.example": false, "%": false,
	} {
		r := httptest.NewRequest("GET", "http://veranda.example:8000/graphql", nil)
		r.Header.Set("Origin", origin)
		if origin == "" {
			r.Header.Del("Origin")
		}
		if got := o.Trusts(r); got != want {
			t.Errorf("%q: %v", origin, got)
		}
	}
	if o.Allows("") {
		t.Error("no origin is a listed one")
	}
}
