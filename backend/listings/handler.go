package listings

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"strconv"

	"github.com/go-chi/chi/v5"

	"github.com/veranda-go/veranda/internal/apierror"
	"github.com/veranda-go/veranda/internal/broadcast"
	"github.com/veranda-go/veranda/internal/coalesce"
	"github.com/veranda-go/veranda/internal/fastjson"
	"github.com/veranda-go/veranda/internal/httpapi"
	"github.com/veranda-go/veranda/internal/idempotency"
	"github.com/veranda-go/veranda/internal/pagination"
)

// MaxBatch is the largest number of users in one batch.
const MaxBatch = 1000

// Handler serves the routes of the listing service. Make it with NewHandler.
type Handler struct {
	store       Store
	maxPageSize int64
	log         *slog.Logger
	inFlight    idempotency.InFlight
	pages       coalesce.Group[string, []byte] // read-only bodies by query string
	newest      *broadcast.Source[int64]
}

// NewHandler returns a handler of the listings in store. maxPageSize is in rows.
func NewHandler(store Store, maxPageSize int64, log *slog.Logger) *Handler {
	return &Handler{store: store, maxPageSize: maxPageSize, log: log, newest: newestID(store)}
}

// Routes adds the service's routes to r.
func (h *Handler) Routes(r chi.Router) {
	r.Get("/listings/ping", httpapi.Pong)
	r.Get("/listings", httpapi.Handle(h.log, h.list))
	r.Post("/listings", httpapi.Handle(h.log, h.post))
	r.Get("/listings/batch", httpapi.Handle(h.log, h.batch))
	r.Get("/listings/feed", httpapi.Handle(h.log, h.feed))
	r.Get("/listings/{id}", httpapi.Handle(h.log, httpapi.GetByID("listing", h.store.Get)))
}

func (h *Handler) list(w http.ResponseWriter, r *http.Request) error {
	body, err := h.pages.Do(r.Context(), r.URL.RawQuery, func(ctx context.Context) ([]byte, error) {
		ctx, cancel := context.WithTimeout(ctx, httpapi.RequestTimeout)
		defer cancel()
		return h.page(ctx, httpapi.Query(r))
	})
	if err != nil {
		return err
	}
	httpapi.Write(w, http.StatusOK, func(b []byte) []byte { return append(b, body...) })
	return nil
}

// page returns the body of a page of listings.
func (h *Handler) page(ctx context.Context, p *httpapi.Params) ([]byte, error) {
	q, extended := ReadQuery(p)
	q.UserID = p.Int("user_id", 0)
	page := p.Page(h.maxPageSize)
	if err := p.Err(); err != nil {
		return nil, err
	}
	q.setLimit(page.Size, extended)
	found, err := pagination.Rows(page, func(offset int64) ([]Listing, error) {
		q.Offset = offset
		return h.store.List(ctx, q)
	})
	if err != nil {
		return nil, err
	}
	body := make([]byte, 0, rowBytes*(1+len(found)))
	if !extended {
		return appendList(body, found, nil), nil
	}
	shown := q.cut(found, page.Size)
	return appendList(body, shown, func(b []byte) []byte {
		return strconv.AppendBool(append(b, `,"has_more":`...), len(shown) < len(found))
	}), nil
}

// setLimit sets the limit for size rows. A response to an extended query says
// whether there are more, which one more row tells.
func (q *Query) setLimit(size int64, extended bool) {
	q.Limit = size
	if extended {
		q.Limit++
	}
}

// cut returns size of the rows: those next to the cursor, or the first ones.
func (q *Query) cut(rows []Listing, size int64) []Listing {
	over := max(0, int64(len(rows))-size)
	if q.Before != nil {
		return rows[over:]
	}
	return rows[:int64(len(rows))-over]
}

func (h *Handler) post(w http.ResponseWriter, r *http.Request) error {
	p := httpapi.Form(w, r)
	return httpapi.Create(w, r, p, ReadDraft(p), "listing", h.create)
}

func (h *Handler) create(ctx context.Context, d Draft, key string) (l Listing, replayed bool, err error) {
	if err := apierror.FromFields(d.Validate()); err != nil {
		return Listing{}, false, err
	}
	if err := h.inFlight.Enter(key); err != nil {
		return Listing{}, false, err
	}
	defer h.inFlight.Leave(key)
	return h.store.Create(ctx, d, key)
}

func (h *Handler) batch(w http.ResponseWriter, r *http.Request) error {
	p := httpapi.Query(r)
	ids := p.Ints("user_id", MaxBatch)
	q, extended := ReadQuery(p)
	size := p.PageSize(h.maxPageSize)
	if err := p.Err(); err != nil {
		return err
	}
	q.setLimit(size, extended)
	found, err := h.store.OfUsers(r.Context(), ids, q)
	if err != nil {
		return err
	}
	if !extended {
		writeList(w, found, nil)
		return nil
	}
	shown, moreOf := make([]Listing, 0, len(found)), []int64{}
	for len(found) > 0 {
		user := found[0].UserID
		n := slices.IndexFunc(found, func(l Listing) bool { return l.UserID != user })
		if n < 0 {
			n = len(found)
		}
		rows := q.cut(found[:n], size)
		if len(rows) < n {
			moreOf = append(moreOf, user)
		}
		shown, found = append(shown, rows...), found[n:]
	}
	writeList(w, shown, func(b []byte) []byte {
		return fastjson.AppendList(append(b, `,"more_of":`...), moreOf, func(id *int64, b []byte) []byte {
			return strconv.AppendInt(b, *id, 10)
		})
	})
	return nil
}

func writeList(w http.ResponseWriter, rows []Listing, more func([]byte) []byte) {
	httpapi.Write(w, http.StatusOK, func(b []byte) []byte { return appendList(b, rows, more) })
}
