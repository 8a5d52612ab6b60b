package rest

import (
	"strconv"

	"github.com/veranda-go/veranda/backend/listings"
	"github.com/veranda-go/veranda/backend/users"
	"github.com/veranda-go/veranda/internal/fastjson"
)

// listView is a page of listings as the REST API writes it.
type listView struct {
	rows   []listings.Listing
	owners []*users.User // of rows
	errors []string

	// extended is set for a request with parameters that are not documented; its
	// response has the members that follow.
	extended bool
	more     bool
	order    listings.Order
}

func (v *listView) append(b []byte) []byte {
	b = append(b, `{"result":true,"listings":[`...)
	for i := range v.rows {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendListing(b, &v.rows[i], v.owners[i])
	}
	b = append(b, ']')
	if v.extended {
		b = strconv.AppendBool(append(b, `,"has_more":`...), v.more)
		b = v.appendCursor(append(b, `,"start_cursor":`...), 0)
		b = v.appendCursor(append(b, `,"end_cursor":`...), len(v.rows)-1)
	}
	if len(v.errors) > 0 {
		b = fastjson.AppendStrings(append(b, `,"errors":`...), v.errors)
	}
	return append(b, '}')
}

// appendCursor appends the cursor of row i, or null if there are no rows.
func (v *listView) appendCursor(b []byte, i int) []byte {
	if len(v.rows) == 0 {
		return append(b, "null"...)
	}
	return fastjson.AppendString(b, listings.CursorOf(&v.rows[i], v.order).String())
}

// appendListing appends a listing as the REST API writes it: with its user in
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
