// Package model has the Go types of the test schema. Their values follow from
// their ids alone, with nulls in many places, some of which the schema forbids.
package model

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
)

// Node is a *Thing or an Other.
type Node interface{ isNode() }

// Anything is a *Thing or an Other.
type Anything any

// Thing has a field of each kind.
type Thing struct {
	ID             int
	Name           *string
	RequiredName   *string
	Big            *int
	Color          Color
	SomeColor      *Color
	Colors         []Color
	SomeColors     []*Color
	Matrix         [][]*int
	RequiredMatrix [][]*int
	Stamp          Stamp
	Ratio          float64
	Sure           bool
}

func (*Thing) isNode() {}

// NewThing returns the thing with an id.
func NewThing(id int) *Thing {
	t := &Thing{
		ID: id, Color: colors[abs(id)%3], Colors: colors[:abs(id)%4], Stamp: Stamp(id),
		Ratio: float64(id) / 3, Sure: id%2 == 0,
	}
	if id == 1003 {
		t.Ratio = math.Inf(1)
	}
	if id%3 != 0 {
		t.Name = ptr(fmt.Sprintf("thing \"%d\" <ä>", id))
		t.SomeColor = ptr(colors[abs(id)%3])
		t.Big = ptr(id)
	}
	if id%7 != 5 {
		t.RequiredName = ptr("r")
	}
	for i := range id % 4 {
		t.SomeColors = append(t.SomeColors, nil, ptr(colors[i%3]))
		t.Matrix = append(t.Matrix, []*int{ptr(i), nil})
	}
	t.RequiredMatrix = [][]*int{{ptr(1)}, {}}
	if id%9 == 4 {
		t.RequiredMatrix[1] = []*int{ptr(2), nil}
	}
	return t
}

// Self is a method that returns an interface.
func (t *Thing) Self() Node {
	if t.ID%13 == 6 {
		return nil
	}
	return t
}

// Other is a method that returns a struct.
func (t *Thing) Other() Other { return Other{ID: t.ID + 1} }

// Others is a method that returns a list with nulls.
func (t *Thing) Others() []*Other {
	if t.ID%5 == 2 {
		return nil
	}
	return []*Other{{ID: t.ID + 2}, nil}
}

// AnythingElse returns a value of several types, or null.
func (t *Thing) AnythingElse() Anything { return anything(t.ID * 7) }

// Computed is a plain method.
func (t *Thing) Computed() int { return t.ID * t.ID }

// Checked is a method that takes the context and may fail.
func (t *Thing) Checked(_ context.Context, x int) (*int, error) {
	switch {
	case x > t.ID:
		return nil, fmt.Errorf("%d is too much", x)
	case x == t.ID:
		return nil, nil
	}
	return &x, nil
}

// Other is an object that interfaces hold as a value.
type Other struct{ ID int }

func (Other) isNode() {}

// Self returns the object itself.
func (o Other) Self() Node { return o }

// Value is null for some.
func (o Other) Value() *int {
	if o.ID%2 == 0 {
		return nil
	}
	return &o.ID
}

// Rows is a list of lists with nulls in both, one of which is not allowed.
func (o Other) Rows() [][]*Thing {
	rows := [][]*Thing{{NewThing(o.ID), nil}, {}}
	if o.ID%6 == 1 {
		rows = append(rows, nil)
	}
	return rows
}

// NewAnything returns a value of the union by its number: null, an Other or a
// *Thing.
func NewAnything(n int) Anything { return anything(n) }

func anything(n int) Anything {
	switch abs(n) % 4 {
	case 0:
		return nil
	case 1:
		return Other{ID: n}
	case 2:
		return &Other{ID: n}
	}
	return NewThing(n)
}

// NewNode returns a value of the interface by its number, null for some.
func NewNode(n int) Node {
	switch abs(n) % 5 {
	case 0:
		return nil
	case 1, 2:
		return Other{ID: n}
	}
	return NewThing(n)
}

// Color is an enum that marshals itself.
type Color string

var colors = []Color{"RED", "GREEN", "BLUE"}

// MarshalGQL is part of graphql.Marshaler.
func (c Color) MarshalGQL(w io.Writer) { _, _ = io.WriteString(w, strconv.Quote(string(c))) }

// UnmarshalGQL is part of graphql.Unmarshaler.
func (c *Color) UnmarshalGQL(v any) error {
	name, ok := v.(string)
	if !ok {
		return errors.New("must be a name")
	}
	*c = Color(name)
	return nil
}

// Stamp is a scalar that marshals itself.
type Stamp int

// MarshalGQL is part of graphql.Marshaler.
func (s Stamp) MarshalGQL(w io.Writer) { _, _ = fmt.Fprintf(w, `{"at":%d}`, int(s)) }

// UnmarshalGQL is part of graphql.Unmarshaler.
func (s *Stamp) UnmarshalGQL(v any) error {
	n, ok := v.(int64)
	if !ok || n < 0 {
		return errors.New("must be a whole number of at least 0")
	}
	*s = Stamp(n)
	return nil
}

func ptr[T any](v T) *T { return &v }

func abs(n int) int { return max(n, -n) }
