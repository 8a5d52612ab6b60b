// Package listings is the listing service: its type and rules, its server
// side ([NewHandler]) over a [Store], and the client that other services call
// it with. The stores are in the folders sqlite and postgres below; publicapi
// is the caller above.
package listings

import (
	"strconv"

	"github.com/veranda-go/veranda/internal/apierror"
	"github.com/veranda-go/veranda/internal/fastjson"
	"github.com/veranda-go/veranda/internal/httpapi"
	"github.com/veranda-go/veranda/internal/idempotency"
)

// Type is what is offered.
type Type string

// The types that there are.
const (
	Rent Type = "rent"
	Sale Type = "sale"
)

const typeRule = "must be rent or sale"

func (t Type) known() bool { return t == Rent || t == Sale }

// TypeOf is Type(text), without a copy of each where a store has it in bytes.
func TypeOf(text []byte) Type {
	switch string(text) {
	case string(Rent):
		return Rent
	case string(Sale):
		return Sale
	}
	return Type(text)
}

// Listing is one property on offer.
type Listing struct {
	ID     int64 `json:"id"`
	UserID int64 `json:"user_id"`
	// Type is rent or sale.
	Type Type `json:"listing_type"`
	// Price is at least 1, in whole units of the market's currency.
	Price int64 `json:"price"`
	// CreatedAt and UpdatedAt are microseconds since the Unix epoch.
	CreatedAt int64 `json:"created_at"`
	UpdatedAt int64 `json:"updated_at"`
}

// AppendJSON appends the listing as the listing service shows it.
func (l *Listing) AppendJSON(b []byte) []byte {
	b = append(b, `{"id":`...)
	b = strconv.AppendInt(b, l.ID, 10)
	b = append(b, `,"user_id":`...)
	b = strconv.AppendInt(b, l.UserID, 10)
	b = append(b, `,`...)
	b = l.AppendPublicMembers(b)
	return append(b, '}')
}

// AppendPublicMembers appends the members from listing_type to updated_at,
// which both the listing service and the public layer show.
func (l *Listing) AppendPublicMembers(b []byte) []byte {
	b = append(b, `"listing_type":`...)
	b = fastjson.AppendString(b, string(l.Type))
	b = append(b, `,"price":`...)
	b = strconv.AppendInt(b, l.Price, 10)
	b = append(b, `,"created_at":`...)
	b = strconv.AppendInt(b, l.CreatedAt, 10)
	b = append(b, `,"updated_at":`...)
	return strconv.AppendInt(b, l.UpdatedAt, 10)
}

// Draft is a listing that is not created yet.
type Draft struct {
	UserID int64
	Type   Type
	Price  int64
}

// ReadDraft reads a draft from a form or a JSON object. What is wrong with
// it is left in p.
func ReadDraft(p *httpapi.Params) Draft {
	d := Draft{
		UserID: p.RequiredInt("user_id"),
		Type:   Type(p.RequiredText("listing_type")),
		Price:  p.RequiredInt("price"),
	}
	p.Check(d.Validate())
	return d
}

// Digest is the same for drafts that are the same.
func (d Draft) Digest() string {
	return idempotency.Digest(strconv.FormatInt(d.UserID, 10), string(d.Type), strconv.FormatInt(d.Price, 10))
}

// Created is the listing that the draft became at a time in microseconds since
// the Unix epoch.
func (d Draft) Created(id, at int64) Listing {
	return Listing{ID: id, UserID: d.UserID, Type: d.Type, Price: d.Price, CreatedAt: at, UpdatedAt: at}
}

// Problems are the rules that the draft breaks, nil if there are none.
func (d Draft) Validate() []apierror.FieldError {
	var problems []apierror.FieldError
	if d.UserID < 1 {
		problems = append(problems, apierror.FieldError{Field: "user_id", Message: "must be at least 1"})
	}
	if !d.Type.known() {
		problems = append(problems, apierror.FieldError{Field: "listing_type", Message: typeRule})
	}
	if d.Price < 1 {
		problems = append(problems, apierror.FieldError{Field: "price", Message: "must be at least 1"})
	}
	return problems
}
