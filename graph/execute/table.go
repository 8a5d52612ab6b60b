// Package execute runs GraphQL operations level by level, for any schema that
// gqlgen generates code for. All objects at one place of an operation are
// resolved together, so a batch resolver is called once for a level however
// many objects it has, and the response is written straight to bytes. gqlgen's
// own executor goes object by object, with a goroutine and a closure for each.
//
// A gqlgen plugin, graph/generate, writes a [Table] into the package of the
// generated code: a function for each field of each object, over gqlgen's own
// resolvers and arguments. A [Plan] applies a table to an operation, and an
// [Executor] runs plans. Package graph puts them together; it has gqlgen's
// executor run the operations for which there is no plan.
package execute

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/99designs/gqlgen/graphql"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/vektah/gqlparser/v2/ast"
)

// Table has a function for each field of a schema's objects. It lacks what the
// plugin does not support, such as introspection.
type Table struct {
	Schema *ast.Schema
	// Objects are the object types by name.
	Objects map[string]Object
	// Abstract has, for each interface and union, a function that returns the
	// name of a value's object type and the value as its object's fields take
	// it. The name is empty for null, which is nil then, and for other types.
	Abstract map[string]func(value any) (name string, object any)
}

// Object has the fields of one object type by name.
type Object map[string]*Field

// Field is one field of an object type. Exactly one of Append, Child, Resolve
// and Subscribe is set.
//
// A value is nil for null, a pointer or an interface for an object, a []any for
// a list of objects, and any Go value for a field with Marshal.
type Field struct {
	// Append appends the JSON of a scalar or enum that the parent holds. It
	// appends nothing for null.
	Append func(b []byte, parent any) []byte
	// Child returns a value that the parent holds.
	Child func(parent any) any
	// Resolve returns a value for each parent, and an error for each parent or
	// nil if there are none.
	Resolve func(ctx context.Context, parents []any, fc *graphql.FieldContext) ([]any, []error)
	// Batch is set if Resolve makes one call for all parents: for batch resolvers
	// and for the fields of a root.
	Batch bool
	// Subscribe returns the events of a field of the subscription root.
	Subscribe func(ctx context.Context, fc *graphql.FieldContext) (Events, error)

	// Args reads the field's arguments, for Resolve and Subscribe; nil if the
	// field has none.
	Args func(ctx context.Context, raw map[string]any) (map[string]any, error)
	// Marshal is set where the values of Child and Resolve are scalars, enums or
	// lists of them.
	Marshal func(ctx context.Context, value any) graphql.Marshaler
}

// Events returns the next value of a subscription; ok is false when there are
// no more or ctx ends.
type Events func(ctx context.Context) (value any, ok bool)

// The functions below are what generated tables are made of.

// AppendString appends a JSON string. Invalid UTF-8 becomes U+FFFD.
func AppendString(b []byte, s string) []byte {
	b, _ = jsontext.AppendQuote(b, s)
	return b
}

// AppendInt appends a JSON number.
func AppendInt[T ~int | ~int32 | ~int64](b []byte, n T) []byte {
	return strconv.AppendInt(b, int64(n), 10)
}

// AppendIntID appends an integer as a JSON string.
func AppendIntID(b []byte, n int) []byte {
	return append(strconv.AppendInt(append(b, '"'), int64(n), 10), '"')
}

// Pointer returns p as a value.
func Pointer[T any](p *T) any {
	if p == nil {
		return nil // not a nil pointer in an interface
	}
	return p
}

// List returns a list as a value. A nil slice is null, unless nonNull says that
// the schema has no null there.
func List[T any](list []T, nonNull bool, value func(*T) any) any {
	if list == nil && !nonNull {
		return nil
	}
	out := make([]any, len(list))
	for i := range list {
		out[i] = value(&list[i])
	}
	return out
}

// Each resolves a field for one parent after the other. Resolvers that do I/O
// should be batch resolvers instead.
func Each(ctx context.Context, parents []any, resolve func(parent any) (any, error)) ([]any, []error) {
	values := make([]any, len(parents))
	var errs []error
	for i, parent := range parents {
		value, err := recovered(ctx, func() (any, error) { return resolve(parent) })
		if err != nil {
			if errs == nil {
				errs = make([]error, len(parents))
			}
			errs[i] = err
			continue
		}
		values[i] = value
	}
	return values, errs
}

func recovered(ctx context.Context, resolve func() (any, error)) (value any, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = graphql.GetOperationContext(ctx).Recover(ctx, p)
		}
	}()
	return resolve()
}

// Objects returns the parents of a batch resolver.
func Objects[T any](parents []any) []T {
	out := make([]T, len(parents))
	for i, parent := range parents {
		out[i] = parent.(T)
	}
	return out
}

// Batch returns the results of a batch resolver for n parents.
func Batch[T any](n int, results []T, err error, value func(*T) any) ([]any, []error) {
	values := make([]any, n)
	var errs []error
	var each graphql.BatchErrors
	if errors.As(err, &each) {
		errs, err = each.Errors(), nil
	}
	switch {
	case err == nil && len(results) != n:
		err = fmt.Errorf("batch resolver returned %d results for %d parents", len(results), n)
	case err == nil && errs != nil && len(errs) != n:
		err = fmt.Errorf("batch resolver returned %d errors for %d parents", len(errs), n)
	}
	if err != nil {
		return values, repeat(err, n)
	}
	for i := range results {
		if errs == nil || errs[i] == nil {
			values[i] = value(&results[i])
		}
	}
	return values, errs
}

func repeat(err error, n int) []error {
	errs := make([]error, n)
	for i := range errs {
		errs[i] = err
	}
	return errs
}

// Channel returns the events of a resolver's channel.
func Channel[T any](events <-chan T, value func(*T) any) Events {
	return func(ctx context.Context) (any, bool) {
		select {
		case event, ok := <-events:
			if !ok {
				return nil, false
			}
			return value(&event), true
		case <-ctx.Done():
			return nil, false
		}
	}
}

// appendMarshaler appends what m writes, nothing for null.
func appendMarshaler(b []byte, m graphql.Marshaler) []byte {
	if m == nil || m == graphql.Null || m == graphql.RequiredNull {
		return b
	}
	w := bytes.NewBuffer(b)
	m.MarshalGQL(w)
	return w.Bytes()
}
