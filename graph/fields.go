package graph

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/veranda-go/veranda/backend/listings"
	"github.com/veranda-go/veranda/backend/users"
	"github.com/veranda-go/veranda/graph/scalar"
	"github.com/veranda-go/veranda/internal/apierror"
	"github.com/veranda-go/veranda/internal/fastjson"
	"github.com/veranda-go/veranda/internal/pagination"
	"github.com/veranda-go/veranda/publicapi"
)

// The engine's table: every field of every type that a query can reach. A
// test compares it with the schema.

var objects = map[string]*object{
	"Query": {name: "Query", fields: map[string]*field{
		"listings": root("Listing", func(ctx context.Context, a *args) (any, error) {
			pg, userID := a.page(), a.optionalID("userId")
			if a.err != nil {
				return nil, a.err
			}
			found, err := a.api.Listings(ctx, pg, userID)
			return pointers(found), err
		}),
		"listing": root("Listing", func(ctx context.Context, a *args) (any, error) {
			id := a.id("id")
			if a.err != nil {
				return nil, a.err
			}
			l, err := a.api.Listing(ctx, id)
			return orNil(l), err
		}),
		"users": root("User", func(ctx context.Context, a *args) (any, error) {
			pg := a.page()
			if a.err != nil {
				return nil, a.err
			}
			found, err := a.api.Users(ctx, pg)
			return pointers(found), err
		}),
		"listingsConnection": root("ListingConnection", func(ctx context.Context, a *args) (any, error) {
			filter, order, window := a.filter(), a.order(), a.window()
			if a.err != nil {
				return nil, a.err
			}
			c, err := a.api.ListingsConnection(ctx, filter, order, window)
			return orNil(c), err
		}),
		"node": {types: []string{"Listing", "User"}, fetch: rootFetch(func(ctx context.Context, a *args) (any, error) {
			id := a.text("id")
			if a.err != nil {
				return nil, a.err
			}
			return a.api.Node(ctx, id)
		})},
		"user": root("User", func(ctx context.Context, a *args) (any, error) {
			id := a.id("id")
			if a.err != nil {
				return nil, a.err
			}
			u, err := a.api.User(ctx, id)
			return orNil(u), err
		}),
	}},

	"Listing": {name: "Listing", fields: map[string]*field{
		"id": leaf(func(b []byte, l *listings.Listing) []byte { return appendID(b, l.ID) }),
		"nodeId": leaf(func(b []byte, l *listings.Listing) []byte {
			return fastjson.AppendString(b, publicapi.ListingNodeID(l))
		}),
		"listingType": leaf(func(b []byte, l *listings.Listing) []byte {
			return fastjson.AppendString(b, strings.ToUpper(string(l.Type)))
		}),
		"price":     leaf(func(b []byte, l *listings.Listing) []byte { return strconv.AppendInt(b, l.Price, 10) }),
		"createdAt": leaf(func(b []byte, l *listings.Listing) []byte { return strconv.AppendInt(b, l.CreatedAt, 10) }),
		"updatedAt": leaf(func(b []byte, l *listings.Listing) []byte { return strconv.AppendInt(b, l.UpdatedAt, 10) }),
		"user": {types: []string{"User"}, fetch: func(ctx context.Context, parents []any, a *args) ([]any, []error) {
			owners, errs := a.api.Owners(ctx, as[listings.Listing](parents))
			return anyOf(owners), errs
		}},
	}},

	"User": {name: "User", fields: map[string]*field{
		"id":        leaf(func(b []byte, u *users.User) []byte { return appendID(b, u.ID) }),
		"nodeId":    leaf(func(b []byte, u *users.User) []byte { return fastjson.AppendString(b, publicapi.UserNodeID(u)) }),
		"name":      leaf(func(b []byte, u *users.User) []byte { return fastjson.AppendString(b, u.Name) }),
		"createdAt": leaf(func(b []byte, u *users.User) []byte { return strconv.AppendInt(b, u.CreatedAt, 10) }),
		"updatedAt": leaf(func(b []byte, u *users.User) []byte { return strconv.AppendInt(b, u.UpdatedAt, 10) }),
		"listings": {types: []string{"Listing"}, fetch: func(ctx context.Context, parents []any, a *args) ([]any, []error) {
			first := a.integer("first")
			if a.err != nil {
				return make([]any, len(parents)), repeat(a.err, len(parents))
			}
			lists, errs := a.api.ListingsOf(ctx, as[users.User](parents), first)
			values := make([]any, len(lists))
			for i := range lists {
				values[i] = pointers(lists[i])
			}
			return values, errs
		}},
		"listingsConnection": {types: []string{"ListingConnection"}, fetch: func(ctx context.Context, parents []any, a *args) ([]any, []error) {
			filter, order, window := a.filter(), a.order(), a.window()
			if a.err != nil {
				return make([]any, len(parents)), repeat(a.err, len(parents))
			}
			found, errs := a.api.ConnectionsOf(ctx, as[users.User](parents), filter, order, window)
			return anyOf(found), errs
		}},
	}},

	"ListingConnection": {name: "ListingConnection", fields: map[string]*field{
		"edges":    child("ListingEdge", func(c *publicapi.Connection) any { return pointers(c.Edges) }),
		"nodes":    child("Listing", func(c *publicapi.Connection) any { return pointers(c.Nodes) }),
		"pageInfo": child("PageInfo", func(c *publicapi.Connection) any { return &c.PageInfo }),
	}},

	"ListingEdge": {name: "ListingEdge", fields: map[string]*field{
		"cursor": leaf(func(b []byte, e *publicapi.Edge) []byte { return fastjson.AppendString(b, e.Cursor) }),
		"node":   child("Listing", func(e *publicapi.Edge) any { return e.Node }),
	}},

	"PageInfo": {name: "PageInfo", fields: map[string]*field{
		"hasNextPage":     leaf(func(b []byte, p *publicapi.PageInfo) []byte { return strconv.AppendBool(b, p.HasNextPage) }),
		"hasPreviousPage": leaf(func(b []byte, p *publicapi.PageInfo) []byte { return strconv.AppendBool(b, p.HasPreviousPage) }),
		"startCursor":     leaf(func(b []byte, p *publicapi.PageInfo) []byte { return appendOptional(b, p.StartCursor) }),
		"endCursor":       leaf(func(b []byte, p *publicapi.PageInfo) []byte { return appendOptional(b, p.EndCursor) }),
	}},
}

