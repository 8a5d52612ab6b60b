package listings

import (
	"cmp"
	"math"
	"strings"

	"github.com/veranda-go/veranda/internal/apierror"
)

// Order is how a list is sorted. Ties are broken by id, ascending in an ascending
// order and descending in a descending one. So every order is total, and Oldest
// and PriceAsc are the reverse of Newest and PriceDesc.
type Order uint8

// The orders.
const (
	Newest Order = iota
	Oldest
	PriceAsc
	PriceDesc
)

var orders = [...]string{Newest: "newest", Oldest: "oldest", PriceAsc: "price_asc", PriceDesc: "price_desc"}

// String returns the order as the parameter order spells it.
func (o Order) String() string { return orders[o] }

// ParseOrder parses what String returns.
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

// Compare returns a negative number if a comes before b, a positive one if it
// comes after.
func (o Order) Compare(a, b *Listing) int {
	x, y := CursorOf(a, o), CursorOf(b, o)
	if o.down() {
		x, y = y, x
	}
	return cmp.Or(cmp.Compare(x.Key, y.Key), cmp.Compare(x.ID, y.ID))
}

// Filter selects listings. A zero field selects all.
type Filter struct {
	UserID int64
	Type   Type
	// MinPrice and MaxPrice are inclusive.
	MinPrice, MaxPrice int64
	// CreatedFrom is inclusive, CreatedBefore exclusive; both are microseconds
	// since the Unix epoch.
	CreatedFrom, CreatedBefore int64
}

// Query selects a page of a sorted and filtered list.
type Query struct {
	Filter
	Order Order
	// After selects the rows that follow a cursor, Before the last rows before
	// one, both in Order. At most one is set.
	After, Before *Cursor
	// Offset and Limit are in rows. Offset is at least 0, and 0 with a cursor.
	// Limit is at least 1.
	Offset, Limit int64
}

// Validate returns an error for each rule that the query breaks. Numbers that are
// not 0 are at least 1, and the limit is that of package pagination: each API
// checks them as it reads them.
func (q Query) Validate() []apierror.FieldError {
	var errs []apierror.FieldError
	add := func(field, message, other string) {
		errs = append(errs, apierror.FieldError{Field: field, Message: message, Other: other})
	}
	if q.Type != "" && !q.Type.known() {
		add("listing_type", typeRule, "")
	}
	if q.MaxPrice > 0 && q.MinPrice > q.MaxPrice {
		add("min_price", "must not be above", "max_price")
	}
	if q.CreatedBefore > 0 && q.CreatedFrom >= q.CreatedBefore {
		add("created_from", "must be below", "created_before")
	}
	if q.After != nil && q.After.Order != q.Order {
		add("after", "belongs to another order", "")
	}
	if q.Before != nil && q.Before.Order != q.Order {
		add("before", "belongs to another order", "")
	}
	if q.After != nil && q.Before != nil {
		add("before", "not together with", "after")
	}
	return errs
}

var orderRule = "must be " + strings.Join(orders[:len(orders)-1], ", ") + " or " + orders[len(orders)-1]

// Scan is a query as a range of an index: the rows whose pair of key and id lies
// between two others, read from one end. The key is created_at or the price, as
// the order has it.
type Scan struct {
	ByPrice bool
	// Down is set for reading from the highest pair to the lowest.
	Down bool
	// Reversed is set if the rows are read in the reverse of the query's order.
	Reversed bool
	// Low and High are exclusive; nil is no bound.
	Low, High *Bound
}

// Bound is one end of a Scan.
type Bound struct{ Key, ID int64 }

// Scan returns the query as a range. A cursor and a filter of the same key become
// one bound, the narrower one: a database that has both may start at the wider
// one and read on to the cursor.
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
