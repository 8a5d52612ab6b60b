package graph

import (
	"context"
	"strconv"

	"github.com/99designs/gqlgen/graphql"

	"github.com/veranda-go/veranda/backend/listings"
	"github.com/veranda-go/veranda/backend/users"
	"github.com/veranda-go/veranda/graph/generated"
	"github.com/veranda-go/veranda/graph/scalar"
	"github.com/veranda-go/veranda/internal/apierror"
	"github.com/veranda-go/veranda/internal/pagination"
	"github.com/veranda-go/veranda/publicapi"
)

// Resolver answers the schema's fields from the core.
type Resolver struct {
	api *publicapi.API
}

var _ generated.ResolverRoot = (*Resolver)(nil)

// Query resolves the fields of Query.
func (r *Resolver) Query() generated.QueryResolver { return query{r.api} }

// Mutation resolves the fields of Mutation.
func (r *Resolver) Mutation() generated.MutationResolver { return mutation{r.api} }

// Listing resolves the fields of Listing that need a call.
func (r *Resolver) Listing() generated.ListingResolver { return listing{r.api} }

// User resolves the fields of User that need a call.
func (r *Resolver) User() generated.UserResolver { return user{r.api} }

// Subscription resolves the fields of Subscription.
func (r *Resolver) Subscription() generated.SubscriptionResolver { return subscription{r.api} }

// query has the root fields for gqlgen's engine. Ours reads arguments by
// itself (fields.go); a property test holds both to the same answers.
type query struct{ api *publicapi.API }

func (q query) Listings(ctx context.Context, pageNum, pageSize int, userID *string) ([]listings.Listing, error) {
	id, err := optionalID("user_id", userID)
	if err != nil {
		return nil, err
	}
	return q.api.Listings(ctx, pagination.Page{Num: int64(pageNum), Size: int64(pageSize)}, id)
}

func (q query) Listing(ctx context.Context, id string) (*listings.Listing, error) {
	n, err := readID("id", id)
	if err != nil {
		return nil, err
	}
	return q.api.Listing(ctx, n)
}

func (q query) Users(ctx context.Context, pageNum, pageSize int) ([]users.User, error) {
	return q.api.Users(ctx, pagination.Page{Num: int64(pageNum), Size: int64(pageSize)})
}

func (q query) User(ctx context.Context, id string) (*users.User, error) {
	n, err := readID("id", id)
	if err != nil {
		return nil, err
	}
	return q.api.User(ctx, n)
}

func (q query) ListingsConnection(ctx context.Context, first *int, after *string, last *int, before *string, filter *generated.ListingFilter, orderBy listings.Order) (*publicapi.Connection, error) {
	f, err := readFilter(filter)
	if err != nil {
		return nil, err
	}
	return q.api.ListingsConnection(ctx, f, orderBy, window(first, after, last, before))
}

func (q query) Node(ctx context.Context, id string) (publicapi.Node, error) {
	return q.api.Node(ctx, id)
}

type mutation struct{ api *publicapi.API }

func (m mutation) CreateUser(ctx context.Context, in generated.CreateUserInput) (*generated.CreateUserPayload, error) {
	u, _, err := m.api.CreateUser(ctx, users.Draft{Name: in.Name}, nextKey(ctx))
	if err != nil {
		return nil, err
	}
	return &generated.CreateUserPayload{User: &u}, nil
}

func (m mutation) CreateListing(ctx context.Context, in generated.CreateListingInput) (*generated.CreateListingPayload, error) {
	key := nextKey(ctx)
	userID, err := readID("user_id", in.UserID)
	d := listings.Draft{UserID: userID, Type: in.ListingType, Price: in.Price}
	if err != nil {
		// All problems at once, and of the id the one that was found first.
		f := apierror.From(err)
		for _, p := range d.Validate() {
			if p.Field != "user_id" {
				f.Fields = append(f.Fields, p)
			}
		}
		return nil, f
	}
	l, _, err := m.api.CreateListing(ctx, d, key)
	if err != nil {
		return nil, err
	}
	return &generated.CreateListingPayload{Listing: &l}, nil
}

type subscription struct{ api *publicapi.API }

