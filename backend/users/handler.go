package users

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/go-chi/chi/v5"

	"github.com/veranda-go/veranda/internal/apierror"
	"github.com/veranda-go/veranda/internal/httpapi"
	"github.com/veranda-go/veranda/internal/idempotency"
	"github.com/veranda-go/veranda/internal/pagination"
)

// MaxBatch is the largest number of ids in one batch.
const MaxBatch = 1000

// Handler serves the routes of the user service. Make it with NewHandler.
type Handler struct {
	store       Store
	maxPageSize int64
	log         *slog.Logger
	inFlight    idempotency.InFlight
}

// NewHandler returns a handler of the users in store. maxPageSize is in rows.
func NewHandler(store Store, maxPageSize int64, log *slog.Logger) *Handler {
	return &Handler{store: store, maxPageSize: maxPageSize, log: log}
}

// Routes adds the service's routes to r.
func (h *Handler) Routes(r chi.Router) {
	r.Get("/users/ping", httpapi.Pong)
	r.Get("/users", httpapi.Handle(h.log, h.list))
	r.Post("/users", httpapi.Handle(h.log, h.post))
	r.Get("/users/batch", httpapi.Handle(h.log, h.batch))
	r.Get("/users/{id}", httpapi.Handle(h.log, httpapi.GetByID("user", h.store.Get)))
}

func (h *Handler) list(w http.ResponseWriter, r *http.Request) error {
	p := httpapi.Query(r)
	page := p.Page(h.maxPageSize)
	if err := p.Err(); err != nil {
		return err
	}
	found, err := pagination.Rows(page, func(offset int64) ([]User, error) {
		return h.store.List(r.Context(), Query{Offset: offset, Limit: page.Size})
	})
	return writeList(w, found, err)
}

func (h *Handler) post(w http.ResponseWriter, r *http.Request) error {
	p := httpapi.Form(w, r)
	return httpapi.Create(w, r, p, ReadDraft(p), "user", h.create)
}

func (h *Handler) create(ctx context.Context, d Draft, key string) (u User, replayed bool, err error) {
	if err := apierror.FromFields(d.Validate()); err != nil {
		return User{}, false, err
	}
	if err := h.inFlight.Enter(key); err != nil {
		return User{}, false, err
	}
	defer h.inFlight.Leave(key)
	return h.store.Create(ctx, d, key)
}

func (h *Handler) batch(w http.ResponseWriter, r *http.Request) error {
	p := httpapi.Query(r)
	ids := p.Ints("id", MaxBatch)
	if err := p.Err(); err != nil {
		return err
	}
	found, err := h.store.Batch(r.Context(), ids)
	return writeList(w, found, err)
}

// writeList writes a list, unless err is an error, which it returns.
func writeList(w http.ResponseWriter, rows []User, err error) error {
	if err != nil {
		return err
	}
	httpapi.Write(w, http.StatusOK, func(b []byte) []byte { return appendList(b, rows) })
	return nil
}
