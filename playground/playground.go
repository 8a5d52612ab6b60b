// Package playground serves the two pages a person meets in a browser: the
// start page at / and GraphiQL at /playground.
//
// GraphiQL is built by Vite from web/ into dist/, which is committed and
// embedded, so the program needs neither Node nor the network to serve it.
// Package cmd/veranda mounts both handlers on the public port. The page in the
// browser talks to /graphql of the origin it came from and to nothing else;
// this package knows nothing about the API behind that path.
package playground

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"html/template"
	"io"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
)

//go:embed dist
var dist embed.FS

//go:embed start.html
var startSource string

const (
	// assetPrefix is what Vite's base and assetsDir make of an asset's URL.
	assetPrefix = "/playground/assets/"

	// playgroundPolicy is as tight as GraphiQL works with. Two allowances are
	// there only because Monaco cannot do without them: it writes its theme and
	// its cursor rules as style elements and positions every line of text with
	// a style attribute, and it takes no nonce for either ('unsafe-inline' for
	// styles); its squiggles and icons are data: images. Scripts and workers
	// are plain files, so neither eval, inline script nor blob: is allowed.
	// 'self' in connect-src also covers a WebSocket of the same host.
	playgroundPolicy = "default-src 'none'; script-src 'self'; worker-src 'self'; " +
		"connect-src 'self'; style-src 'self' 'unsafe-inline'; img-src data:; font-src 'self'; " +
		"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

// startPolicy names the start page's one style element by its hash and allows
// nothing else but the empty data: icon, which keeps browsers from asking for
// /favicon.ico.
var startPolicy = "default-src 'none'; style-src 'sha256-" + styleHash(startSource) + "'; img-src data:; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

var startPage = template.Must(template.New("start").Parse(startSource))

// Handler serves GraphiQL: the page at /playground, what it loads below
// /playground/assets/, and the licenses of the libraries in it at
// /playground/licenses.txt. It looks at the whole path, so mount it without
// stripping the prefix.
func Handler() http.Handler {
	page, err := dist.ReadFile("dist/index.html")
	if err != nil {
		panic(err)
	}
	names, err := fs.Glob(dist, "dist/assets/*.gz")
	if err != nil {
		panic(err)
	}
	assets := map[string]string{} // their names in dist, by path
	for _, name := range names {
		assets[assetPrefix+strings.TrimSuffix(path.Base(name), ".gz")] = name
	}

	return guard(playgroundPolicy, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/playground", "/playground/":
			sendPage(w, r, page)
			return
		case "/playground/licenses.txt":
			w.Header().Set("Cache-Control", "no-cache")
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			sendGzip(w, r, "dist/licenses.txt.gz")
			return
		}
		asset, ok := assets[r.URL.Path]
		if !ok {
			sendError(w, http.StatusNotFound, "no such route")
			return
		}
		// The name holds a hash of the content, so the content behind a name
		// never changes.
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
		w.Header().Set("Content-Type", assetType(r.URL.Path))
		sendGzip(w, r, asset)
	})
}

// Start serves the page at /, which says what the server offers and how to try
// it.
func Start() http.Handler {
	return guard(startPolicy, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			sendError(w, http.StatusNotFound, "no such route")
			return
		}
		scheme := "http"
		if r.TLS != nil {
			scheme = "https"
		}
		var page bytes.Buffer
		if err := startPage.Execute(&page, scheme+"://"+r.Host); err != nil {
			sendError(w, http.StatusInternalServerError, "internal error")
			return
		}
		sendPage(w, r, page.Bytes())
	})
}

// guard sets the headers every answer carries, errors included, and lets only
// reads through.
func guard(policy string, next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			h.Set("Allow", "GET, HEAD")
			sendError(w, http.StatusMethodNotAllowed, "method not allowed")
			return
		}
		next(w, r)
	})
}

// sendPage sends a page that a browser may keep but must ask about each time.
func sendPage(w http.ResponseWriter, r *http.Request, body []byte) {
	sum := sha256.Sum256(body)
	etag := `"` + hex.EncodeToString(sum[:16]) + `"`
	h := w.Header()
	h.Set("Cache-Control", "no-cache")
	h.Set("ETag", etag)
	if matches(r.Header.Get("If-None-Match"), etag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.Write(body)
}

// sendGzip sends an embedded file as it is. The rare client that does not take
// gzip pays for the unpacking: a second, plain copy of every asset would make the
// program more than 6 MB larger for everybody. Nor is there one in memory.
func sendGzip(w http.ResponseWriter, r *http.Request, name string) {
	packed, err := dist.Open(name)
	if err != nil {
		panic(err)
	}
	defer packed.Close()
	h := w.Header()
	h.Set("Vary", "Accept-Encoding")
	if acceptsGzip(r.Header.Get("Accept-Encoding")) {
		info, err := packed.Stat()
		if err != nil {
			panic(err)
		}
		h.Set("Content-Encoding", "gzip")
		h.Set("Content-Length", strconv.FormatInt(info.Size(), 10))
		io.Copy(w, packed)
		return
	}
	if r.Method == http.MethodHead {
		return
	}
	plain, err := gzip.NewReader(packed)
	if err != nil {
		sendError(w, http.StatusInternalServerError, "internal error")
		return
	}
	io.Copy(w, plain)
}

func sendError(w http.ResponseWriter, status int, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(struct {
		Result bool     `json:"result"`
		Errors []string `json:"errors"`
	}{false, []string{message}})
}

// matches reports whether an If-None-Match header names etag. The weak form of
// a tag counts too: a proxy that repacks a page weakens its tag.
func matches(ifNoneMatch, etag string) bool {
	for tag := range strings.SplitSeq(ifNoneMatch, ",") {
		tag = strings.TrimSpace(tag)
		if tag == "*" || strings.TrimPrefix(tag, "W/") == etag {
			return true
		}
	}
	return false
}

// acceptsGzip reports whether an Accept-Encoding header names gzip and does not
// forbid it with a weight of zero.
func acceptsGzip(accept string) bool {
	for coding := range strings.SplitSeq(accept, ",") {
		name, weight, _ := strings.Cut(coding, ";")
		if !strings.EqualFold(strings.TrimSpace(name), "gzip") {
			continue
		}
		q, given := strings.CutPrefix(strings.TrimSpace(weight), "q=")
		if !given {
			return true
		}
		value, err := strconv.ParseFloat(q, 64)
		return err == nil && value > 0
	}
	return false
}

// assetType does not ask package mime, whose answers depend on the files of the
// machine it runs on; nosniff makes a wrong answer fatal to a script.
func assetType(name string) string {
	switch path.Ext(name) {
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".ttf":
		return "font/ttf"
	}
	return "application/octet-stream"
}

func styleHash(page string) string {
	_, rest, _ := strings.Cut(page, "<style>")
	style, _, _ := strings.Cut(rest, "</style>")
	sum := sha256.Sum256([]byte(style))
	return base64.StdEncoding.EncodeToString(sum[:])
}
