package httpapi

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// Origins are the web origins whose pages may read our answers. The zero value
// lets none but our own. Nothing here is needed against forged writes: what a
// page can send without asking first (forms, text, GET) changes nothing.
type Origins struct {
	any    bool
	listed map[string]bool
}

// ParseOrigins reads origins apart by commas, such as
// https://a.example,http://localhost:3000, or * for any.
func ParseOrigins(text string) (Origins, error) {
	o := Origins{listed: map[string]bool{}}
	if strings.TrimSpace(text) == "" {
		return o, nil
	}
	for origin := range strings.SplitSeq(text, ",") {
		origin = strings.TrimSpace(origin)
		if origin == "*" {
			o.any = true
			continue
		}
		u, err := url.Parse(origin)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.Scheme+"://"+u.Host != origin {
			return o, fmt.Errorf("must be * or origins such as https://www.example.com, apart by commas; %q is none", origin)
		}
		// Browsers send scheme and host in small letters.
		o.listed[strings.ToLower(origin)] = true
	}
	return o, nil
}

// None tells whether no foreign origin may read.
func (o Origins) None() bool { return !o.any && len(o.listed) == 0 }

// Allows tells whether a page at origin may read. The origin "null" is what
// sandboxed pages of anybody have.
func (o Origins) Allows(origin string) bool { return o.any || o.listed[origin] }

// Trusts tells whether a request comes from our own pages, from an allowed
// origin or from no page at all. It guards WebSockets, which browsers let any
// page open.
func (o Origins) Trusts(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" || o.Allows(origin) {
		return true
	}
	u, err := url.Parse(origin)
	return err == nil && u.Host != "" && strings.EqualFold(u.Host, r.Host)
}

// What pages may send and read beyond what every page may.
const (
	corsMethods = "GET, HEAD, POST"
	corsHeaders = "Accept, Content-Type, GraphQL-Cost, If-None-Match, Last-Event-ID, " + IdempotencyKeyHeader + ", " + RequestIDHeader
	corsExposed = "ETag, Retry-After, " + ReplayedHeader + ", " + RequestIDHeader
	corsMaxAge  = "600"
)

// CORS answers preflight requests and marks answers as readable for allowed
// origins. Cookies are never allowed: nothing here uses them. With no origins
// it is next itself.
func (o Origins) CORS(next http.Handler) http.Handler {
	if o.None() {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h, origin := w.Header(), r.Header.Get("Origin")
		if !o.any {
			h.Add("Vary", "Origin") // also without one: a cache must not mix the two
		}
		preflight := r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != ""
		if origin != "" && o.Allows(origin) {
			if o.any {
				origin = "*"
			}
			h.Set("Access-Control-Allow-Origin", origin)
			if preflight {
				h.Set("Access-Control-Allow-Methods", corsMethods)
				h.Set("Access-Control-Allow-Headers", corsHeaders)
				h.Set("Access-Control-Max-Age", corsMaxAge)
			} else {
				h.Set("Access-Control-Expose-Headers", corsExposed)
			}
		}
		if preflight {
			h.Add("Vary", "Access-Control-Request-Method, Access-Control-Request-Headers")
			w.WriteHeader(http.StatusNoContent)
			return
		}
		next.ServeHTTP(w, r)
	})
}
