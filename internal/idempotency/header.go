package idempotency

import (
	"net/http"
	"regexp"

	"github.com/veranda-go/veranda/internal/apierror"
)

// Headers of a creation that may be sent again, and of a ping.
const (
	// Header holds the key. The creation is done once for each key; a request
	// that repeats it receives the first response again.
	Header = "Idempotency-Key"
	// ReplayedHeader is "true" in a response that is sent again.
	ReplayedHeader = "Idempotency-Replayed"
	// FeaturesHeader lists in the response to a ping what a service does beyond
	// the documented system.
	FeaturesHeader = "Veranda-Features"
	// Feature says in FeaturesHeader that a service honors Header.
	Feature = "idempotency-key"
)

// plain matches a key of 1 to 255 visible ASCII characters.
var plain = regexp.MustCompile(`^[!-~]{1,255}$`)

// KeyOf returns the key of a request's headers, "" if it has none. The error is
// Invalid.
func KeyOf(h http.Header) (string, error) {
	switch keys := h.Values(Header); {
	case len(keys) == 0:
		return "", nil
	case len(keys) > 1:
		return "", apierror.Invalidf(Header, "given more than once")
	case !plain.MatchString(keys[0]):
		return "", apierror.Invalidf(Header, "must be 1 to 255 visible ASCII characters")
	default:
		return keys[0], nil
	}
}
