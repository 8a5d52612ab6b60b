package rest

import (
	"strconv"

	"github.com/veranda-go/veranda/backend/listings"
	"github.com/veranda-go/veranda/backend/users"
	"github.com/veranda-go/veranda/internal/fastjson"
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

// appendCursor appends the cursor of listing i, or null if there is none.
func appendCursor(b []byte, list []listings.Listing, i int, order listings.Order) []byte {
	if len(list) == 0 {
		return append(b, "null"...)
	}
	return fastjson.AppendString(b, listings.CursorOf(&list[i], order).String())
}
