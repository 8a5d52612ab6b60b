package users

import (
	"log/slog"
	"net/http"

	"github.com/go-chi/chi/v5"

	"github.com/veranda-go/veranda/internal/fastjson"
	"github.com/veranda-go/veranda/internal/httpapi"
	"github.com/veranda-go/veranda/internal/idempotency"
)

// MaxBatch is the largest number of ids in one batch.
const MaxBatch = 1000

// Handler is the server side of the user service. Make it with NewHandler.
type Handler struct {
	store       Store
	maxPageSize int64
	log         *slog.Logger
	inFlight    idempotency.InFlight
}

// NewHandler serves what is in store. maxPageSize is in rows.
func NewHandler(store Store, maxPageSize int64, log *slog.Logger) *Handler {
	return &Handler{store: store, maxPageSize: maxPageSize, log: log}
}

// Routes adds the service's routes to r.
func (h *Handler) Routes(r chi.Router) {
	r.Get("/users/ping", httpapi.Pong)
	r.Get("/users", httpapi.Handle(h.log, h.list))
	r.Post("/users", httpapi.Handle(h.log, h.create))
	r.Get("/users/batch", httpapi.Handle(h.log, h.batch))
	r.Get("/users/{id}", httpapi.Handle(h.log, h.get))
}

func (h *Handler) list(w http.ResponseWriter, r *http.Request) error {
	p, err := httpapi.Query(r)
	if err != nil {
		return err
	}
	pg := p.Page(h.maxPageSize)
	if err := p.Err(); err != nil {
		return err
	}
	var found []User
	if offset, ok := pg.Offset(); ok {
		if found, err = h.store.List(r.Context(), Query{Offset: offset, Limit: pg.Size}); err != nil {
			return err
		}
	}
	writeList(w, found)
	return nil
}

func (h *Handler) create(w http.ResponseWriter, r *http.Request) error {
	key, err := httpapi.IdempotencyKey(r.Header)
	if err != nil {
		return err
	}
	p, err := httpapi.Form(w, r)
	if err != nil {
		return err
	}
	d := ReadDraft(p)
	if err := p.Err(); err != nil {
		return err
	}
	if err := h.inFlight.Enter(key); err != nil {
		return err
	}
	defer h.inFlight.Leave(key)
	u, replayed, err := h.store.Create(r.Context(), d, key)
	if err != nil {
		return err
	}
	if replayed {
		w.Header().Set(httpapi.ReplayedHeader, "true")
	}
	writeOne(w, u)
	return nil
}

func (h *Handler) batch(w http.ResponseWriter, r *http.Request) error {
	p, err := httpapi.Query(r)
	if err != nil {
		return err
	}
	ids := p.Ints("id", MaxBatch)
	if err := p.Err(); err != nil {
		return err
	}
	found, err := h.store.Batch(r.Context(), ids)
	if err != nil {
		return err
	}
	writeList(w, found)
	return nil
}

func (h *Handler) get(w http.ResponseWriter, r *http.Request) error {
	id, err := httpapi.PathID(chi.URLParam(r, "id"))
	if err != nil {
		return err
	}
	u, err := h.store.Get(r.Context(), id)
	if err != nil {
		return err
	}
	writeOne(w, u)
	return nil
}

func writeList(w http.ResponseWriter, list []User) {
	httpapi.Write(w, http.StatusOK, func(b []byte) []byte {
		b = append(b, `{"result":true,"users":`...)
		return append(fastjson.AppendList(b, list, (*User).AppendJSON), '}')
	})
}

func writeOne(w http.ResponseWriter, u User) {
	httpapi.Write(w, http.StatusOK, func(b []byte) []byte {
		b = append(b, `{"result":true,"user":`...)
		return append(u.AppendJSON(b), '}')
	})
}
