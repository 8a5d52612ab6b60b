package plain

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/handler"
	"github.com/99designs/gqlgen/graphql/handler/extension"
	"github.com/99designs/gqlgen/graphql/handler/lru"
	"github.com/99designs/gqlgen/graphql/handler/transport"
	"github.com/graph-gophers/dataloader/v7"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/veranda-go/veranda/bench"
)

// wait is the time for which a loader collects ids.
const wait = 2 * time.Millisecond

// New returns the candidate's handler in front of two services, given their URLs.
func New(listings, users string, transport http.RoundTripper) http.Handler {
	r := &resolver{listings, users, &http.Client{Transport: transport}}
	return r.loaders(server(NewExecutableSchema(Config{Resolvers: r})))
}

// server returns the server that gqlgen's template for new projects sets up.
func server(es graphql.ExecutableSchema) http.Handler {
	srv := handler.New(es)
	srv.AddTransport(transport.Options{})
	srv.AddTransport(transport.GET{})
	srv.AddTransport(transport.POST{})
	srv.SetQueryCache(lru.New[*ast.QueryDocument](1000))
	srv.Use(extension.Introspection{})
	srv.Use(extension.AutomaticPersistedQuery{Cache: lru.New[string](100)})
	return srv
}

type resolver struct {
	listings, users string
	client          *http.Client
}

func (r *resolver) Query() QueryResolver     { return queryResolver{r} }
func (r *resolver) Listing() ListingResolver { return listingResolver{r} }

type queryResolver struct{ *resolver }

func (r queryResolver) Listings(ctx context.Context, pageNum, pageSize int, userID *int64) ([]*bench.Listing, error) {
	q := url.Values{"page_num": {strconv.Itoa(pageNum)}, "page_size": {strconv.Itoa(pageSize)}}
	if userID != nil {
		q.Set("user_id", strconv.FormatInt(*userID, 10))
	}
	var response struct{ Listings []*bench.Listing }
	err := r.get(ctx, r.listings+"/listings?"+q.Encode(), &response)
	return response.Listings, err
}

type listingResolver struct{ *resolver }

type userLoader = dataloader.Loader[int64, *bench.User]

func (r listingResolver) User(ctx context.Context, l *bench.Listing) (*bench.User, error) {
	return ctx.Value(loaderKey{}).(*userLoader).Load(ctx, l.UserID)()
}

type loaderKey struct{}

// loaders adds a loader to the context of each request.
func (r *resolver) loaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		loader := dataloader.NewBatchedLoader(r.fetchUsers, dataloader.WithWait[int64, *bench.User](wait))
		next.ServeHTTP(w, req.WithContext(context.WithValue(req.Context(), loaderKey{}, loader)))
	})
}

func (r *resolver) fetchUsers(ctx context.Context, ids []int64) []*dataloader.Result[*bench.User] {
	q := url.Values{}
	for _, id := range ids {
		q.Add("id", strconv.FormatInt(id, 10))
	}
	var response struct{ Users []*bench.User }
	err := r.get(ctx, r.users+"/users/batch?"+q.Encode(), &response)
	found := make(map[int64]*bench.User, len(ids))
	for _, u := range response.Users {
		found[u.ID] = u
	}
	out := make([]*dataloader.Result[*bench.User], len(ids))
	for i, id := range ids {
		out[i] = &dataloader.Result[*bench.User]{Data: found[id], Error: err}
	}
	return out
}

func (r *resolver) get(ctx context.Context, url string, out any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := r.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	return json.NewDecoder(resp.Body).Decode(out)
}
