// Package rest is the REST door of the public layer: it reads a request, asks
// the core (package publicapi) and writes the documented answer. Its
// neighbour, package graph, opens the same core to GraphQL.
package rest

import (
	"context"
	"log/slog"
	"net/http"
	"strconv"

	"github.com/go-chi/chi/v5"

	"github.com/veranda-go/veranda/backend/listings"
	"github.com/veranda-go/veranda/backend/users"
	"github.com/veranda-go/veranda/internal/apierror"
	"github.com/veranda-go/veranda/internal/fastjson"
	"github.com/veranda-go/veranda/internal/httpapi"
	"github.com/veranda-go/veranda/publicapi"
)

// Handler serves the routes below /public-api. Make it with New.
type Handler struct {
	api    *publicapi.API
	log    *slog.Logger
	limits httpapi.StreamLimits
}

// New opens a REST door to api.
func New(api *publicapi.API, log *slog.Logger) *Handler {
	return &Handler{api, log, httpapi.DefaultStreamLimits}
}

// Routes adds the door's routes to r.
func (d *Handler) Routes(r chi.Router) {
	r.Get("/public-api/listings", httpapi.Handle(d.log, d.listings))
	r.Get("/public-api/listings/stream", httpapi.Handle(d.log, d.stream))
	r.Post("/public-api/listings", httpapi.Handle(d.log, d.createListing))
	r.Post("/public-api/users", httpapi.Handle(d.log, d.createUser))
}

// listings answers the documented question, a numbered page, and with any of
// our own parameters filtered, sorted or cursor-paged ones. Those answers
// also tell where to go on.
func (d *Handler) listings(w http.ResponseWriter, r *http.Request) error {
	p, err := httpapi.Query(r)
	if err != nil {
		return err
	}
	q, extended := listings.ReadQuery(p)
	q.UserID = p.Int("user_id", 0)
	pg := p.Page(d.api.MaxPageSize())
	if err := p.Err(); err != nil {
		return err
	}
	ctx := d.api.WithLoaders(r.Context())
	var (
		found []listings.Listing
		more  bool
	)
	if !extended {
		found, err = d.api.Listings(ctx, pg, q.UserID)
	} else if offset, ok := pg.Offset(); ok {
		q.Offset, q.Limit = offset, pg.Size
		found, more, err = d.api.FindListings(ctx, q)
	}
	if err != nil {
		return err
	}
	owners, errs := d.owners(ctx, found)
	sentences := distinct(errs)
	body := func(b []byte) []byte {
		b = append(b, `{"result":true,"listings":[`...)
		for i := range found {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendListing(b, &found[i], owners[i])
		}
		b = append(b, ']')
		if extended {
			b = strconv.AppendBool(append(b, `,"has_more":`...), more)
			b = append(b, `,"start_cursor":`...)
			b = appendCursor(b, found, 0, q.Order)
			b = append(b, `,"end_cursor":`...)
			b = appendCursor(b, found, len(found)-1, q.Order)
		}
		if len(sentences) > 0 {
			b = append(b, `,"errors":`...)
			b = fastjson.AppendStrings(b, sentences)
		}
		return append(b, '}')
	}
	if len(sentences) > 0 {
		w.Header().Set("Cache-Control", "no-store") // nobody should keep half an answer
		httpapi.Write(w, http.StatusOK, body)
		return nil
	}
	httpapi.WriteTagged(w, r, httpapi.MediaJSON, body)
	return nil
}

func (d *Handler) owners(ctx context.Context, list []listings.Listing) ([]*users.User, []error) {
	pointers := make([]*listings.Listing, len(list))
	for i := range list {
		pointers[i] = &list[i]
	}
	return d.api.Owners(ctx, pointers)
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
		for _, s := range apierror.From(err).Messages() {
			if !seen[s] {
				seen[s] = true
				out = append(out, s)
			}
		}
	}
	return out
}

func (d *Handler) createListing(w http.ResponseWriter, r *http.Request) error {
	p, err := httpapi.JSON(w, r, "user_id", "listing_type", "price")
	if err != nil {
		return err
	}
	draft := listings.ReadDraft(p)
	if err := p.Err(); err != nil {
		return err
	}
	key, err := httpapi.IdempotencyKey(r.Header)
	if err != nil {
		return err
	}
	l, replayed, err := d.api.CreateListing(r.Context(), draft, key)
	if err != nil {
		return err
	}
	markReplayed(w, replayed)
	httpapi.Write(w, http.StatusOK, func(b []byte) []byte {
		b = append(b, `{"result":true,"listing":`...)
		return append(l.AppendJSON(b), '}')
	})
	return nil
}

func (d *Handler) createUser(w http.ResponseWriter, r *http.Request) error {
	p, err := httpapi.JSON(w, r, "name")
	if err != nil {
		return err
	}
	draft := users.ReadDraft(p)
	if err := p.Err(); err != nil {
		return err
	}
	key, err := httpapi.IdempotencyKey(r.Header)
	if err != nil {
		return err
	}
	u, replayed, err := d.api.CreateUser(r.Context(), draft, key)
	if err != nil {
		return err
	}
	markReplayed(w, replayed)
	httpapi.Write(w, http.StatusOK, func(b []byte) []byte {
		b = append(b, `{"result":true,"user":`...)
		return append(u.AppendJSON(b), '}')
	})
	return nil
}

// markReplayed tells an answer given again from a new one.
func markReplayed(w http.ResponseWriter, replayed bool) {
	if replayed {
		w.Header().Set(httpapi.ReplayedHeader, "true")
	}
}
