package listings

import (
	"cmp"
	"math"
	"strings"

	"github.com/veranda-go/veranda/internal/apierror"
	"github.com/veranda-go/veranda/internal/httpapi"
)

// Order is how a list is sorted. Ties are broken by id, upwards where the
// order goes upwards and downwards where it goes downwards, so that every
// order is whole and half of them are the others read backwards.
type Order uint8

// The orders that there are.
const (
	Newest Order = iota
	Oldest
	PriceAsc
	PriceDesc
)

var orders = [...]string{Newest: "newest", Oldest: "oldest", PriceAsc: "price_asc", PriceDesc: "price_desc"}

// String is the order as the parameter of that name spells it.
func (o Order) String() string { return orders[o] }

// ParseOrder reads what String gives.
func ParseOrder(text string) (Order, bool) {
	for i, name := range orders {
		if text == name {
			return Order(i), true
		}
	}
	return 0, false
}

func (o Order) byPrice() bool { return o == PriceAsc || o == PriceDesc }

func (o Order) down() bool { return o == Newest || o == PriceDesc }

// Compare sorts a and b: below zero when a comes first.
func (o Order) Compare(a, b *Listing) int {
	x, y := CursorOf(a, o), CursorOf(b, o)
	if o.down() {
		x, y = y, x
	}
	return cmp.Or(cmp.Compare(x.Key, y.Key), cmp.Compare(x.ID, y.ID))
}

// Filter keeps some of the listings. Zero in a field keeps all.
type Filter struct {
	UserID int64
	Type   Type
	// MinPrice and MaxPrice are both kept.
	MinPrice, MaxPrice int64
	// CreatedFrom and CreatedBefore are microseconds since the Unix epoch. The
	// first is kept, the second is not.
	CreatedFrom, CreatedBefore int64
}

// Problems are the rules that the filter breaks, nil if there are none.
func (f Filter) Validate() []apierror.FieldError {
	var problems []apierror.FieldError
	for _, n := range []struct {
		param string
		value int64
	}{
		{"user_id", f.UserID}, {"min_price", f.MinPrice}, {"max_price", f.MaxPrice},
		{"created_from", f.CreatedFrom}, {"created_before", f.CreatedBefore},
	} {
		if n.value < 0 {
			problems = append(problems, apierror.FieldError{Field: n.param, Message: "must be at least 1"})
		}
	}
	if f.Type != "" && !f.Type.known() {
		problems = append(problems, apierror.FieldError{Field: "listing_type", Message: typeRule})
	}
	if f.MaxPrice > 0 && f.MinPrice > f.MaxPrice {
		problems = append(problems, apierror.FieldError{Field: "min_price", Message: "must not be above", Other: "max_price"})
	}
	if f.CreatedBefore > 0 && f.CreatedFrom >= f.CreatedBefore {
		problems = append(problems, apierror.FieldError{Field: "created_from", Message: "must be below", Other: "created_before"})
	}
	return problems
}

// Query asks for a run of listings.
type Query struct {
	Filter
	Order Order
	// After asks for the rows that follow a cursor, Before for those that end
	// just in front of one, still in the asked order. At most one is set.
	After, Before *Cursor
	// Offset and Limit are in rows. Offset is at least 0, and 0 beside a
	// cursor. Limit is at least 1.
	Offset, Limit int64
}

// Problems are the rules that the query breaks, nil if there are none. Those
// of Limit are package page's.
func (q Query) Validate() []apierror.FieldError {
	problems := q.Filter.Validate()
	if int(q.Order) >= len(orders) {
		return append(problems, apierror.FieldError{Field: "order", Message: orderRule})
	}
	for _, c := range []struct {
		param string
		*Cursor
	}{{"after", q.After}, {"before", q.Before}} {
		if c.Cursor != nil && c.Order != q.Order {
			problems = append(problems, apierror.FieldError{Field: c.param, Message: "belongs to another order"})
		}
	}
	switch {
	case q.After != nil && q.Before != nil:
		problems = append(problems, apierror.FieldError{Field: "before", Message: "not together with", Other: "after"})
	case q.Offset > 0 && (q.After != nil || q.Before != nil):
		problems = append(problems, apierror.FieldError{Field: "page_num", Message: "not together with a cursor"})
	}
	return problems
}

