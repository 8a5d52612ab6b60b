package rest

import (
	"strconv"

	"github.com/veranda-go/veranda/backend/listings"
	"github.com/veranda-go/veranda/backend/users"
)

// appendListing appends a listing as this door shows it: with its user in
// place of user_id.
func appendListing(b []byte, l *listings.Listing, owner *users.User) []byte {
	b = append(b, `{"id":`...)
	b = strconv.AppendInt(b, l.ID, 10)
	b = append(b, ',')
	b = l.AppendPublicMembers(b)
	b = append(b, `,"user":`...)
	if owner == nil {
		b = append(b, `null`...)
	} else {
		b = owner.AppendJSON(b)
	}
	return append(b, '}')
}
