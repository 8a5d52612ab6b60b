package sqlite

import (
	"strings"

	"github.com/veranda-go/veranda/backend/listings"
)

// lookup is a query as it is put to SQLite.
type lookup struct {
	listings.Scan
	// index is named in the statement: SQLite, which has no statistics here,
	// would else guess which one serves best.
	index string
	// key is the column that the order goes by.
	key string
	// conditions hold a ? for each of args.
	conditions []string
	args       []any
	// long says that many rows may be read for each one that is answered.
	long bool
}

// manyRows is when skipping rows begins to take milliseconds.
const manyRows = 10_000

// lookupOf looks for the rows of user, the SQL of an id, "" for all users.
func lookupOf(q listings.Query, user string, userArgs ...any) *lookup {
	l := &lookup{Scan: q.Scan(), index: "listings_by_time", key: "created_at", long: q.Offset > manyRows}
	if l.ByPrice {
		l.index, l.key = "listings_by_price", "price"
	}
	switch {
	case user != "" && l.ByPrice:
		l.index = "listings_by_user_price"
	case user != "":
		l.index = "listings_by_user"
	case q.Type != "" && l.ByPrice:
		l.index = "listings_by_type_price"
	case q.Type != "":
		l.index = "listings_by_type"
	}

	if user != "" {
		l.add("user_id = "+user, userArgs...)
	}
	if q.Type != "" {
		l.add("listing_type = ?", string(q.Type))
		l.long = l.long || user != ""
	}
	// Without a word on collation SQLite would take the id for a column that
	// the index does not have, and read all that ties with the bound.
	if l.Low != nil {
		l.add("("+l.key+", id) > (?, ? COLLATE BINARY)", l.Low.Key, l.Low.ID)
	}
	if l.High != nil {
		l.add("("+l.key+", id) < (?, ? COLLATE BINARY)", l.High.Key, l.High.ID)
	}
	if l.ByPrice {
		l.addSlow("created_at >= ?", q.CreatedFrom)
		l.addSlow("created_at < ?", q.CreatedBefore)
	} else {
		l.addSlow("price >= ?", q.MinPrice)
		l.addSlow("price <= ?", q.MaxPrice)
	}
	return l
}

func (l *lookup) add(condition string, args ...any) {
	l.conditions = append(l.conditions, condition)
	l.args = append(l.args, args...)
}

// addSlow adds a condition that the index does not serve, unless n is 0.
func (l *lookup) addSlow(condition string, n int64) {
	if n != 0 {
		l.add(condition, n)
		l.long = true
	}
}

func (l *lookup) where() string {
	if len(l.conditions) == 0 {
		return "true"
	}
	return strings.Join(l.conditions, " AND ")
}

// order is what to sort by. table is a prefix of the columns' names.
func (l *lookup) order(table string, down bool) string {
	if down {
		return table + l.key + " DESC, " + table + "id DESC"
	}
	return table + l.key + ", " + table + "id"
}
