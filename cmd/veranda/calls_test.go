package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"github.com/veranda-go/veranda/internal/fakebackend"
)

// The backend calls of one request, counted at the backends.
func TestBackendCalls(t *testing.T) {
	s := startProxied(t)
	const users = 7
	for range users {
		s.addUser(t, "Grace")
	}
	for i := range 100 {
		s.addListing(t, fmt.Sprint(i%users+1), "rent", int64(i+1))
	}
	const (
		listings      = "GET /listings ×1"
		listingsBatch = "GET /listings/batch ×1"
		usersBatch    = "GET /users/batch ×1"
	)
	for _, test := range []struct {
		request             string
		atListings, atUsers []string
		has                 int // how often the response has "name"
	}{
		{"/public-api/listings?page_size=100", []string{listings}, []string{usersBatch}, 100},
		{"/public-api/listings?page_size=1", []string{listings}, []string{usersBatch}, 1},
		{"/public-api/listings?page_num=11&page_size=10", []string{listings}, nil, 0},
		{"/public-api/listings?user_id=3&page_size=100", []string{listings}, []string{usersBatch}, 14},

		{"{ listings(pageSize: 100) { price user { name } } }", []string{listings}, []string{usersBatch}, 100},
		{"{ listings(pageSize: 1) { user { name } } }", []string{listings}, []string{usersBatch}, 1},
		{"{ listings(pageNum: 11) { user { name } } }", []string{listings}, nil, 0},
		{"{ listings(pageSize: 100) { id price } }", []string{listings}, nil, 0},
		{"{ user(id: 1) { listings { user { name } } } }", []string{listingsBatch}, []string{"GET /users/batch ×1", "GET /users/{id} ×1"}, 10},
		{"{ users(pageSize: 100) { listings(first: 10) { user { name } } } }", []string{listingsBatch}, []string{"GET /users ×1", usersBatch}, 70},
		{"{ users(pageSize: 1) { listings(first: 1) { user { name } } } }", []string{listingsBatch}, []string{"GET /users ×1", usersBatch}, 1},
		{"{ users(pageNum: 2) { listings { user { name } } } }", nil, []string{"GET /users ×1"}, 0},
		// Users that are already known are not requested again.
		{"{ listings(pageSize: 100) { user { listings(first: 2) { user { listings(first: 2) { user { name } } } } } } }",
			[]string{listings, listingsBatch}, []string{usersBatch}, 400},
		{"{ listing(id: 5) { user { listings(first: 1) { user { listings(first: 3) { user { name } } } } } } }",
			[]string{"GET /listings/batch ×2", "GET /listings/{id} ×1"}, []string{usersBatch}, 3},
		{"{ listings(pageSize: 70) { a: user { name } b: user { name } } }", []string{listings}, []string{usersBatch}, 140},
		{"{ a: listings(pageSize: 7) { user { name } } b: listings(pageSize: 14) { user { name } } }",
			[]string{"GET /listings ×2"}, []string{usersBatch}, 21},
		{"query { ...Q } fragment Q on Query { listings(pageSize: 7) { ...L } } fragment L on Listing { user { name } }", []string{listings}, []string{usersBatch}, 7},
		{"{ __typename __schema { queryType { name } } }", nil, nil, 1},
	} {
		s.listings.Calls()
		s.users.Calls()
		var r reply
		if strings.HasPrefix(test.request, "/") {
			r = get(t, s.url+test.request)
		} else {
			r = s.graphQL(t, test.request, "")
		}
		if got := strings.Count(r.body, `"name":`); got != test.has || strings.Contains(r.body, `"errors"`) {
			t.Errorf("%s: %d names, want %d\n%.500s", test.request, got, test.has, r.body)
		}
		l, u := s.listings.Routes(), s.users.Routes()
		if !slices.Equal(l, test.atListings) || !slices.Equal(u, test.atUsers) {
			t.Errorf("%s:\n got %q and %q\nwant %q and %q", test.request, l, u, test.atListings, test.atUsers)
		}
	}
}

// faked is the public layer in front of a fake backend.
type faked struct {
	*program
	*fakebackend.Backend
	listings, users *fakebackend.Proxy
}

