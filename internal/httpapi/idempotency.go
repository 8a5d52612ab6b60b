package httpapi

import (
	"net/http"

	"github.com/veranda-go/veranda/internal/apierror"
	"github.com/veranda-go/veranda/internal/idempotency"
)

// Headers of creations that may be sent again.
const (
	// IdempotencyKeyHeader names a creation. Sent again with the same key, it
	// is not done again; its first answer is given once more, and then has
	// ReplayedHeader "true".
	IdempotencyKeyHeader = idempotency.Header
	ReplayedHeader       = "Idempotency-Replayed"
	// FeaturesHeader of a ping lists what a service does beyond the documented.
	FeaturesHeader        = "Veranda-Features"
	FeatureIdempotencyKey = "idempotency-key"
)

// MaxIdempotencyKey is the longest key in bytes.
const MaxIdempotencyKey = 255

// IdempotencyKey reads a request's key from its headers, "" if it has none.
func IdempotencyKey(h http.Header) (string, error) {
	switch all := h.Values(IdempotencyKeyHeader); len(all) {
	case 0:
		return "", nil
	case 1:
		if !plainKey(all[0]) {
			return "", apierror.Invalidf(IdempotencyKeyHeader, "must be 1 to %d visible ASCII characters", MaxIdempotencyKey)
		}
		return all[0], nil
	default:
		return "", apierror.Invalidf(IdempotencyKeyHeader, "given more than once")
	}
}

func plainKey(key string) bool {
	if key == "" || len(key) > MaxIdempotencyKey {
		return false
	}
	for _, c := range []byte(key) {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return true
}
