// Package users is the user service: its type and rules, its handler over a
// [Store], and the client that the public layer calls it with. The stores are in
// the folders sqlite and postgres; package publicapi is the client's caller.
package users

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/veranda-go/veranda/internal/apierror"
	"github.com/veranda-go/veranda/internal/idempotency"
)

// MaxName is the longest name in Unicode characters.
const MaxName = 200

// User is a person who offers listings. Two may share a name.
type User struct {
	ID   int64  `json:"id"`
	Name string `json:"name"`
	// CreatedAt and UpdatedAt are microseconds since the Unix epoch.
	CreatedAt int64 `json:"created_at"`
	UpdatedAt int64 `json:"updated_at"`
}

// Draft is a user who is not created yet.
type Draft struct {
	Name string
}

// Validate returns an error for the first rule that the draft breaks.
func (d Draft) Validate() []apierror.FieldError {
	message := ""
	switch {
	case !utf8.ValidString(d.Name):
		message = "must be valid UTF-8"
	case strings.TrimFunc(d.Name, unicode.IsSpace) == "":
		message = "must not be empty"
	case utf8.RuneCountInString(d.Name) > MaxName:
		message = "must be at most " + strconv.Itoa(MaxName) + " characters"
	case strings.ContainsRune(d.Name, 0):
		message = "must not contain NUL"
	default:
		return nil
	}
	return []apierror.FieldError{{Field: "name", Message: message}}
}

// Digest returns a text that is equal for equal drafts alone.
func (d Draft) Digest() string { return idempotency.Digest(d.Name) }

// Created returns the user that the draft became at a time in microseconds since
// the Unix epoch.
func (d Draft) Created(id, at int64) User {
	return User{ID: id, Name: d.Name, CreatedAt: at, UpdatedAt: at}
}
