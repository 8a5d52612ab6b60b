// Package playground serves the pages for people: the start page at / and
// GraphiQL at /playground.
//
// GraphiQL is built by Vite from web/ into dist/, which is committed and
// embedded, so that neither Node nor another host is needed to serve it. Package
// cmd/veranda adds the routes to the public layer. The page calls /graphql of its
// own origin; this package does not know that API.
package playground

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"html/template"
	"io"
	"log/slog"
	"net/http"
	"path"
	"strconv"
	"strings"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"

	"github.com/veranda-go/veranda/internal/apierror"
	"github.com/veranda-go/veranda/internal/httpapi"
)

//go:embed dist
var dist embed.FS

//go:embed start.html
var startSource string

const (
	htmlType = "text/html; charset=utf-8"

	// playgroundPolicy is as strict as GraphiQL allows. Monaco needs two
	// exceptions: it writes its theme and cursor rules as style elements and
	// positions each line with a style attribute, neither with a nonce
	// ('unsafe-inline' for styles); and its icons are data: images. Scripts and
	// workers are files, without eval, inline scripts or blob: URLs. 'self' in
	// connect-src includes WebSockets of the same host.
	playgroundPolicy = "default-src 'none'; script-src 'self'; worker-src 'self'; " +
		"connect-src 'self'; style-src 'self' 'unsafe-inline'; img-src data:; font-src 'self'; " +
		"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

// startPolicy allows the start page's one style element by its hash, and the
// empty data: icon that keeps browsers from loading /favicon.ico.
var startPolicy = "default-src 'none'; style-src 'sha256-" + styleHash(startSource) + "'; img-src data:; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

var startPage = template.Must(template.New("start").Parse(startSource))

var errNoRoute = apierror.New(apierror.NotFound, "no such route")

// Routes adds the start page, GraphiQL, its assets below /playground/assets and
// the licenses of its libraries at /playground/licenses.txt to r.
func Routes(r chi.Router, log *slog.Logger) {
	r.With(headers(startPolicy)...).Get("/", httpapi.Handle(log, start))
	r = r.With(headers(playgroundPolicy)...)
	r.Get("/playground", httpapi.Handle(log, page))
	r.Get("/playground/", httpapi.Handle(log, page))
	r.Get("/playground/licenses.txt", httpapi.Handle(log, licenses))
	r.Get("/playground/assets/{name}", httpapi.Handle(log, asset))
	r.Get("/playground/*", httpapi.Handle(log, func(http.ResponseWriter, *http.Request) error { return errNoRoute }))
}

// headers returns middleware that sets the headers of every page and file.
func headers(policy string) chi.Middlewares {
	return chi.Middlewares{
		middleware.SetHeader("Content-Security-Policy", policy),
		middleware.SetHeader("X-Content-Type-Options", "nosniff"),
		middleware.SetHeader("Referrer-Policy", "no-referrer"),
		middleware.SetHeader("Cross-Origin-Opener-Policy", "same-origin"),
	}
}

// start serves the start page, which shows what the server offers and how to try
// it.
func start(w http.ResponseWriter, r *http.Request) error {
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	var html bytes.Buffer
	if err := startPage.Execute(&html, scheme+"://"+r.Host); err != nil {
		return err
	}
	httpapi.WriteTagged(w, r, htmlType, func(b []byte) []byte { return append(b, html.Bytes()...) })
	return nil
}

func page(w http.ResponseWriter, r *http.Request) error {
	html, err := dist.ReadFile("dist/index.html")
	if err != nil {
		return err
	}
	httpapi.WriteTagged(w, r, htmlType, func(b []byte) []byte { return append(b, html...) })
	return nil
}

func licenses(w http.ResponseWriter, r *http.Request) error {
	return writeFile(w, r, "licenses.txt", "text/plain; charset=utf-8", "no-cache")
}

// asset serves a file whose name has a hash of its content, which therefore never
// changes.
func asset(w http.ResponseWriter, r *http.Request) error {
	name := chi.URLParam(r, "name")
	return writeFile(w, r, "assets/"+name, assetType(name), "public, max-age=31536000, immutable")
}

// writeFile serves an embedded file, which is compressed. It decompresses the file
// for a client that does not accept gzip, which is rare: plain copies would make
// the program more than 6 MB larger.
func writeFile(w http.ResponseWriter, r *http.Request, name, contentType, cacheControl string) error {
	file, err := dist.Open("dist/" + name + ".gz")
	if err != nil {
		return errNoRoute
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Cache-Control", cacheControl)
	h.Set("Content-Type", contentType)
	h.Set("Vary", "Accept-Encoding")
	var body io.Reader = file
	if acceptsGzip(r.Header.Get("Accept-Encoding")) {
		h.Set("Content-Encoding", "gzip")
		h.Set("Content-Length", strconv.FormatInt(info.Size(), 10))
	} else if body, err = gzip.NewReader(file); err != nil {
		return err
	}
	if r.Method != http.MethodHead {
		_, _ = io.Copy(w, body) // fails only if the client is gone
	}
	return nil
}

// acceptsGzip reports whether an Accept-Encoding header (RFC 9110, 12.5.3) names
// gzip with a weight that is not zero.
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

// assetType returns the content type of a file. Package mime would consult the
// machine's files, and with nosniff a script of a wrong type does not run.
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
