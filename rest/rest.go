// Package rest is the REST door of the public layer: it reads a request, asks
// the core (package publicapi) and writes the documented answer. Its
// neighbour, package graph, opens the same core to GraphQL.
package rest

import (
	"log/slog"
	"net/http"

	"github.com/go-chi/chi/v5"

	"github.com/veranda-go/veranda/backend/listings"
	"github.com/veranda-go/veranda/backend/users"
	"github.com/veranda-go/veranda/internal/fault"
	"github.com/veranda-go/veranda/internal/wire"
	"github.com/veranda-go/veranda/publicapi"
)

// Door serves the routes below /public-api. Make it with New.
type Door struct {
	api *publicapi.API
	log *slog.Logger
}

// New opens a REST door to api.
func New(api *publicapi.API, log *slog.Logger) *Door { return &Door{api, log} }

// Routes adds the door's routes to r.
func (d *Door) Routes(r chi.Router) {
	r.Get("/public-api/listings", wire.Handle(d.log, d.listings))
	r.Post("/public-api/listings", wire.Handle(d.log, d.createListing))
	r.Post("/public-api/users", wire.Handle(d.log, d.createUser))
}

func (d *Door) listings(w http.ResponseWriter, r *http.Request) error {
	p, err := wire.Query(r)
	if err != nil {
		return err
	}
	pg, userID := p.Page(d.api.MaxPageSize()), p.Int("user_id", 0)
	if err := p.Err(); err != nil {
		return err
	}
	ctx := d.api.WithLoaders(r.Context())
	found, err := d.api.Listings(ctx, pg, userID)
	if err != nil {
		return err
	}
	pointers := make([]*listings.Listing, len(found))
	for i := range found {
		pointers[i] = &found[i]
	}
	owners, errs := d.api.Owners(ctx, pointers)
	wire.Write(w, http.StatusOK, func(b []byte) []byte {
		b = append(b, `{"result":true,"listings":[`...)
		for i, l := range pointers {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendListing(b, l, owners[i])
		}
		b = append(b, ']')
		if sentences := distinct(errs); len(sentences) > 0 {
			b = append(b, `,"errors":`...)
			b = wire.AppendStrings(b, sentences)
		}
		return append(b, '}')
	})
	return nil
}

// distinct gives each sentence of errs once.
func distinct(errs []error) []string {
	var out []string
	seen := map[string]bool{}
	var last error
	for _, err := range errs {
		if err == nil || err == last { // a failed batch gives every row the same error
			continue
		}
		last = err
		for _, s := range fault.From(err).Sentences() {
			if !seen[s] {
				seen[s] = true
				out = append(out, s)
			}
		}
	}
	return out
}

func (d *Door) createListing(w http.ResponseWriter, r *http.Request) error {
	p, err := wire.JSON(w, r, "user_id", "listing_type", "price")
	if err != nil {
		return err
	}
	draft := listings.ReadDraft(p)
	if err := p.Err(); err != nil {
		return err
	}
	l, err := d.api.CreateListing(r.Context(), draft)
	if err != nil {
		return err
	}
	wire.Write(w, http.StatusOK, func(b []byte) []byte {
		b = append(b, `{"result":true,"listing":`...)
		return append(l.AppendJSON(b), '}')
	})
	return nil
}

func (d *Door) createUser(w http.ResponseWriter, r *http.Request) error {
	p, err := wire.JSON(w, r, "name")
	if err != nil {
		return err
	}
	draft := users.ReadDraft(p)
	if err := p.Err(); err != nil {
		return err
	}
	u, err := d.api.CreateUser(r.Context(), draft)
	if err != nil {
		return err
	}
	wire.Write(w, http.StatusOK, func(b []byte) []byte {
		b = append(b, `{"result":true,"user":`...)
		return append(u.AppendJSON(b), '}')
	})
	return nil
}
