// Package scalar converts the schema's scalars and enums to Go values and
// back. gqlgen.yml binds it, and graph/generated uses it: the AppendX functions
// in the table of package execute, the MarshalX functions in gqlgen's executor.
package scalar

import (
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"

	"github.com/99designs/gqlgen/graphql"

	"github.com/veranda-go/veranda/backend/listings"
	"github.com/veranda-go/veranda/internal/apierror"
	"github.com/veranda-go/veranda/internal/httpapi"
)

func marshal(json []byte) graphql.Marshaler {
	return graphql.WriterFunc(func(w io.Writer) { _, _ = w.Write(json) })
}

// AppendID appends an id as a JSON string (spec 3.5.5).
func AppendID(b []byte, id int64) []byte {
	return append(strconv.AppendInt(append(b, '"'), id, 10), '"')
}

// MarshalID writes what AppendID appends.
func MarshalID(id int64) graphql.Marshaler { return marshal(AppendID(nil, id)) }

// UnmarshalID reads an id, a string or an integer (spec 3.5.5), which must be
// a whole number of at least 1.
func UnmarshalID(v any) (int64, error) {
	n, err := integer(v, true)
	if err == nil && n < 1 {
		err = apierror.Invalidf("", "must be at least 1")
	}
	return n, err
}

// AppendInt64 appends a JSON number.
func AppendInt64(b []byte, n int64) []byte { return strconv.AppendInt(b, n, 10) }

// MarshalInt64 writes what AppendInt64 appends.
func MarshalInt64(n int64) graphql.Marshaler { return marshal(AppendInt64(nil, n)) }

// UnmarshalInt64 reads a whole number. A number in a string is refused, as in
// the REST API.
func UnmarshalInt64(v any) (int64, error) { return integer(v, false) }

// CheckInt64 returns the message of a value that UnmarshalInt64 refuses.
func CheckInt64(v any) error {
	if _, err := UnmarshalInt64(v); err != nil {
		return errors.New(apierror.From(err).Fields[0].Message)
	}
	return nil
}

// integer reads what gqlparser has for an integer literal or a variable.
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

// AppendListingType appends the enum's name as a JSON string.
func AppendListingType(b []byte, t listings.Type) []byte { return appendEnum(b, string(t)) }

// MarshalListingType writes what AppendListingType appends.
func MarshalListingType(t listings.Type) graphql.Marshaler { return marshal(AppendListingType(nil, t)) }

func appendEnum(b []byte, name string) []byte {
	return append(append(append(b, '"'), strings.ToUpper(name)...), '"')
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
	return marshal(appendEnum(nil, o.String()))
}

// UnmarshalListingOrder reads the enum's name.
func UnmarshalListingOrder(v any) (listings.Order, error) {
	name, _ := v.(string)
	if o, ok := listings.ParseOrder(strings.ToLower(name)); ok && name == strings.ToUpper(name) {
		return o, nil
	}
	return 0, apierror.Invalidf("", "must be a ListingOrder")
}
