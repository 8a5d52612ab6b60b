package fastjson

import (
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// Scan reads JSON whose members come in the documented order, as the services of
// this repository and most others write them. It takes a tenth of the time of a
// JSON decoder, a little more if there is white space. The scan fails on any
// other JSON, which the caller then decodes (see Scanned).
type Scan struct {
	rest   []byte
	failed bool
}

// Scanned is a value that a scan may read. ScanJSON reports whether the text was
// as expected; if not, it leaves the value as it was.
type Scanned interface {
	ScanJSON(s *Scan) bool
}

// NewScan returns a scan of text.
func NewScan(text []byte) *Scan { return &Scan{rest: text} }

// Skip reads text, with or without white space around its tokens, and fails if
// something else follows.
func (s *Scan) Skip(text string) {
	if s.failed || !s.Try(text) {
		s.failed = true
	}
}

// Try reads text as Skip does if it follows, and reports whether it does.
func (s *Scan) Try(text string) bool {
	if len(s.rest) >= len(text) && string(s.rest[:len(text)]) == text {
		s.rest = s.rest[len(text):]
		return true
	}
	rest, quoted, word := s.rest, false, false
	for i := range len(text) {
		letter := text[i] >= 'a' && text[i] <= 'z'
		if !quoted && (!word || !letter) {
			rest = trimSpace(rest)
		}
		if len(rest) == 0 || rest[0] != text[i] {
			return false
		}
		rest, word = rest[1:], letter
		quoted = quoted != (text[i] == '"')
	}
	s.rest = rest
	return true
}

// trimSpace cuts white space (RFC 8259, 2) off the start.
func trimSpace(text []byte) []byte {
	for len(text) > 0 && (text[0] == ' ' || text[0] == '\n' || text[0] == '\t' || text[0] == '\r') {
		text = text[1:]
	}
	return text
}

// Int reads a whole number of at most 18 digits without a sign.
func (s *Scan) Int() (n int64) {
	s.rest = trimSpace(s.rest)
	i := 0
	for ; i < len(s.rest) && i < 19; i++ {
		c := s.rest[i] - '0'
		if c > 9 {
			break
		}
		n = n*10 + int64(c)
	}
	if i == 0 || i == 19 || i > 1 && s.rest[0] == '0' {
		s.failed = true
	}
	s.rest = s.rest[i:]
	return n
}

// Text reads a string.
func (s *Scan) Text() string {
	s.rest = trimSpace(s.rest)
	if len(s.rest) == 0 || s.rest[0] != '"' {
		s.failed = true
		return ""
	}
	for i := 1; i < len(s.rest); i++ {
		switch c := s.rest[i]; {
		case c == '"':
			text := s.rest[1:i]
			s.rest = s.rest[i+1:]
			s.failed = s.failed || !utf8.Valid(text)
			return string(text)
		case c == '\\':
			return s.escaped()
		case c < ' ':
			s.failed = true
			return ""
		}
	}
	s.failed = true
	return ""
}

// escaped reads a string that has escapes.
func (s *Scan) escaped() string {
	for i := 1; i < len(s.rest); i++ {
		switch s.rest[i] {
		case '\\':
			i++
		case '"':
			text, err := jsontext.AppendUnquote(nil, s.rest[:i+1])
			s.rest, s.failed = s.rest[i+1:], s.failed || err != nil
			return string(text)
		}
	}
	s.failed = true
	return ""
}

// End reports whether the scan came to the end of the text without failing.
func (s *Scan) End() bool { return !s.failed && len(trimSpace(s.rest)) == 0 }

// rowBytes is about the least that a row takes in JSON.
const rowBytes = 90

// ScanList reads the rest of an array after its opening bracket, each element by
// calling element.
func ScanList[T any](s *Scan, element func(*T, *Scan)) []T {
	if s.Try("]") {
		return []T{}
	}
	list := make([]T, 0, len(s.rest)/rowBytes+1)
	for !s.failed {
		var zero T
		list = append(list, zero)
		element(&list[len(list)-1], s)
		if s.Try("]") {
			break
		}
		s.Skip(",")
	}
	return list
}
