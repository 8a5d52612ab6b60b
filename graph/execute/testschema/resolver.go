// Package testschema is a GraphQL schema made for the tests of package execute:
// unions, interfaces, lists of lists, nulls and errors at every depth, scalars,
// enums, and arguments of every kind.
package testschema

//go:generate go run ../../generate gqlgen.yml

import (
	"context"
	"encoding/json"
	"fmt"
	"sync/atomic"

	"github.com/99designs/gqlgen/graphql"

	"github.com/veranda-go/veranda/graph/execute/testschema/generated"
	"github.com/veranda-go/veranda/graph/execute/testschema/model"
)

// Resolver resolves the schema. Its values follow from ids and arguments.
type Resolver struct {
	// Calls counts the calls of batch resolvers.
	Calls atomic.Int64
	count int
}

// Query is part of generated.ResolverRoot, as are the other methods.
func (r *Resolver) Query() generated.QueryResolver { return query{r} }

// Mutation returns the resolvers of Mutation.
func (r *Resolver) Mutation() generated.MutationResolver { return mutation{r} }

// Subscription returns the resolvers of Subscription.
func (r *Resolver) Subscription() generated.SubscriptionResolver { return subscription{r} }

// Thing returns the resolvers of Thing.
func (r *Resolver) Thing() generated.ThingResolver { return thing{r} }

// Other returns the resolvers of Other.
func (r *Resolver) Other() generated.OtherResolver { return other{} }

type query struct{ *Resolver }

func (query) Thing(_ context.Context, id int) (*model.Thing, error) {
	switch {
	case id < 0:
		return nil, fmt.Errorf("no thing %d", id)
	case id%4 == 0:
		return nil, nil
	case id == 101:
		panic("at 101")
	}
	return model.NewThing(id), nil
}

func (q query) RequiredThing(ctx context.Context, id int) (*model.Thing, error) {
	return q.Thing(ctx, id)
}

func things(n int) []*model.Thing {
	list := []*model.Thing{}
	for i := range min(n, 6) {
		list = append(list, model.NewThing(i*5+n))
	}
	return list
}

func (query) Things(_ context.Context, n int) ([]*model.Thing, error) { return things(n), nil }

func (query) SomeThings(_ context.Context, n *int) ([]*model.Thing, error) {
	if n == nil {
		return nil, nil
	}
	return append(things(*n), nil), nil
}

func (query) Anything(_ context.Context, n int) ([]model.Anything, error) {
	list := []model.Anything{}
	for i := range min(n, 6) {
		list = append(list, model.NewAnything(n+i))
	}
	return list, nil
}

func (query) Nodes(_ context.Context, n int) ([]model.Node, error) {
	var list []model.Node
	for i := range min(n, 4) {
		list = append(list, model.NewNode(n+i))
	}
	return list, nil
}

func (query) Grid(_ context.Context, rows int, columns *int) ([][]*model.Thing, error) {
	grid := [][]*model.Thing{}
	for i := range min(rows, 4) {
		if columns == nil {
			grid = append(grid, nil)
			continue
		}
		row := things(*columns)
		if i == 3 {
			row = append(row, nil)
		}
		grid = append(grid, row)
	}
	return grid, nil
}

func (query) Deep(context.Context) ([][][]model.Node, error) {
	return [][][]model.Node{{{model.NewNode(3), nil}, {}}, {}, {{model.NewNode(1), model.NewNode(4)}}}, nil
}

func (query) Echo(_ context.Context, text *string, flag *bool, color *model.Color, ids []string, input *generated.Input, numbers [][]*float64, at *model.Stamp) (string, error) {
	echo, err := json.Marshal([]any{text, flag, color, ids, input, numbers, at})
	return string(echo), err
}

type mutation struct{ *Resolver }

func (mutation) Create(_ context.Context, input generated.Input) (*model.Thing, error) {
	if input.Name == "" {
		return nil, fmt.Errorf("name: must not be empty")
	}
	return model.NewThing(len(input.Name)), nil
}

func (mutation) CreateRequired(ctx context.Context, id int) (*model.Thing, error) {
	return query{}.Thing(ctx, id)
}

// Count counts its own calls: one after the other, or the race detector tells.
func (m mutation) Count(context.Context) (int, error) {
	m.count++
	return m.count, nil
}

type subscription struct{ *Resolver }

func (subscription) Ticks(ctx context.Context, n int) (<-chan *model.Thing, error) {
	if n < 0 {
		return nil, fmt.Errorf("n: must be at least 0")
	}
	events := make(chan *model.Thing)
	go func() {
		defer close(events)
		for i := range min(n, 5) {
			select {
			case events <- model.NewThing(i):
			case <-ctx.Done():
			}
		}
	}()
	return events, nil
}

func (s subscription) Maybe(ctx context.Context, n int) (<-chan *model.Thing, error) {
	events := make(chan *model.Thing, 2)
	events <- nil
	events <- model.NewThing(n)
	close(events)
	return events, nil
}

type thing struct{ *Resolver }

// idOf returns the id of a parent, which gqlgen's executor makes nil for a null
// in a list.
func idOf(t *model.Thing) int {
	if t == nil {
		return 0
	}
	return t.ID
}

func (t thing) Friends(_ context.Context, list []*model.Thing, n int) ([][]*model.Thing, error) {
	t.Calls.Add(1)
	out, errs := make([][]*model.Thing, len(list)), make(graphql.BatchErrorList, len(list))
	for i, parent := range list {
		if out[i] = things(n); idOf(parent)%8 == 7 {
			errs[i] = fmt.Errorf("%d has no friends", idOf(parent))
		}
	}
	return out, errs
}

func (t thing) Best(_ context.Context, list []*model.Thing) ([]*model.Thing, error) {
	t.Calls.Add(1)
	out := make([]*model.Thing, len(list))
	for i, parent := range list {
		if idOf(parent)%3 != 1 {
			out[i] = model.NewThing(idOf(parent) + 3)
		}
	}
	return out, nil
}

func (t thing) RequiredBest(ctx context.Context, list []*model.Thing) ([]*model.Thing, error) {
	return t.Best(ctx, list)
}

func (thing) Label(_ context.Context, obj *model.Thing, prefix string) (string, error) {
	switch {
	case obj.ID%12 == 8:
		return "", fmt.Errorf("no label for %d", obj.ID)
	case obj.ID%17 == 16:
		panic("at 16")
	}
	return fmt.Sprintf("%s-%d", prefix, obj.ID), nil
}

func (t thing) Labels(_ context.Context, list []*model.Thing) ([][]string, error) {
	t.Calls.Add(1)
	out := make([][]string, len(list))
	for i, parent := range list {
		if idOf(parent)%2 == 0 {
			out[i] = []string{"a", fmt.Sprint(idOf(parent))}
		}
	}
	return out, nil
}

type other struct{}

func (other) Thing(_ context.Context, obj *model.Other) (*model.Thing, error) {
	if obj.ID%5 == 1 {
		return nil, nil
	}
	return model.NewThing(obj.ID + 1), nil
}