var orderRule = "must be " + strings.Join(orders[:len(orders)-1], ", ") + " or " + orders[len(orders)-1]

// ReadQuery reads all of a query but the user and the page. extended tells
// whether any parameter was there that the documented question lacks. What is
// wrong is left in p.
func ReadQuery(p *httpapi.Params) (q Query, extended bool) {
	if text, ok := p.Text("listing_type"); ok {
		if q.Type = Type(text); !q.Type.known() {
			p.Problem("listing_type", typeRule)
		}
	}
	q.MinPrice, q.MaxPrice = p.Int("min_price", 0), p.Int("max_price", 0)
	q.CreatedFrom, q.CreatedBefore = p.Int("created_from", 0), p.Int("created_before", 0)
	if text, ok := p.Text("order"); ok {
		if q.Order, ok = ParseOrder(text); !ok {
			p.Problem("order", orderRule)
		}
	}
	q.After, q.Before = readCursor(p, "after"), readCursor(p, "before")
	if text, ok := p.Text("paging"); ok && text != "keyset" {
		p.Problem("paging", "must be keyset")
	}
	if p.Has("page_num") {
		for _, other := range []string{"after", "before", "paging"} {
			if p.Has(other) {
				p.Check([]apierror.FieldError{{Field: "page_num", Message: "not together with", Other: other}})
				break
			}
		}
	}
	p.Check(q.Validate())
	for _, name := range []string{
		"listing_type", "min_price", "max_price", "created_from", "created_before", "order", "after", "before", "paging",
	} {
		extended = extended || p.Has(name)
	}
	return q, extended
}

func readCursor(p *httpapi.Params, name string) *Cursor {
	text, ok := p.Text(name)
	if !ok {
		return nil
	}
	c, err := ParseCursor(text)
	if err != nil {
		p.Problem(name, apierror.From(err).Fields[0].Message)
		return nil
	}
	return &c
}

// Scan is a query as an index sees it: the rows whose pair of key and id lies
// between two others, read from one end. The key is created_at or the price,
// whichever the order goes by.
type Scan struct {
	ByPrice bool
	// Down reads from the highest pair to the lowest.
	Down bool
	// Reversed says that the rows are read against the asked order.
	Reversed bool
	// Low and High are left out themselves; nil is no bound.
	Low, High *Bound
}

// Bound is one end of a Scan.
type Bound struct{ Key, ID int64 }

// Scan works out the bounds. A cursor and a range of the same key become one
// bound, the narrower: a database given both may start at the wider one and
// read its way to the cursor.
func (q Query) Scan() Scan {
	s := Scan{ByPrice: q.Order.byPrice(), Down: q.Order.down()}
	if s.ByPrice {
		s.above(q.MinPrice, 0)
		if q.MaxPrice != 0 {
			s.below(q.MaxPrice, math.MaxInt64)
		}
	} else {
		s.above(q.CreatedFrom, 0)
		if q.CreatedBefore != 0 {
			s.below(q.CreatedBefore, 0)
		}
	}
	bounds := [...]func(key, id int64){s.above, s.below}
	if s.Down {
		bounds[0], bounds[1] = s.below, s.above
	}
	if q.After != nil {
		bounds[0](q.After.Key, q.After.ID)
	}
	if q.Before != nil {
		bounds[1](q.Before.Key, q.Before.ID)
		s.Down, s.Reversed = !s.Down, true
	}
	return s
}

func (s *Scan) above(key, id int64) {
	if key == 0 && id == 0 {
		return
	}
	if b := (Bound{key, id}); s.Low == nil || b.compare(*s.Low) > 0 {
		s.Low = &b
	}
}

func (s *Scan) below(key, id int64) {
	if b := (Bound{key, id}); s.High == nil || b.compare(*s.High) < 0 {
		s.High = &b
	}
}

func (b Bound) compare(other Bound) int {
	return cmp.Or(cmp.Compare(b.Key, other.Key), cmp.Compare(b.ID, other.ID))
}
