// Package lookup writes the conditions and the order of a [listings.Query] in
// SQL, for the stores in the folders sqlite and postgres. The statements around
// them are the stores' own.
package lookup

import (
	"strconv"
	"strings"

	"github.com/veranda-go/veranda/backend/listings"
)

// Dialect is how a database's SQL differs.
type Dialect struct {
	// Param precedes the number of a parameter.
	Param string
	// BoundID follows the id in a bound.
	BoundID string
}

// The dialects of the two stores.
var (
	// Without a collation, SQLite takes the id for a column that the index lacks,
	// and reads all rows with the same key as the bound.
	SQLite     = Dialect{Param: "?", BoundID: " COLLATE BINARY"}
	PostgreSQL = Dialect{Param: "$"}
)

// Lookup is a query in SQL. Its order is that of an index.
type Lookup struct {
	listings.Scan
	// Key is the column of the order, before id.
	Key string
	// Args are the values of the parameters, the first of them 1.
	Args []any
	// Filtered reports whether the index serves only some of the conditions, so
	// that many rows may be read for each one returned.
	Filtered bool

	dialect    Dialect
	conditions []string
}

// New returns the lookup of q's rows. user is the SQL of a user's id, whose
// parameters have the values args; if it is "", the user is that of q, and the
// first parameter.
func New(d Dialect, q listings.Query, user string, args ...any) *Lookup {
	l := &Lookup{Scan: q.Scan(), Key: "created_at", Args: args, dialect: d}
	if l.ByPrice {
		l.Key = "price"
	}
	if user == "" && q.UserID != 0 {
		user = l.Arg(q.UserID)
	}
	if user != "" {
		l.add("user_id = " + user)
	}
	if q.Type != "" {
		l.add("listing_type = " + l.Arg(string(q.Type)))
		l.Filtered = user != "" // no index has both
	}
	l.addBound(">", l.Low)
	l.addBound("<", l.High)
	if l.ByPrice {
		l.addFilter("created_at >= ", q.CreatedFrom)
		l.addFilter("created_at < ", q.CreatedBefore)
	} else {
		l.addFilter("price >= ", q.MinPrice)
		l.addFilter("price <= ", q.MaxPrice)
	}
	return l
}

// Arg adds a value and returns its parameter.
func (l *Lookup) Arg(value any) string {
	l.Args = append(l.Args, value)
	return l.dialect.Param + strconv.Itoa(len(l.Args))
}

func (l *Lookup) add(condition string) { l.conditions = append(l.conditions, condition) }

func (l *Lookup) addBound(operator string, b *listings.Bound) {
	if b != nil {
		l.add("(" + l.Key + ", id) " + operator + " (" + l.Arg(b.Key) + ", " + l.Arg(b.ID) + l.dialect.BoundID + ")")
	}
}

// addFilter adds a condition that the index does not serve, unless n is 0.
func (l *Lookup) addFilter(condition string, n int64) {
	if n != 0 {
		l.add(condition + l.Arg(n))
		l.Filtered = true
	}
}

// Where returns the conditions.
func (l *Lookup) Where() string {
	if len(l.conditions) == 0 {
		return "true"
	}
	return strings.Join(l.conditions, " AND ")
}

// Order returns the columns to sort by. table precedes their names.
func (l *Lookup) Order(table string, down bool) string {
	if down {
		return table + l.Key + " DESC, " + table + "id DESC"
	}
	return table + l.Key + ", " + table + "id"
}
