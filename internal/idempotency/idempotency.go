// Package idempotency lets a creation be sent twice and be done once: its caller
// gives it an idempotency key. Here is what the services and their stores
// share; packages sqlitedb and pgdb keep the keys, package httpapi reads them.
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

// Kept is what the first creation with a key made.
type Kept struct {
	// Digest tells whether another creation would make the same.
	Digest string
	ID     int64
	// CreatedAt is in microseconds since the Unix epoch.
	CreatedAt int64
}

// Since is the time up to which keys are forgotten at now. Both are
// microseconds since the Unix epoch.
func Since(now int64) int64 { return now - Keep.Microseconds() }

// Digest is a short text that is the same for the same fields, and for no
// others that anyone can find.
func Digest(fields ...string) string {
	var b []byte
	for _, f := range fields {
		b = strconv.AppendQuote(b, f) // so that no two lists of fields look alike
	}
	sum := sha256.Sum256(b)
	return base64.RawStdEncoding.EncodeToString(sum[:16])
}

// ErrMismatch refuses a key that was used to create something else.
var ErrMismatch = problem(apierror.KeyMismatch, "already used with other parameters")

var errInProgress = problem(apierror.Conflict, "a request with this key is in progress")

func problem(kind apierror.Kind, text string) error {
	return &apierror.Error{Kind: kind, Fields: []apierror.FieldError{{Field: Header, Message: text}}}
}

// InFlight holds the keys of creations that this process is busy with. The
// zero value is ready.
type InFlight struct {
	keys sync.Map
}

// Enter takes a key, which Leave must give back, or returns a Conflict fault
// if it is taken. "" is never taken.
func (f *InFlight) Enter(key string) error {
	if key != "" {
		if _, taken := f.keys.LoadOrStore(key, nil); taken {
			return errInProgress
		}
	}
	return nil
}

// Leave gives a key back.
func (f *InFlight) Leave(key string) { f.keys.Delete(key) }