func (s subscription) ListingCreated(ctx context.Context, userID, after *string) (<-chan *publicapi.ListingCreated, error) {
	id, err := optionalID("user_id", userID)
	if err != nil {
		return nil, err
	}
	if after != nil && *after == "" {
		return nil, apierror.Invalidf("after", "must not be empty")
	}
	follow, err := s.api.Follow(ctx, id, text(after))
	if err != nil {
		return nil, err
	}
	events := make(chan *publicapi.ListingCreated)
	go func() {
		defer close(events)
		_ = follow(ctx, func(batch []publicapi.ListingCreated) error { // ends with ctx
			for i := range batch {
				select {
				case events <- &batch[i]:
				case <-ctx.Done():
					return ctx.Err()
				}
			}
			return nil
		})
	}()
	return events, nil
}

type listing struct{ api *publicapi.API }

func (l listing) NodeID(_ context.Context, obj *listings.Listing) (string, error) {
	return publicapi.ListingNodeID(obj), nil
}

// User resolves the users of all listings of one list at once.
func (l listing) User(ctx context.Context, list []*listings.Listing) ([]*users.User, error) {
	owners, errs := l.api.Owners(ctx, list)
	return owners, batchErrors(errs)
}

type user struct{ api *publicapi.API }

func (u user) NodeID(_ context.Context, obj *users.User) (string, error) {
	return publicapi.UserNodeID(obj), nil
}

// Listings resolves the listings of all users of one list at once.
func (u user) Listings(ctx context.Context, list []*users.User, first int) ([][]listings.Listing, error) {
	found, errs := u.api.ListingsOf(ctx, list, int64(first))
	return found, batchErrors(errs)
}

// ListingsConnection resolves the runs of all users of one list at once.
func (u user) ListingsConnection(ctx context.Context, list []*users.User, first *int, after *string, last *int, before *string, filter *generated.ListingFilter, orderBy listings.Order) ([]*publicapi.Connection, error) {
	f, err := readFilter(filter)
	if err != nil {
		return nil, err
	}
	found, errs := u.api.ConnectionsOf(ctx, list, f, orderBy, window(first, after, last, before))
	return found, batchErrors(errs)
}

// batchErrors gives gqlgen one error for each element, or none at all.
func batchErrors(errs []error) error {
	for _, err := range errs {
		if err != nil {
			return graphql.BatchErrorList(errs)
		}
	}
	return nil
}

func readID(param, text string) (int64, error) {
	id, err := scalar.UnmarshalID(text)
	if err != nil {
		return 0, apierror.Invalidf(param, "%s", apierror.From(err).Fields[0].Message)
	}
	return id, nil
}

func optionalID(param string, text *string) (int64, error) {
	if text == nil {
		return 0, nil
	}
	return readID(param, *text)
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func window(first *int, after *string, last *int, before *string) publicapi.Window {
	return publicapi.Window{First: wide(first), After: after, Last: wide(last), Before: before}
}

func wide(n *int) *int64 {
	if n == nil {
		return nil
	}
	w := int64(*n)
	return &w
}

func readFilter(in *generated.ListingFilter) (listings.Filter, error) {
	var f listings.Filter
	if in == nil {
		return f, nil
	}
	var problems []apierror.FieldError
	set := func(param string, to, from *int64) {
		if from != nil && *from < 1 {
			problems = append(problems, apierror.FieldError{Field: param, Message: "must be at least 1"})
		} else if from != nil {
			*to = *from
		}
	}
	if in.UserID != nil {
		id, err := readID("user_id", *in.UserID)
		if err != nil {
			return f, err
		}
		f.UserID = id
	}
	if in.ListingType != nil {
		f.Type = *in.ListingType
	}
	set("min_price", &f.MinPrice, in.MinPrice)
	set("max_price", &f.MaxPrice, in.MaxPrice)
	set("created_from", &f.CreatedFrom, in.CreatedFrom)
	set("created_before", &f.CreatedBefore, in.CreatedBefore)
	return f, apierror.FromFields(problems)
}

// keysOf makes an idempotency key for each mutation of an operation: the
// header's own for the first, so that REST and GraphQL share it, and a
// numbered one for each that follows. Mutations run one after the other.
type keysOf struct {
	header string
	used   int
}

type keysKey struct{}

func withKeys(ctx context.Context, header string) context.Context {
	return context.WithValue(ctx, keysKey{}, &keysOf{header: header})
}

func nextKey(ctx context.Context) string {
	k, _ := ctx.Value(keysKey{}).(*keysOf)
	if k == nil || k.header == "" {
		return ""
	}
	k.used++
	if k.used == 1 {
		return k.header
	}
	return k.header + "/" + strconv.Itoa(k.used)
}
