// Package scalar turns the schema's scalars into Go values and back. It is
// bound in gqlgen.yml and used by graph/generated.
package scalar

import (
	"encoding/json"
	"io"
	"strconv"
	"strings"

	"github.com/99designs/gqlgen/graphql"

	"github.com/veranda-go/veranda/backend/listings"
	"github.com/veranda-go/veranda/internal/apierror"
	"github.com/veranda-go/veranda/internal/httpapi"
)

// MarshalID writes an id as GraphQL asks: as a string (spec 3.5.5).
func MarshalID(id int64) graphql.Marshaler {
	return graphql.WriterFunc(func(w io.Writer) {
		_, _ = io.WriteString(w, strconv.Quote(strconv.FormatInt(id, 10)))
	})
}

// UnmarshalID reads an id, a string or an integer (spec 3.5.5), which must be
// a whole number of at least 1.
func UnmarshalID(v any) (int64, error) {
	n, err := integer(v, true)
	if err == nil && n < 1 {
		err = apierror.Invalidf("", "must be at least 1")
	}
	return n, err
}

// MarshalInt64 writes a JSON number.
func MarshalInt64(n int64) graphql.Marshaler {
	return graphql.WriterFunc(func(w io.Writer) {
		_, _ = io.WriteString(w, strconv.FormatInt(n, 10))
	})
}

// UnmarshalInt64 reads a whole number; a number in a string is refused, as
// the REST door refuses it.
func UnmarshalInt64(v any) (int64, error) { return integer(v, false) }

// integer reads what gqlparser gives for an integer literal or a variable.
func integer(v any, text bool) (int64, error) {
	switch v := v.(type) {
	case int64:
		return v, nil
	case json.Number:
		return parse(v.String())
	case string:
		if text {
			return parse(v)
		}
	}
	return 0, apierror.Invalidf("", "must be a whole number")
}

func parse(text string) (int64, error) {
	n, err := httpapi.ParseInt(text)
	if err != nil {
		return 0, apierror.Invalidf("", "%s", err.Error())
	}
	return n, nil
}

// MarshalListingType writes the enum's name.
func MarshalListingType(t listings.Type) graphql.Marshaler {
	return graphql.WriterFunc(func(w io.Writer) {
		_, _ = io.WriteString(w, strconv.Quote(strings.ToUpper(string(t))))
	})
}

// UnmarshalListingType reads the enum's name.
func UnmarshalListingType(v any) (listings.Type, error) {
	switch v {
	case "RENT":
		return listings.Rent, nil
	case "SALE":
		return listings.Sale, nil
	}
	return "", apierror.Invalidf("", "must be RENT or SALE")
}

// MarshalListingOrder writes the enum's name.
func MarshalListingOrder(o listings.Order) graphql.Marshaler {
	return graphql.WriterFunc(func(w io.Writer) {
		_, _ = io.WriteString(w, strconv.Quote(strings.ToUpper(o.String())))
	})
}

// UnmarshalListingOrder reads the enum's name.
func UnmarshalListingOrder(v any) (listings.Order, error) {
	name, _ := v.(string)
	if o, ok := listings.ParseOrder(strings.ToLower(name)); ok && name == strings.ToUpper(name) {
		return o, nil
	}
	return 0, apierror.Invalidf("", "must be a ListingOrder")
}
