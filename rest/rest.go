// Package rest is the REST API of the public layer: it reads a request, calls
// package publicapi and writes the documented response. Package graph is the
// GraphQL API over the same core.
package rest

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/go-chi/chi/v5"

	"github.com/veranda-go/veranda/backend/listings"
	"github.com/veranda-go/veranda/backend/users"
	"github.com/veranda-go/veranda/internal/apierror"
	"github.com/veranda-go/veranda/internal/httpapi"
	"github.com/veranda-go/veranda/internal/pagination"
	"github.com/veranda-go/veranda/publicapi"
)

// Handler serves the routes below /public-api. Make it with New.
type Handler struct {
	api    *publicapi.API
	log    *slog.Logger
	limits httpapi.StreamLimits
}

// New returns a handler that calls api.
func New(api *publicapi.API, log *slog.Logger) *Handler {
	return &Handler{api, log, httpapi.DefaultStreamLimits}
}

// Routes adds the routes of the REST API to r.
func (h *Handler) Routes(r chi.Router) {
	r.Get("/public-api/listings", httpapi.Handle(h.log, h.listings))
	r.Get("/public-api/listings/stream", httpapi.Handle(h.log, h.stream))
	r.Post("/public-api/listings", httpapi.Handle(h.log, h.createListing))
	r.Post("/public-api/users", httpapi.Handle(h.log, h.createUser))
}

// listings serves a numbered page, as documented. With a parameter that is not
// documented the list is filtered, sorted or paged by cursor, and the response
// says where it goes on.
func (h *Handler) listings(w http.ResponseWriter, r *http.Request) error {
	p := httpapi.Query(r)
	q, extended := listings.ReadQuery(p)
	q.UserID = p.Int("user_id", 0)
	page := p.Page(h.api.MaxPageSize())
	if err := p.Err(); err != nil {
		return err
	}
	ctx := h.api.WithLoaders(r.Context())
	v := listView{extended: extended, order: q.Order}
	var err error
	if extended {
		v.rows, err = pagination.Rows(page, func(offset int64) (rows []listings.Listing, err error) {
			q.Offset, q.Limit = offset, page.Size
			rows, v.more, err = h.api.FindListings(ctx, q)
			return rows, err
		})
	} else {
		v.rows, err = h.api.Listings(ctx, page, q.UserID)
	}
	if err != nil {
		return err
	}
	var errs []error
	v.owners, errs = h.owners(ctx, v.rows)
	if v.errors = distinct(errs); len(v.errors) > 0 {
		w.Header().Set("Cache-Control", "no-store") // the response is incomplete
		httpapi.Write(w, http.StatusOK, v.append)
		return nil
	}
	httpapi.WriteTagged(w, r, httpapi.MediaJSON, v.append)
	return nil
}

func (h *Handler) owners(ctx context.Context, rows []listings.Listing) ([]*users.User, []error) {
	pointers := make([]*listings.Listing, len(rows))
	for i := range rows {
		pointers[i] = &rows[i]
	}
	return h.api.Owners(ctx, pointers)
}

// distinct returns the messages of errs, each once.
func distinct(errs []error) []string {
	var messages []string
	seen := map[string]bool{}
	var last error
	for _, err := range errs {
		if err == nil || err == last { // a failed batch has one error for all rows
			continue
		}
		last = err
		for _, m := range apierror.From(err).Messages() {
			if !seen[m] {
				seen[m] = true
				messages = append(messages, m)
			}
		}
	}
	return messages
}

func (h *Handler) createListing(w http.ResponseWriter, r *http.Request) error {
	p := httpapi.JSON(w, r, "user_id", "listing_type", "price")
	return httpapi.Create(w, r, p, listings.ReadDraft(p), "listing", h.api.CreateListing)
}

func (h *Handler) createUser(w http.ResponseWriter, r *http.Request) error {
	p := httpapi.JSON(w, r, "name")
	return httpapi.Create(w, r, p, users.ReadDraft(p), "user", h.api.CreateUser)
}
