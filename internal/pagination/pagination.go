// Package page holds the arithmetic of numbered pages, the same for every
// list of every service.
package pagination

import (
	"math"
	"strconv"

	"github.com/veranda-go/veranda/internal/apierror"
)

// DefaultSize is the rows on a page when the caller names none.
const DefaultSize = 10

// DefaultMaxSize is the largest page size that is allowed unless configured.
const DefaultMaxSize = 100

// Page is one numbered page: Num counts from 1, Size is in rows.
type Page struct {
	Num, Size int64
}

// Offset is the number of rows before the page. ok is false when it would
// pass 64 bits: no such page can hold a row, so it is to be answered empty.
func (p Page) Offset() (offset int64, ok bool) {
	before := p.Num - 1
	if before > math.MaxInt64/p.Size {
		return 0, false
	}
	return before * p.Size, true
}

// Problems are the rules that the page breaks, nil if there are none. maxSize
// is in rows.
func (p Page) Validate(maxSize int64) []apierror.FieldError {
	var problems []apierror.FieldError
	if p.Num < 1 {
		problems = append(problems, apierror.FieldError{Field: "page_num", Message: "must be at least 1"})
	}
	return append(problems, ValidateSize("page_size", p.Size, maxSize)...)
}

// ValidateSize are the rules that a number of rows breaks, given in param.
func ValidateSize(param string, size, maxSize int64) []apierror.FieldError {
	switch {
	case size < 1:
		return []apierror.FieldError{{Field: param, Message: "must be at least 1"}}
	case size > maxSize:
		return []apierror.FieldError{{Field: param, Message: "must be at most " + strconv.FormatInt(maxSize, 10)}}
	}
	return nil
}