// objectOf is the type of a value, for interfaces.
func objectOf(v any) string {
	switch v.(type) {
	case *listings.Listing:
		return "Listing"
	case *users.User:
		return "User"
	}
	panic(fmt.Sprintf("no object type for a %T", v))
}

// leaf is a field without fields of a *T.
func leaf[T any](f func([]byte, *T) []byte) *field {
	return &field{leaf: func(b []byte, parent any) []byte { return f(b, parent.(*T)) }}
}

// child is a field whose value a *T holds.
func child[T any](of string, f func(*T) any) *field {
	return &field{types: []string{of}, child: func(parent any) any { return f(parent.(*T)) }}
}

// root is a field of Query, which has one parent.
func root(of string, f func(context.Context, *args) (any, error)) *field {
	return &field{types: []string{of}, fetch: rootFetch(f)}
}

func rootFetch(f func(context.Context, *args) (any, error)) func(context.Context, []any, *args) ([]any, []error) {
	return func(ctx context.Context, _ []any, a *args) ([]any, []error) {
		v, err := f(ctx, a)
		if err != nil {
			return []any{nil}, []error{err}
		}
		return []any{v}, nil
	}
}

// pointers makes a value of a list.
func pointers[T any](list []T) any {
	out := make([]any, len(list))
	for i := range list {
		out[i] = &list[i]
	}
	return out
}

// orNil makes a value of a pointer: a nil pointer in an any would not be nil.
func orNil[T any](p *T) any {
	if p == nil {
		return nil
	}
	return p
}

func anyOf[T any](list []*T) []any {
	out := make([]any, len(list))
	for i, p := range list {
		out[i] = orNil(p)
	}
	return out
}

func as[T any](parents []any) []*T {
	out := make([]*T, len(parents))
	for i, p := range parents {
		out[i] = p.(*T)
	}
	return out
}