func startFake(t *testing.T, args ...string) *faked {
	t.Helper()
	f := &faked{Backend: &fakebackend.Backend{}}
	f.listings, f.users = fakebackend.NewProxy(t, f.ListingService()), fakebackend.NewProxy(t, f.UserService())
	f.program = startPublic(t, f.listings, f.users, args...)
	return f
}

// The same in front of services that have the documented routes alone: what
// has to be asked one by one is, and not more of it at once than agreed.
func TestBackendCallsWithoutBatchRoutes(t *testing.T) {
	const users = 40
	for name, request := range map[string]string{
		"REST":    "/public-api/listings?page_size=100",
		"GraphQL": "{ listings(pageSize: 100) { user { id name } } }",
	} {
		t.Run(name, func(t *testing.T) {
			f := startFake(t)
			for i := range users {
				f.AddUser(fmt.Sprintf("user %d", i+1))
			}
			for i := range 100 {
				f.AddListing(int64(i%users+1), "sale", 1)
			}
			for _, atUsers := range [][]string{{"GET /users/batch ×1", "GET /users/{id} ×40"}, {"GET /users/{id} ×40"}} {
				var r reply
				if name == "REST" {
					r = get(t, f.url+request)
				} else {
					r = f.graphQL(t, request, "")
				}
				for i := range users {
					if want := fmt.Sprintf(`"name":"user %d"`, i+1); !strings.Contains(r.body, want) {
						t.Errorf("no %s in %.300s", want, r.body)
					}
				}
				if most := f.users.MostAtOnce(); most > 16 {
					t.Errorf("%d calls at once", most)
				}
				if got := f.users.Routes(); !slices.Equal(got, atUsers) {
					t.Errorf("got %q, want %q", got, atUsers)
				}
				if got := f.listings.Routes(); !slices.Equal(got, []string{"GET /listings ×1"}) {
					t.Errorf("got %q", got)
				}
			}
		})
	}
	t.Run("listings of users", func(t *testing.T) {
		f := startFake(t)
		for i := range 5 {
			f.AddUser("x")
			f.AddListing(int64(i+1), "rent", int64(i+1))
		}
		r := f.graphQL(t, "{ users { id listings(first: 3) { price user { id } } } }", "")
		want := `{"data":{"users":[`
		for id := 5; id > 0; id-- {
			want += fmt.Sprintf(`{"id":"%d","listings":[{"price":%d,"user":{"id":"%d"}}]},`, id, id, id)
		}
		if want = strings.TrimSuffix(want, ",") + `]}}`; r.body != want {
			t.Errorf("got %s, want %s", r.body, want)
		}
		if l, u := f.listings.Routes(), f.users.Routes(); !slices.Equal(l, []string{"GET /listings ×5", "GET /listings/batch ×1"}) ||
			!slices.Equal(u, []string{"GET /users ×1", "GET /users/batch ×1", "GET /users/{id} ×5"}) {
			t.Errorf("got %q and %q", l, u)
		}
	})
}

// Requests that the documented routes cannot serve get an error and never
// something else.
func TestUnsupportedByTheBackend(t *testing.T) {
	f := startFake(t)
	f.AddUser("x")
	f.AddListing(1, "rent", 7)
	for _, query := range []string{
		"{ listing(id: 1) { price } user(id: 1) { name } }",
		"{ listing(id: 99) { price } user(id: 1) { name } }",
	} {
		r := f.graphQL(t, query, "")
		var got struct {
			Data struct {
				Listing *struct{} `json:"listing"`
				User    struct {
					Name string `json:"name"`
				} `json:"user"`
			} `json:"data"`
			Errors []graphError `json:"errors"`
		}
		if err := json.Unmarshal([]byte(r.body), &got); err != nil {
			t.Fatal(err)
		}
		if got.Data.Listing != nil || got.Data.User.Name != "x" || len(got.Errors) != 1 ||
			got.Errors[0].code() != "UNSUPPORTED" || !strings.Contains(got.Errors[0].Message, "not supported by this backend") {
			t.Errorf("%s: got %s", query, r.body)
		}
	}
}

// graphError is one of the errors of a GraphQL response.
type graphError struct {
	Message    string         `json:"message"`
	Path       []any          `json:"path"`
	Locations  []any          `json:"locations"`
	Extensions map[string]any `json:"extensions"`
}

func (e graphError) code() string {
	code, _ := e.Extensions["code"].(string)
	return code
}
