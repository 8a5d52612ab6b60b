// Package users is the user service: its type and rules, its server side
// ([NewHandler]) over a [Store], and the client that other services call it
// with. The stores are in the folders sqlite and postgres below; publicapi is
// the caller above.
package users

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/veranda-go/veranda/internal/apierror"
	"github.com/veranda-go/veranda/internal/fastjson"
	"github.com/veranda-go/veranda/internal/httpapi"
	"github.com/veranda-go/veranda/internal/idempotency"
)

// MaxName is the longest name, in Unicode characters.
const MaxName = 200

// User is a person who offers listings. Two may share a name.
type User struct {
	ID   int64  `json:"id"`
	Name string `json:"name"`
	// CreatedAt and UpdatedAt are microseconds since the Unix epoch.
	CreatedAt int64 `json:"created_at"`
	UpdatedAt int64 `json:"updated_at"`
}

// AppendJSON appends the user as both the user service and the public layer
// show it.
func (u *User) AppendJSON(b []byte) []byte {
	b = append(b, `{"id":`...)
	b = strconv.AppendInt(b, u.ID, 10)
	b = append(b, `,"name":`...)
	b = fastjson.AppendString(b, u.Name)
	b = append(b, `,"created_at":`...)
	b = strconv.AppendInt(b, u.CreatedAt, 10)
	b = append(b, `,"updated_at":`...)
	b = strconv.AppendInt(b, u.UpdatedAt, 10)
	return append(b, '}')
}

// Draft is a user who is not created yet.
type Draft struct {
	Name string
}

// ReadDraft reads a draft from a form or a JSON object. What is wrong with
// it is left in p.
func ReadDraft(p *httpapi.Params) Draft {
	d := Draft{Name: p.RequiredText("name")}
	p.Check(d.Validate())
	return d
}

// Digest is the same for drafts that are the same.
func (d Draft) Digest() string { return idempotency.Digest(d.Name) }

// Created is the user that the draft became at a time in microseconds since
// the Unix epoch.
func (d Draft) Created(id, at int64) User {
	return User{ID: id, Name: d.Name, CreatedAt: at, UpdatedAt: at}
}

// Problems are the rules that the draft breaks, nil if there are none.
func (d Draft) Validate() []apierror.FieldError {
	problem := func(text string) []apierror.FieldError {
		return []apierror.FieldError{{Field: "name", Message: text}}
	}
	switch {
	case !utf8.ValidString(d.Name):
		return problem("must be valid UTF-8")
	case strings.TrimFunc(d.Name, unicode.IsSpace) == "":
		return problem("must not be empty")
	case utf8.RuneCountInString(d.Name) > MaxName:
		return problem("must be at most " + strconv.Itoa(MaxName) + " characters")
	case strings.ContainsRune(d.Name, 0):
		return problem("must not contain NUL")
	}
	return nil
}