func appendOptional(b []byte, text *string) []byte {
	if text == nil {
		return append(b, "null"...)
	}
	return fastjson.AppendString(b, *text)
}

func appendID(b []byte, id int64) []byte {
	return append(strconv.AppendInt(append(b, '"'), id, 10), '"')
}

// args reads a field's arguments. A getter that fails leaves its problem in
// err and returns zero.
type args struct {
	api   *publicapi.API
	field *ast.Field
	vars  map[string]any
	err   error
}

// get gives an argument as it came: a literal, a variable's value or the
// default; nil if there is none.
func (a *args) get(name string) any {
	def := a.field.Definition.Arguments.ForName(name)
	value := def.DefaultValue
	if arg := a.field.Arguments.ForName(name); arg != nil {
		if arg.Value.Kind != ast.Variable {
			value = arg.Value
		} else if v, given := a.vars[arg.Value.Raw]; given {
			return v
		}
	}
	if value == nil {
		return nil
	}
	v, err := value.Value(a.vars)
	if err != nil {
		a.problem(name, err)
	}
	return v
}

// problem keeps what is wrong with an argument, whose name the error lacks.
func (a *args) problem(name string, err error) {
	f := apierror.Invalidf(name, "%s", apierror.From(err).Fields[0].Message)
	var before *apierror.Error
	if errors.As(a.err, &before) {
		f.Fields = append(before.Fields, f.Fields...)
	}
	a.err = f
}

func (a *args) integer(name string) int64 {
	n, err := scalar.UnmarshalInt64(a.get(name))
	if err != nil {
		a.problem(name, err)
	}
	return n
}

func (a *args) id(name string) int64 {
	n, err := scalar.UnmarshalID(a.get(name))
	if err != nil {
		a.problem(name, err)
	}
	return n
}

// optionalID is 0 when the argument is absent or null.
func (a *args) optionalID(name string) int64 {
	if a.get(name) == nil {
		return 0
	}
	return a.id(name)
}

func (a *args) page() pagination.Page {
	return pagination.Page{Num: a.integer("pageNum"), Size: a.integer("pageSize")}
}

// text is "" when the argument is absent or null.
func (a *args) text(name string) string {
	switch v := a.get(name).(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	case int64:
		return strconv.FormatInt(v, 10)
	}
	return ""
}

func (a *args) optionalInt(name string) *int64 {
	if a.get(name) == nil {
		return nil
	}
	n := a.integer(name)
	return &n
}

func (a *args) optionalText(name string) *string {
	if a.get(name) == nil {
		return nil
	}
	t := a.text(name)
	return &t
}

func (a *args) window() publicapi.Window {
	return publicapi.Window{
		First: a.optionalInt("first"), Last: a.optionalInt("last"),
		After: a.optionalText("after"), Before: a.optionalText("before"),
	}
}

func (a *args) order() listings.Order {
	o, err := scalar.UnmarshalListingOrder(a.get("orderBy"))
	if err != nil {
		a.problem("orderBy", err)
	}
	return o
}

func (a *args) filter() (f listings.Filter) {
	in, _ := a.get("filter").(map[string]any)
	number := func(name string, to *int64, read func(any) (int64, error)) {
		if in[name] == nil {
			return
		}
		n, err := read(in[name])
		if err == nil && n < 1 {
			err = apierror.Invalidf("", "must be at least 1")
		}
		if err != nil {
			a.problem(name, err)
		}
		*to = n
	}
	number("userId", &f.UserID, scalar.UnmarshalID)
	number("minPrice", &f.MinPrice, scalar.UnmarshalInt64)
	number("maxPrice", &f.MaxPrice, scalar.UnmarshalInt64)
	number("createdFrom", &f.CreatedFrom, scalar.UnmarshalInt64)
	number("createdBefore", &f.CreatedBefore, scalar.UnmarshalInt64)
	if in["listingType"] != nil {
		var err error
		if f.Type, err = scalar.UnmarshalListingType(in["listingType"]); err != nil {
			a.problem("listingType", err)
		}
	}
	return f
}
