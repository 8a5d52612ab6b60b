package listings_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/veranda-go/veranda/backend/listings"
	"github.com/veranda-go/veranda/internal/apierror"
	"github.com/veranda-go/veranda/internal/backendclient"
)

// shop is a service with five listings: ids 1 to 5 of users 1, 2, 1, 2, 1 at
// prices 500, 400, 300, 200, 100, the even ones on sale.
func shop(t *testing.T) service {
	t.Helper()
	s := serve(t)
	for i := range int64(5) {
		d := listings.Draft{UserID: i%2 + 1, Type: listings.Rent, Price: 500 - 100*i}
		if i%2 == 1 {
			d.Type = listings.Sale
		}
		if _, _, err := s.Create(t.Context(), d, ""); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func ids(list []listings.Listing) []int64 {
	out := []int64{}
	for _, l := range list {
		out = append(out, l.ID)
	}
	return out
}

func TestFind(t *testing.T) {
	t.Parallel()
	s := shop(t)
	third, err := s.Get(t.Context(), 3)
	if err != nil {
		t.Fatal(err)
	}
	at := func(order listings.Order) *listings.Cursor {
		c := listings.CursorOf(&third, order)
		return &c
	}
	for _, test := range []struct {
		query listings.Query
		want  []int64
		more  bool
	}{
		{listings.Query{Limit: 10}, []int64{5, 4, 3, 2, 1}, false},
		{listings.Query{Limit: 5}, []int64{5, 4, 3, 2, 1}, false},
		{listings.Query{Limit: 4}, []int64{5, 4, 3, 2}, true},
		{listings.Query{Limit: 2, Offset: 2}, []int64{3, 2}, true},
		{listings.Query{Limit: 2, Offset: 4}, []int64{1}, false},
		{listings.Query{Limit: 2, Offset: 6}, []int64{}, false},
		{listings.Query{Limit: 2, Order: listings.Oldest}, []int64{1, 2}, true},
		{listings.Query{Limit: 2, Order: listings.PriceAsc}, []int64{5, 4}, true},
		{listings.Query{Limit: 2, Order: listings.PriceDesc}, []int64{1, 2}, true},
		{listings.Query{Limit: 1, After: at(listings.Newest)}, []int64{2}, true},
		{listings.Query{Limit: 2, After: at(listings.Newest)}, []int64{2, 1}, false},
		{listings.Query{Limit: 1, Before: at(listings.Newest)}, []int64{4}, true},
		{listings.Query{Limit: 2, Before: at(listings.Newest)}, []int64{5, 4}, false},
		{listings.Query{Limit: 1, Order: listings.PriceAsc, Before: at(listings.PriceAsc)}, []int64{4}, true},
		{listings.Query{Limit: 9, Order: listings.PriceAsc, After: at(listings.PriceAsc)}, []int64{2, 1}, false},
		{listings.Query{Limit: 9, Filter: listings.Filter{UserID: 1}}, []int64{5, 3, 1}, false},
		{listings.Query{Limit: 1, Filter: listings.Filter{Type: listings.Sale}}, []int64{4}, true},
		{listings.Query{Limit: 9, Filter: listings.Filter{MinPrice: 200, MaxPrice: 400}}, []int64{4, 3, 2}, false},
		{listings.Query{Limit: 9, Filter: listings.Filter{CreatedFrom: third.CreatedAt, MaxPrice: 300}}, []int64{5, 4, 3}, false},
		{listings.Query{Limit: 9, Filter: listings.Filter{CreatedBefore: third.CreatedAt}}, []int64{2, 1}, false},
	} {
		found, more, err := s.Find(t.Context(), test.query)
		if err != nil || more != test.more || !slices.Equal(ids(found), test.want) {
			t.Errorf("%+v: %v more %v, %v, want %v more %v", test.query, ids(found), more, err, test.want, test.more)
		}
	}
	for _, test := range []struct {
		query  listings.Query
		want   []int64
		moreOf []int64
	}{
		{listings.Query{Limit: 10}, []int64{4, 2, 5, 3, 1}, nil},
		{listings.Query{Limit: 2}, []int64{4, 2, 5, 3}, []int64{1}},
		{listings.Query{Limit: 1, Order: listings.PriceDesc}, []int64{2, 1}, []int64{2, 1}},
		{listings.Query{Limit: 1, Before: at(listings.Newest)}, []int64{4, 5}, nil},
		{listings.Query{Limit: 1, Order: listings.Oldest, Before: &listings.Cursor{Order: listings.Oldest, Key: 1 << 62, ID: 1}}, []int64{4, 5}, []int64{2, 1}},
		{listings.Query{Limit: 9, Filter: listings.Filter{Type: listings.Sale, MinPrice: 300}}, []int64{2}, nil},
	} {
		found, moreOf, err := s.OfUsers(t.Context(), []int64{2, 9, 1, 2}, test.query)
		if err != nil || !slices.Equal(moreOf, test.moreOf) || !slices.Equal(ids(found), test.want) {
			t.Errorf("%+v: %v more of %v, %v, want %v more of %v", test.query, ids(found), moreOf, err, test.want, test.moreOf)
		}
	}
}

// TestFindUnsupported calls a service that ignores parameters that are not
// documented.
func TestFindUnsupported(t *testing.T) {
	t.Parallel()
	c := client(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"result":true,"listings":[]}`))
	})
	if _, _, err := c.Find(t.Context(), listings.Query{Limit: 10}); apierror.KindOf(err) != apierror.Unsupported {
		t.Errorf("find: %v", err)
	}
	if _, _, err := c.OfUsers(t.Context(), []int64{1}, listings.Query{Limit: 10}); apierror.KindOf(err) != apierror.Unsupported {
		t.Errorf("of users: %v", err)
	}
}

func TestHasMore(t *testing.T) {
	t.Parallel()
	s := shop(t)
	for target, want := range map[string]string{
		"/listings?page_size=2":                                        "",
		"/listings?page_num=1&page_size=2&user_id=1":                   "",
		"/listings?page_num=9223372036854775807&page_size=100":         "",
		"/listings/batch?user_id=1&page_size=2":                        "",
		"/listings?page_size=2&paging=keyset":                          `,"has_more":true}`,
		"/listings?page_size=5&paging=keyset":                          `,"has_more":false}`,
		"/listings?page_num=2&page_size=2&order=newest":                `,"has_more":true}`,
		"/listings?page_num=3&page_size=2&order=oldest":                `,"has_more":false}`,
		"/listings?page_num=9&page_size=2&order=oldest":                `[],"has_more":false}`,
		"/listings?page_num=9223372036854775807&listing_type=rent":     `[],"has_more":false}`,
		"/listings?listing_type=sale":                                  `,"has_more":false}`,
		"/listings?min_price=101&page_size=3":                          `,"has_more":true}`,
		"/listings?max_price=500&page_size=5":                          `,"has_more":false}`,
		"/listings?created_from=1&page_size=1":                         `,"has_more":true}`,
		"/listings?created_before=1":                                   `[],"has_more":false}`,
		"/listings/batch?user_id=1&page_size=2&paging=keyset":          `,"more_of":[1]}`,
		"/listings/batch?user_id=1&user_id=2&page_size=3&order=newest": `,"more_of":[]}`,
	} {
		resp, body := s.do(t, "GET", target, "", "")
		if resp.StatusCode != 200 || !strings.HasSuffix(body, want) || want == "" && !strings.HasSuffix(body, "]}") {
			t.Errorf("%s: %d %s, want …%s", target, resp.StatusCode, body, want)
		}
	}
}

func TestRefusedFilters(t *testing.T) {
	t.Parallel()
	s := shop(t)
	newest := listings.Cursor{Key: 5, ID: 5}.String()
	price := listings.Cursor{Order: listings.PriceAsc, Key: 5, ID: 5}.String()
	type request struct {
		query  string
		params []string
	}
	requests := []request{
		{"order=", []string{"order"}},
		{"order=Newest", []string{"order"}},
		{"order=price", []string{"order"}},
		{"order=newest&order=newest", []string{"order"}},
		{"listing_type=", []string{"listing_type"}},
		{"listing_type=lease", []string{"listing_type"}},
		{"listing_type=rent&listing_type=sale", []string{"listing_type"}},
		{"min_price=5&max_price=4", []string{"min_price"}},
		{"created_from=5&created_before=5", []string{"created_from"}},
		{"created_from=6&created_before=5", []string{"created_from"}},
		{"paging=", []string{"paging"}},
		{"paging=cursor", []string{"paging"}},
		{"after=", []string{"after"}},
		{"after=1", []string{"after"}},
		{"before=" + newest + "A", []string{"before"}},
		{"after=" + newest + "%0A", []string{"after"}},
		{"after=" + newest + "&after=" + newest, []string{"after"}},
		{"after=" + newest + "&before=" + newest, []string{"before"}},
		{"after=" + price, []string{"after"}},
		{"order=oldest&before=" + newest, []string{"before"}},
		{"order=price_desc&before=" + price, []string{"before"}},
		{"order=x&min_price=x&after=x", []string{"order", "min_price", "after"}},
		{"page_size=101&order=oldest", []string{"page_size"}},
	}
	for _, bad := range notWhole {
		for _, param := range []string{"min_price", "max_price", "created_from", "created_before"} {
			requests = append(requests, request{param + "=" + bad, []string{param}})
		}
	}
	for _, q := range requests {
		for _, target := range []string{"/listings?user_id=1&", "/listings/batch?user_id=1&user_id=2&"} {
			resp, body := s.do(t, "GET", target+q.query, "", "")
			wantErrors(t, resp, body, http.StatusBadRequest, q.params...)
		}
	}
	for _, other := range []string{"after=" + newest, "before=" + newest, "paging=keyset"} {
		resp, body := s.do(t, "GET", "/listings?page_num=1&"+other, "", "")
		wantErrors(t, resp, body, http.StatusBadRequest, "page_num")
	}
}

// client returns a client of a service that serves every request with f.
func client(t *testing.T, f http.HandlerFunc) *listings.Client {
	t.Helper()
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	c, err := backendclient.NewClient("listing service", server.URL, time.Minute, http.DefaultTransport)
	if err != nil {
		t.Fatal(err)
	}
	return listings.NewClient(c)
}
