package users

import (
	"strconv"

	"github.com/veranda-go/veranda/internal/fastjson"
)

// AppendJSON appends the user as the user service and the public layer write it.
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

// scan reads what AppendJSON writes.
func (u *User) scan(s *fastjson.Scan) {
	s.Skip(`{"id":`)
	u.ID = s.Int()
	s.Skip(`,"name":`)
	u.Name = s.Text()
	s.Skip(`,"created_at":`)
	u.CreatedAt = s.Int()
	s.Skip(`,"updated_at":`)
	u.UpdatedAt = s.Int()
	s.Skip("}")
}

// appendList appends the envelope of a list.
func appendList(b []byte, rows []User) []byte {
	b = append(b, `{"result":true,"users":`...)
	return append(fastjson.AppendList(b, rows, (*User).AppendJSON), '}')
}

// list is the envelope of a list.
type list struct {
	Result bool    `json:"result"`
	Users  *[]User `json:"users"`
}

// ScanJSON is part of fastjson.Scanned.
func (l *list) ScanJSON(s *fastjson.Scan) bool {
	s.Skip(`{"result":true,"users":[`)
	rows := fastjson.ScanList(s, (*User).scan)
	s.Skip("}")
	if s.End() {
		*l = list{true, &rows}
	}
	return s.End()
}

// object is the envelope of one user.
type object struct {
	Result bool  `json:"result"`
	User   *User `json:"user"`
}
