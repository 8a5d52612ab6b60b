package postgres

import (
	"strconv"
	"strings"

	"github.com/veranda-go/veranda/backend/listings"
)

// lookup is a query as it is put to PostgreSQL, whose planner knows by its
// statistics which index serves best.
type lookup struct {
	listings.Scan
	conditions []string
	// args are those of the conditions, the user's id first if one is asked for.
	args []any
	// order is what to sort by, in the direction of the scan.
	order string
}

func lookupOf(q listings.Query) *lookup {
	l := &lookup{Scan: q.Scan()}
	key := "created_at"
	if l.ByPrice {
		key = "price"
	}
	l.order = key + ", id"
	if l.Down {
		l.order = key + " DESC, id DESC"
	}
	if q.UserID != 0 {
		l.add("user_id =", q.UserID)
	}
	if q.Type != "" {
		l.add("listing_type =", string(q.Type))
	}
	if l.Low != nil {
		l.conditions = append(l.conditions, "("+key+", id) > ("+l.arg(l.Low.Key)+", "+l.arg(l.Low.ID)+")")
	}
	if l.High != nil {
		l.conditions = append(l.conditions, "("+key+", id) < ("+l.arg(l.High.Key)+", "+l.arg(l.High.ID)+")")
	}
	if l.ByPrice {
		l.addUnlessZero("created_at >=", q.CreatedFrom)
		l.addUnlessZero("created_at <", q.CreatedBefore)
	} else {
		l.addUnlessZero("price >=", q.MinPrice)
		l.addUnlessZero("price <=", q.MaxPrice)
	}
	return l
}

// arg adds an argument and gives its place in the text.
func (l *lookup) arg(value any) string {
	l.args = append(l.args, value)
	return "$" + strconv.Itoa(len(l.args))
}

func (l *lookup) add(condition string, value any) {
	l.conditions = append(l.conditions, condition+" "+l.arg(value))
}

func (l *lookup) addUnlessZero(condition string, n int64) {
	if n != 0 {
		l.add(condition, n)
	}
}

func (l *lookup) where() string {
	if len(l.conditions) == 0 {
		return "true"
	}
	return strings.Join(l.conditions, " AND ")
}

// text is the statement for the rows of q. It adds their number to the args.
func (l *lookup) text(q listings.Query) string {
	where, limit := l.where(), l.arg(q.Limit)
	if q.Offset == 0 {
		return "SELECT " + columns + " FROM listings WHERE " + where + " ORDER BY " + l.order + " LIMIT " + limit
	}
	// The inner query pages through the index alone, so rows before the page
	// are counted but not fetched.
	return "SELECT " + columns + ` FROM listings WHERE id IN (
		SELECT id FROM listings WHERE ` + where + " ORDER BY " + l.order + " LIMIT " + limit + " OFFSET " + l.arg(q.Offset) + `)
		ORDER BY ` + l.order
}
