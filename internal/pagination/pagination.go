// Package pagination has the rules of numbered pages, the same for every list of
// every service. It knows nothing of what is listed.
package pagination

import (
	"math"
	"strconv"

	"github.com/veranda-go/veranda/internal/apierror"
)

// DefaultSize is the size of a page in rows unless a request names one.
const DefaultSize = 10

// DefaultMaxSize is the largest size of a page in rows unless configured.
const DefaultMaxSize = 100

// Page is a numbered page. Num counts from 1, Size is in rows.
type Page struct {
	Num, Size int64
}

// Rows returns what read returns for the page's offset, the number of rows before
// it. A page whose offset does not fit in 64 bits has no rows; then read is not
// called.
func Rows[T any](p Page, read func(offset int64) ([]T, error)) ([]T, error) {
	before := p.Num - 1
	if before > math.MaxInt64/p.Size {
		return nil, nil
	}
	return read(before * p.Size)
}

// Validate returns an error for each rule that the page breaks. maxSize is in
// rows.
func (p Page) Validate(maxSize int64) []apierror.FieldError {
	var errs []apierror.FieldError
	if p.Num < 1 {
		errs = append(errs, apierror.FieldError{Field: "page_num", Message: "must be at least 1"})
	}
	return append(errs, ValidateSize("page_size", p.Size, maxSize)...)
}

// ValidateSize returns an error for a number of rows, sent as param, that is not
// from 1 to maxSize.
func ValidateSize(param string, size, maxSize int64) []apierror.FieldError {
	switch {
	case size < 1:
		return []apierror.FieldError{{Field: param, Message: "must be at least 1"}}
	case size > maxSize:
		return []apierror.FieldError{{Field: param, Message: "must be at most " + strconv.FormatInt(maxSize, 10)}}
	}
	return nil
}

// AppendQuery appends the page as a query string.
func (p Page) AppendQuery(b []byte) []byte {
	b = strconv.AppendInt(append(b, "page_num="...), p.Num, 10)
	return strconv.AppendInt(append(b, "&page_size="...), p.Size, 10)
}
