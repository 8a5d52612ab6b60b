package playground

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/veranda-go/veranda/internal/httpapi"
)

// handler returns the routes of the package on a router.
func handler() http.Handler {
	r := httpapi.NewRouter()
	Routes(r, slog.New(slog.DiscardHandler))
	return r
}

// assetPrefix begins the URL of an asset, by base and assetsDir of Vite.
const assetPrefix = "/playground/assets/"

var loaded = regexp.MustCompile(`(?:src|href)="([^"]*)"`)

func do(t *testing.T, h http.Handler, method, target string, header ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(method, target, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, resp *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func wantStatus(t *testing.T, resp *http.Response, want int) {
	t.Helper()
	if resp.StatusCode != want {
		t.Fatalf("status = %d, want %d", resp.StatusCode, want)
	}
}

func wantHeader(t *testing.T, resp *http.Response, name, want string) {
	t.Helper()
	if got := resp.Header.Get(name); got != want {
		t.Errorf("%s = %q, want %q", name, got, want)
	}
}

// assetURLs returns what the page loads, by reading the page.
func assetURLs(t *testing.T) []string {
	t.Helper()
	var urls []string
	for _, m := range loaded.FindAllStringSubmatch(body(t, do(t, handler(), "GET", "/playground")), -1) {
		if m[1] != "data:," {
			urls = append(urls, m[1])
		}
	}
	if len(urls) == 0 {
		t.Fatal("the page loads nothing")
	}
	return urls
}

func TestSecurityHeaders(t *testing.T) {
	for _, test := range []struct {
		targets []string
		scripts string
	}{
		{[]string{"/playground", "/playground/licenses.txt", "/playground/no", assetURLs(t)[0]}, "script-src 'self'"},
		{[]string{"/"}, ""},
	} {
		for _, target := range test.targets {
			for _, method := range []string{"GET", "HEAD"} {
				resp := do(t, handler(), method, target)
				wantHeader(t, resp, "X-Content-Type-Options", "nosniff")
				wantHeader(t, resp, "Referrer-Policy", "no-referrer")
				wantHeader(t, resp, "Cross-Origin-Opener-Policy", "same-origin")

				policy := map[string]bool{}
				for directive := range strings.SplitSeq(resp.Header.Get("Content-Security-Policy"), "; ") {
					policy[directive] = true
					if strings.HasPrefix(directive, "script-src") && directive != test.scripts {
						t.Errorf("%s %s: policy has %q", method, target, directive)
					}
				}
				for _, directive := range []string{"default-src 'none'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"} {
					if !policy[directive] {
						t.Errorf("%s %s: policy lacks %q", method, target, directive)
					}
				}
				for _, source := range []string{"unsafe-eval", "http", "blob:", "*"} {
					if strings.Contains(resp.Header.Get("Content-Security-Policy"), source) {
						t.Errorf("%s %s: policy allows %q", method, target, source)
					}
				}
			}
		}
	}
}

func TestPages(t *testing.T) {
	for _, test := range []struct {
		target, content string
	}{
		{"/playground", "<title>veranda playground</title>"},
		{"/playground/", "<title>veranda playground</title>"},
		{"/", "<title>veranda</title>"},
	} {
		resp := do(t, handler(), "GET", test.target)
		wantStatus(t, resp, http.StatusOK)
		wantHeader(t, resp, "Content-Type", "text/html; charset=utf-8")
		wantHeader(t, resp, "Cache-Control", "no-cache")
		if !strings.Contains(body(t, resp), test.content) {
			t.Errorf("%s lacks %q", test.target, test.content)
		}

		etag := resp.Header.Get("ETag")
		if !regexp.MustCompile(`^"[0-9A-Za-z_-]{22}"$`).MatchString(etag) {
			t.Errorf("%s: ETag = %q", test.target, etag)
		}
		for _, tag := range []string{etag, "W/" + etag, `"other", ` + etag, `"a,b", ` + etag, "*"} {
			resp := do(t, handler(), "GET", test.target, "If-None-Match", tag)
			wantStatus(t, resp, http.StatusNotModified)
			wantHeader(t, resp, "ETag", etag)
			if b := body(t, resp); b != "" {
				t.Errorf("%s: a 304 with a body: %q", test.target, b)
			}
		}
		for _, tag := range []string{`"other"`, `"a, ` + etag + ` b"`} {
			wantStatus(t, do(t, handler(), "GET", test.target, "If-None-Match", tag), http.StatusOK)
		}
	}
}

func TestPlaygroundLoadsOnlyItsOwnAssets(t *testing.T) {
	h := handler()
	for _, url := range assetURLs(t) {
		if !strings.HasPrefix(url, assetPrefix) {
			t.Errorf("the page loads %q", url)
		}
		resp := do(t, h, "GET", url)
		wantStatus(t, resp, http.StatusOK)
		wantHeader(t, resp, "Cache-Control", "public, max-age=31536000, immutable")
		if b := body(t, resp); strings.Contains(b, "sourceMappingURL=") {
			t.Errorf("%s loads a source map", url)
		}
	}
	page := body(t, do(t, h, "GET", "/playground"))
	for _, bad := range []string{"http:", "https:", `="//`} {
		if strings.Contains(page, bad) {
			t.Errorf("the page has %q", bad)
		}
	}
}

func TestEveryAssetHasAType(t *testing.T) {
	entries, err := dist.ReadDir("dist/assets")
	if err != nil {
		t.Fatal(err)
	}
	h := handler()
	for _, entry := range entries {
		url := assetPrefix + strings.TrimSuffix(entry.Name(), ".gz")
		resp := do(t, h, "GET", url, "Accept-Encoding", "gzip")
		wantStatus(t, resp, http.StatusOK)
		if got := resp.Header.Get("Content-Type"); got == "application/octet-stream" {
			t.Errorf("%s: Content-Type = %q", url, got)
		}
	}
}

func TestAssetCompression(t *testing.T) {
	h := handler()
	url := assetURLs(t)[0]
	plain := body(t, do(t, h, "GET", url))
	for _, test := range []struct {
		accept     string
		compressed bool
	}{
		{"gzip", true},
		{"br, GZIP;q=0.5", true},
		{"gzip, deflate, br, zstd", true},
		{"", false},
		{"br", false},
		{"gzip;q=0", false},
		{"gzip;q=nonsense", false},
	} {
		resp := do(t, h, "GET", url, "Accept-Encoding", test.accept)
		wantStatus(t, resp, http.StatusOK)
		wantHeader(t, resp, "Vary", "Accept-Encoding")
		wantHeader(t, resp, "Content-Type", "text/javascript; charset=utf-8")
		got := body(t, resp)
		if test.compressed {
			wantHeader(t, resp, "Content-Encoding", "gzip")
			zr, err := gzip.NewReader(strings.NewReader(got))
			if err != nil {
				t.Fatal(err)
			}
			unpacked, err := io.ReadAll(zr)
			if err != nil {
				t.Fatal(err)
			}
			got = string(unpacked)
		} else {
			wantHeader(t, resp, "Content-Encoding", "")
		}
		if got != plain {
			t.Errorf("Accept-Encoding %q: another body", test.accept)
		}
	}
}

func TestHeadOverHTTP(t *testing.T) {
	server := httptest.NewServer(handler())
	defer server.Close()
	for _, target := range []string{"/", "/playground", "/playground/licenses.txt", assetURLs(t)[0]} {
		resp, err := http.Head(server.URL + target)
		if err != nil {
			t.Fatal(err)
		}
		wantStatus(t, resp, http.StatusOK)
		if b := body(t, resp); b != "" {
			t.Errorf("HEAD %s has a body", target)
		}
	}
}

func TestLicenses(t *testing.T) {
	resp := do(t, handler(), "GET", "/playground/licenses.txt")
	wantStatus(t, resp, http.StatusOK)
	wantHeader(t, resp, "Content-Type", "text/plain; charset=utf-8")
	text := body(t, resp)
	for _, name := range []string{"## graphiql - ", "## monaco-editor - ", "## react - "} {
		if !strings.Contains(text, name) {
			t.Errorf("licenses.txt lacks %q", name)
		}
	}
}

func TestErrors(t *testing.T) {
	for _, test := range []struct {
		method, target string
		status         int
		body           string
	}{
		{"GET", "/playground/assets/none.js", 404, "no such route"},
		{"GET", "/playground/assets/", 404, "no such route"},
		{"GET", "/playground/assets/../index.html", 404, "no such route"},
		{"GET", "/playground/index.html", 404, "no such route"},
		{"POST", "/playground", 405, "POST is not allowed here"},
		{"DELETE", "/playground/assets/none.js", 405, "DELETE is not allowed here"},
		{"GET", "/none", 404, "no such route"},
		{"PUT", "/", 405, "PUT is not allowed here"},
	} {
		resp := do(t, handler(), test.method, test.target)
		wantStatus(t, resp, test.status)
		wantHeader(t, resp, "Content-Type", "application/json")
		allow := ""
		if test.status == http.StatusMethodNotAllowed {
			allow = "GET, HEAD"
		}
		wantHeader(t, resp, "Allow", allow)
		want := `{"result":false,"errors":["` + test.body + `"]}`
		if got := strings.TrimSpace(body(t, resp)); got != want {
			t.Errorf("%s %s: body = %s, want %s", test.method, test.target, got, want)
		}
	}
}

func TestStartShowsHost(t *testing.T) {
	r := httptest.NewRequest("GET", "/", nil)
	r.Host = `homes.test"><script>alert(1)</script>`
	w := httptest.NewRecorder()
	handler().ServeHTTP(w, r)
	page := w.Body.String()
	if strings.Contains(page, "<script") {
		t.Error("the host is not escaped")
	}
	if !strings.Contains(page, "http://homes.test&#34;&gt;") {
		t.Error("the host is not shown")
	}

	secure := body(t, do(t, handler(), "GET", "https://homes.test/"))
	if !strings.Contains(secure, "curl 'https://homes.test/") {
		t.Error("a page served over TLS shows another scheme")
	}
}

// TestStartPolicyHasStyleHash tests the hash of the template's output, which the
// browser compares, not of its source.
func TestStartPolicyHasStyleHash(t *testing.T) {
	resp := do(t, handler(), "GET", "/")
	page := []byte(body(t, resp))
	_, rest, _ := bytes.Cut(page, []byte("<style>"))
	style, _, found := bytes.Cut(rest, []byte("</style>"))
	if !found {
		t.Fatal("no style element")
	}
	sum := sha256.Sum256(style)
	if want := "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"; !strings.Contains(resp.Header.Get("Content-Security-Policy"), want) {
		t.Errorf("the policy lacks %s", want)
	}
}
