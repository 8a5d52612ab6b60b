// Package listings is the listing service: its type and rules, its handler over
// a [Store], and the client that the public layer calls it with. The stores are
// in the folders sqlite and postgres; package publicapi is the client's caller.
package listings

import (
	"strconv"

	"github.com/veranda-go/veranda/internal/apierror"
	"github.com/veranda-go/veranda/internal/idempotency"
)

// Type is what is offered.
type Type string

// The types.
const (
	Rent Type = "rent"
	Sale Type = "sale"
)

const typeRule = "must be rent or sale"

func (t Type) known() bool { return t == Rent || t == Sale }

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

// Draft is a listing that is not created yet.
type Draft struct {
	UserID int64
	Type   Type
	Price  int64
}

// Validate returns an error for each rule that the draft breaks.
func (d Draft) Validate() []apierror.FieldError {
	var errs []apierror.FieldError
	if d.UserID < 1 {
		errs = append(errs, apierror.FieldError{Field: "user_id", Message: "must be at least 1"})
	}
	if !d.Type.known() {
		errs = append(errs, apierror.FieldError{Field: "listing_type", Message: typeRule})
	}
	if d.Price < 1 {
		errs = append(errs, apierror.FieldError{Field: "price", Message: "must be at least 1"})
	}
	return errs
}

// Digest returns a text that is equal for equal drafts alone.
func (d Draft) Digest() string {
	return idempotency.Digest(strconv.FormatInt(d.UserID, 10), string(d.Type), strconv.FormatInt(d.Price, 10))
}

// Created returns the listing that the draft became at a time in microseconds
// since the Unix epoch.
func (d Draft) Created(id, at int64) Listing {
	return Listing{ID: id, UserID: d.UserID, Type: d.Type, Price: d.Price, CreatedAt: at, UpdatedAt: at}
}
