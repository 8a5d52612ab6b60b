package httpapi

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/veranda-go/veranda/internal/idempotency"
	"github.com/veranda-go/veranda/internal/requestid"
)

// Origins are the web origins whose pages may read responses. The zero value
// allows only the server's own. It does not guard against forged writes, and need
// not: a request that a page can send without a preflight (a form, text, GET)
// changes nothing.
type Origins struct {
	any    bool
	listed map[string]bool
}

// ParseOrigins parses origins separated by commas, such as
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
			return o, fmt.Errorf("must be * or origins such as https://www.example.com, separated by commas; %q is neither", origin)
		}
		// Browsers send scheme and host in lower case.
		o.listed[strings.ToLower(origin)] = true
	}
	return o, nil
}

// Allows reports whether a page at origin may read. The origin "null" is never
// listed: any page can have it in a sandbox.
func (o Origins) Allows(origin string) bool { return o.any || o.listed[origin] }

// Trusts reports whether a request comes from a page of the server's own, from
// an allowed origin or from no page. It guards WebSockets, which browsers let any
// page open.
func (o Origins) Trusts(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" || o.Allows(origin) {
		return true
	}
	u, err := url.Parse(origin)
	return err == nil && u.Host != "" && strings.EqualFold(u.Host, r.Host)
}

// What allowed pages may send and read beyond the safelists of the Fetch standard.
const (
	corsMethods = "GET, HEAD, POST"
	corsHeaders = "Accept, Content-Type, GraphQL-Cost, If-None-Match, Last-Event-ID, " + idempotency.Header + ", " + requestid.Header
	corsExposed = "ETag, Retry-After, " + idempotency.ReplayedHeader + ", " + requestid.Header
	corsMaxAge  = "600"
)

// CORS serves preflight requests and marks responses as readable for allowed
// origins. Cookies are never allowed, since no service uses them. Without origins
// it returns next.
func (o Origins) CORS(next http.Handler) http.Handler {
	if !o.any && len(o.listed) == 0 {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h, origin := w.Header(), r.Header.Get("Origin")
		if !o.any {
			h.Add("Vary", "Origin") // even without an Origin: a cache must not mix the two
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
