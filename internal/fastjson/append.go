// Package fastjson writes and reads the JSON of rows: it appends values to a
// byte slice, and scans rows whose members come in the documented order. The
// types of backend/listings and backend/users use it for both directions.
package fastjson

import "github.com/go-json-experiment/json/jsontext"

// AppendString appends s as a JSON string. Invalid UTF-8 becomes U+FFFD.
func AppendString(b []byte, s string) []byte {
	b, _ = jsontext.AppendQuote(b, s)
	return b
}

// AppendStrings appends a JSON array of strings.
func AppendStrings(b []byte, list []string) []byte {
	return AppendList(b, list, func(s *string, b []byte) []byte { return AppendString(b, *s) })
}

// AppendList appends a JSON array, each element written by appendTo.
func AppendList[T any](b []byte, list []T, appendTo func(*T, []byte) []byte) []byte {
	b = append(b, '[')
	for i := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendTo(&list[i], b)
	}
	return append(b, ']')
}
