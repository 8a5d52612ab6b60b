package listings

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/veranda-go/veranda/internal/broadcast"
	"github.com/veranda-go/veranda/internal/coalesce"
	"github.com/veranda-go/veranda/internal/fastjson"
	"github.com/veranda-go/veranda/internal/httpapi"
	"github.com/veranda-go/veranda/internal/idempotency"
	"github.com/veranda-go/veranda/internal/pagination"
)

// MaxBatch is the largest number of users in one batch.
const MaxBatch = 1000

// maxFlight is how long a page may take, whoever waits for it.
const maxFlight = 20 * time.Second

// Handler is the server side of the listing service. Make it with NewHandler.
type Handler struct {
	store       Store
	maxPageSize int64
	log         *slog.Logger
	inFlight    idempotency.InFlight
	lists       coalesce.Group[string, []byte] // answers by their query strings; not to be changed
	newest      *broadcast.Source[int64]
}

// NewHandler serves what is in store. maxPageSize is in rows.
func NewHandler(store Store, maxPageSize int64, log *slog.Logger) *Handler {
	return &Handler{store: store, maxPageSize: maxPageSize, log: log, newest: newestID(store)}
}

// Routes adds the service's routes to r.
func (h *Handler) Routes(r chi.Router) {
	r.Get("/listings/ping", httpapi.Pong)
	r.Get("/listings", httpapi.Handle(h.log, h.list))
	r.Post("/listings", httpapi.Handle(h.log, h.create))
	r.Get("/listings/batch", httpapi.Handle(h.log, h.batch))
	r.Get("/listings/feed", httpapi.Handle(h.log, h.feed))
	r.Get("/listings/{id}", httpapi.Handle(h.log, h.get))
}

func (h *Handler) list(w http.ResponseWriter, r *http.Request) error {
	// A flight has its own deadline, so its riders need not wait for theirs.
	answer, err := h.lists.Do(httpapi.Untimed(r.Context()), r.URL.RawQuery, func(ctx context.Context) ([]byte, error) {
		ctx, cancel := context.WithTimeout(ctx, maxFlight)
		defer cancel()
		return h.answerList(ctx, r)
	})
	if err != nil {
		return err
	}
	httpapi.Write(w, http.StatusOK, func(b []byte) []byte { return append(b, answer...) })
	return nil
}

// answerList depends on nothing of r but its query string.
func (h *Handler) answerList(ctx context.Context, r *http.Request) ([]byte, error) {
	p, err := httpapi.Query(r)
	if err != nil {
		return nil, err
	}
	q, extended := ReadQuery(p)
	q.UserID = p.Int("user_id", 0)
	pg := p.Page(h.maxPageSize)
	if err := p.Err(); err != nil {
		return nil, err
	}
	var found []Listing
	q.Limit = pg.Size
	if extended {
		q.Limit++ // a row that is not shown tells that there are more
	}
	if offset, ok := pg.Offset(); ok {
		q.Offset = offset
		if found, err = h.store.List(ctx, q); err != nil {
			return nil, err
		}
	}
	answer := make([]byte, 0, rowBytes*(1+len(found)))
	if !extended {
		return appendList(answer, found, nil), nil
	}
	shown := q.cut(found, pg.Size)
	return appendList(answer, shown, func(b []byte) []byte {
		return strconv.AppendBool(append(b, `,"has_more":`...), len(shown) < len(found))
	}), nil
}

// cut keeps size rows: those next to the cursor or, without one, the first.
func (q *Query) cut(rows []Listing, size int64) []Listing {
	over := max(0, int64(len(rows))-size)
	if q.Before != nil {
		return rows[over:]
	}
	return rows[:int64(len(rows))-over]
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
	l, replayed, err := h.store.Create(r.Context(), d, key)
	if err != nil {
		return err
	}
	if replayed {
		w.Header().Set(httpapi.ReplayedHeader, "true")
	}
	writeOne(w, l)
	return nil
}

func (h *Handler) batch(w http.ResponseWriter, r *http.Request) error {
	p, err := httpapi.Query(r)
	if err != nil {
		return err
	}
	ids := p.Ints("user_id", MaxBatch)
	q, extended := ReadQuery(p)
	size := p.Int("page_size", pagination.DefaultSize)
	p.Check(pagination.ValidateSize("page_size", size, h.maxPageSize))
	if err := p.Err(); err != nil {
		return err
	}
	q.Limit = size
	if extended {
		q.Limit++
	}
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

func (h *Handler) get(w http.ResponseWriter, r *http.Request) error {
	id, err := httpapi.PathID(chi.URLParam(r, "id"))
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

// rowBytes is more than most listings take in an answer.
const rowBytes = 128

// appendList appends an answer with rows and, unless more is nil, the members
// that it appends.
func appendList(b []byte, rows []Listing, more func([]byte) []byte) []byte {
	b = append(b, `{"result":true,"listings":`...)
	b = fastjson.AppendList(b, rows, (*Listing).AppendJSON)
	if more != nil {
		b = more(b)
	}
	return append(b, '}')
}

func writeList(w http.ResponseWriter, rows []Listing, more func([]byte) []byte) {
	httpapi.Write(w, http.StatusOK, func(b []byte) []byte { return appendList(b, rows, more) })
}

func writeOne(w http.ResponseWriter, l Listing) {
	httpapi.Write(w, http.StatusOK, func(b []byte) []byte {
		b = append(b, `{"result":true,"listing":`...)
		return append(l.AppendJSON(b), '}')
	})
}
