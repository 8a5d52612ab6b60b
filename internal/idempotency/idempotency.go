// Package idempotency has the rules of idempotency keys, with which a caller may
// send a creation again and have it created once. Package creation applies
// them, packages sqlitedb and pgdb store the keys, and packages backend/listings,
// backend/users and their clients carry them in a header.
package idempotency

import (
	"crypto/sha256"
	"encoding/base64"
	"strconv"
	"sync"
	"time"

	"github.com/veranda-go/veranda/internal/apierror"
)

// Keep is how long a key is remembered.
const Keep = 24 * time.Hour

// Digest returns a text of 22 characters, equal for equal fields. Others with the
// same digest cannot be found in practice.
func Digest(fields ...string) string {
	var b []byte
	for _, f := range fields {
		b = strconv.AppendQuote(b, f) // so that different lists of fields are different texts
	}
	sum := sha256.Sum256(b)
	return base64.RawStdEncoding.EncodeToString(sum[:16])
}

// ErrMismatch refuses a key that was used with another draft.
var ErrMismatch = keyError(apierror.KeyMismatch, "already used with other parameters")

var errInProgress = keyError(apierror.Conflict, "a request with this key is in progress")

func keyError(kind apierror.Kind, message string) error {
	return &apierror.Error{Kind: kind, Fields: []apierror.FieldError{{Field: Header, Message: message}}}
}

// InFlight is the set of keys of the creations in progress in this process. The
// zero value is ready to use.
type InFlight struct {
	keys sync.Map
}

// Enter adds a key until Leave removes it. It returns an error of kind Conflict if
// the key is in the set. "" never is.
func (f *InFlight) Enter(key string) error {
	if key != "" {
		if _, taken := f.keys.LoadOrStore(key, nil); taken {
			return errInProgress
		}
	}
	return nil
}

// Leave removes a key.
func (f *InFlight) Leave(key string) { f.keys.Delete(key) }
