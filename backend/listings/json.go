package listings

import (
	"strconv"

	"github.com/veranda-go/veranda/internal/fastjson"
)

// AppendJSON appends the listing as the listing service writes it.
func (l *Listing) AppendJSON(b []byte) []byte {
	b = append(b, `{"id":`...)
	b = strconv.AppendInt(b, l.ID, 10)
	b = append(b, `,"user_id":`...)
	b = strconv.AppendInt(b, l.UserID, 10)
	b = append(b, ',')
	return append(l.AppendPublicMembers(b), '}')
}

// AppendPublicMembers appends the members from listing_type to updated_at, which
// the public layer writes too.
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

// scan reads what AppendJSON writes.
func (l *Listing) scan(s *fastjson.Scan) {
	s.Skip(`{"id":`)
	l.ID = s.Int()
	s.Skip(`,"user_id":`)
	l.UserID = s.Int()
	s.Skip(`,"listing_type":`)
	switch { // without an allocation for each row
	case s.Try(`"rent"`):
		l.Type = Rent
	case s.Try(`"sale"`):
		l.Type = Sale
	default:
		l.Type = Type(s.Text())
	}
	s.Skip(`,"price":`)
	l.Price = s.Int()
	s.Skip(`,"created_at":`)
	l.CreatedAt = s.Int()
	s.Skip(`,"updated_at":`)
	l.UpdatedAt = s.Int()
	s.Skip("}")
}

// rowBytes is more than most listings take in JSON.
const rowBytes = 128

// appendList appends the envelope of a list, with the members that more, unless
// nil, appends.
func appendList(b []byte, rows []Listing, more func([]byte) []byte) []byte {
	b = append(b, `{"result":true,"listings":`...)
	b = fastjson.AppendList(b, rows, (*Listing).AppendJSON)
	if more != nil {
		b = more(b)
	}
	return append(b, '}')
}

// list is the envelope of a list. Members that a service does not send are nil.
type list struct {
	Result   bool       `json:"result"`
	Listings *[]Listing `json:"listings"`
	HasMore  *bool      `json:"has_more"`
	MoreOf   *[]int64   `json:"more_of"`
	LastID   *int64     `json:"last_id"`
}

// ScanJSON is part of fastjson.Scanned. It reads a list without other members.
func (l *list) ScanJSON(s *fastjson.Scan) bool {
	s.Skip(`{"result":true,"listings":[`)
	rows := fastjson.ScanList(s, (*Listing).scan)
	s.Skip("}")
	if s.End() {
		*l = list{Result: true, Listings: &rows}
	}
	return s.End()
}

// object is the envelope of one listing.
type object struct {
	Result  bool     `json:"result"`
	Listing *Listing `json:"listing"`
}
