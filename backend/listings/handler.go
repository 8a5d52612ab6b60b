package listings

import (
	"log/slog"
	"net/http"

	"github.com/go-chi/chi/v5"

	"github.com/veranda-go/veranda/internal/page"
	"github.com/veranda-go/veranda/internal/wire"
)

// MaxBatch is the largest number of users in one batch.
const MaxBatch = 1000

// Handler is the server side of the listing service. Make it with NewHandler.
type Handler struct {
	store       Store
	maxPageSize int64
	log         *slog.Logger
}

// NewHandler serves what is in store. maxPageSize is in rows.
func NewHandler(store Store, maxPageSize int64, log *slog.Logger) *Handler {
	return &Handler{store, maxPageSize, log}
}

// Routes adds the service's routes to r.
func (h *Handler) Routes(r chi.Router) {
	r.Get("/listings/ping", wire.Pong)
	r.Get("/listings", wire.Handle(h.log, h.list))
	r.Post("/listings", wire.Handle(h.log, h.create))
	r.Get("/listings/batch", wire.Handle(h.log, h.batch))
	r.Get("/listings/{id}", wire.Handle(h.log, h.get))
}

func (h *Handler) list(w http.ResponseWriter, r *http.Request) error {
	p, err := wire.Query(r)
	if err != nil {
		return err
	}
	pg := p.Page(h.maxPageSize)
	q := Query{UserID: p.Int("user_id", 0), Limit: pg.Size}
	if err := p.Err(); err != nil {
		return err
	}
	var found []Listing
	if offset, ok := pg.Offset(); ok {
		q.Offset = offset
		if found, err = h.store.List(r.Context(), q); err != nil {
			return err
		}
	}
	writeList(w, found)
	return nil
}

func (h *Handler) create(w http.ResponseWriter, r *http.Request) error {
	p, err := wire.Form(w, r)
	if err != nil {
		return err
	}
	d := ReadDraft(p)
	if err := p.Err(); err != nil {
		return err
	}
	l, err := h.store.Create(r.Context(), d)
	if err != nil {
		return err
	}
	writeOne(w, l)
	return nil
}

func (h *Handler) batch(w http.ResponseWriter, r *http.Request) error {
	p, err := wire.Query(r)
	if err != nil {
		return err
	}
	ids := p.Ints("user_id", MaxBatch)
	size := p.Int("page_size", page.DefaultSize)
	p.Check(page.SizeProblems("page_size", size, h.maxPageSize))
	if err := p.Err(); err != nil {
		return err
	}
	found, err := h.store.NewestOf(r.Context(), ids, size)
	if err != nil {
		return err
	}
	writeList(w, found)
	return nil
}

func (h *Handler) get(w http.ResponseWriter, r *http.Request) error {
	id, err := wire.PathID(chi.URLParam(r, "id"))
	if err != nil {
		return err
	}
	l, err := h.store.Get(r.Context(), id)
	if err != nil {
		return err
	}
	writeOne(w, l)
	return nil
}

func writeList(w http.ResponseWriter, list []Listing) {
	wire.Write(w, http.StatusOK, func(b []byte) []byte {
		b = append(b, `{"result":true,"listings":`...)
		return append(wire.AppendList(b, list, (*Listing).AppendJSON), '}')
	})
}

func writeOne(w http.ResponseWriter, l Listing) {
	wire.Write(w, http.StatusOK, func(b []byte) []byte {
		b = append(b, `{"result":true,"listing":`...)
		return append(l.AppendJSON(b), '}')
	})
}
