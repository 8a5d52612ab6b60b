// Package fakebackend has the backends that tests put behind the public layer:
// an independent implementation of both services ([Backend]), a recording proxy
// that may respond in place of a service ([Proxy]), and handlers with bad
// responses. It shares no code with the services, and so no mistakes. The tests
// of publicapi, rest and cmd/veranda use it.
package fakebackend

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
)

// Backend is a listing service and a user service in memory, which have the
// documented routes alone. Its zero value is empty and ready.
type Backend struct {
	// Batch adds the batch routes, as an upgrade would.
	Batch atomic.Bool
	// BatchIsID makes the user service read /users/batch as /users/{id}.
	BatchIsID atomic.Bool

	mu       sync.Mutex
	users    []map[string]any
	listings []map[string]any
	clock    int64
}

// AddUser creates a user and returns its id.
func (b *Backend) AddUser(name string) int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.clock++
	id := int64(len(b.users) + 1)
	b.users = append(b.users, map[string]any{"id": id, "name": name, "created_at": b.clock, "updated_at": b.clock})
	return id
}

// AddListing creates a listing and returns its id. The user need not exist.
func (b *Backend) AddListing(userID int64, listingType string, price int64) int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.clock++
	id := int64(len(b.listings) + 1)
	b.listings = append(b.listings, map[string]any{"id": id, "user_id": userID, "listing_type": listingType,
		"price": price, "created_at": b.clock, "updated_at": b.clock})
	return id
}

// ListingService returns the handler of the listing service.
func (b *Backend) ListingService() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /listings/ping", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("pong!")) })
	mux.HandleFunc("GET /listings", func(w http.ResponseWriter, r *http.Request) {
		userID, err := number(r, "user_id", 0)
		if err != nil {
			refuse(w, "invalid user_id")
			return
		}
		b.page(w, r, "listings", func(l map[string]any) bool { return userID == 0 || l["user_id"] == userID })
	})
	mux.HandleFunc("GET /listings/batch", func(w http.ResponseWriter, r *http.Request) {
		if !b.Batch.Load() {
			notFound(w)
			return
		}
		size, _ := strconv.Atoi(r.FormValue("page_size"))
		out := []map[string]any{}
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, text := range r.Form["user_id"] {
			id, _ := strconv.ParseInt(text, 10, 64)
			of := 0
			for _, l := range slices.Backward(b.listings) {
				if l["user_id"] == id && of < size {
					out, of = append(out, l), of+1
				}
			}
		}
		w.Header().Set("Content-Type", "application/json; charset=UTF-8")
		_ = json.NewEncoder(w).Encode(map[string]any{"result": true, "listings": out})
	})
	mux.HandleFunc("POST /listings", func(w http.ResponseWriter, r *http.Request) {
		userID, err := number(r, "user_id", 0)
		price, err2 := number(r, "price", 0)
		kind := r.PostFormValue("listing_type")
		if err != nil || err2 != nil || userID < 1 || price < 1 || kind != "rent" && kind != "sale" {
			refuse(w, "invalid input")
			return
		}
		id := b.AddListing(userID, kind, price)
		b.mu.Lock()
		defer b.mu.Unlock()
		respond(w, "listing", b.listings[id-1])
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { notFound(w) })
	return mux
}

// UserService returns the handler of the user service.
func (b *Backend) UserService() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /users", func(w http.ResponseWriter, r *http.Request) {
		b.page(w, r, "users", func(map[string]any) bool { return true })
	})
	mux.HandleFunc("GET /users/{id}", func(w http.ResponseWriter, r *http.Request) {
		b.mu.Lock()
		defer b.mu.Unlock()
		if r.PathValue("id") == "batch" && b.Batch.Load() {
			out := []map[string]any{}
			_ = r.ParseForm()
			for _, text := range r.Form["id"] {
				if id, _ := strconv.Atoi(text); id > 0 && id <= len(b.users) {
					out = append(out, b.users[id-1])
				}
			}
			respond(w, "users", out)
			return
		}
		id, err := strconv.Atoi(r.PathValue("id"))
		switch {
		case err != nil && b.BatchIsID.Load():
			refuse(w, "id must be an integer")
		case err != nil || id < 1 || id > len(b.users):
			notFound(w)
		default:
			respond(w, "user", b.users[id-1])
		}
	})
	mux.HandleFunc("POST /users", func(w http.ResponseWriter, r *http.Request) {
		name := r.PostFormValue("name")
		if name == "" {
			refuse(w, "name is required")
			return
		}
		id := b.AddUser(name)
		b.mu.Lock()
		defer b.mu.Unlock()
		respond(w, "user", b.users[id-1])
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { notFound(w) })
	return mux
}

// page responds with a numbered page of the rows that keep selects, newest first.
func (b *Backend) page(w http.ResponseWriter, r *http.Request, what string, keep func(map[string]any) bool) {
	num, err := number(r, "page_num", 1)
	size, err2 := number(r, "page_size", 10)
	if err != nil || err2 != nil || num < 1 || size < 1 {
		refuse(w, "invalid page")
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	all := b.listings
	if what == "users" {
		all = b.users
	}
	out, skip := []map[string]any{}, (num-1)*size
	for _, row := range slices.Backward(all) {
		switch {
		case !keep(row):
		case skip > 0:
			skip--
		case int64(len(out)) < size:
			out = append(out, row)
		}
	}
	respond(w, what, out)
}

func number(r *http.Request, name string, def int64) (int64, error) {
	text := r.FormValue(name)
	if text == "" {
		return def, nil
	}
	return strconv.ParseInt(text, 10, 64)
}

func respond(w http.ResponseWriter, what string, value any) {
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	_ = json.NewEncoder(w).Encode(map[string]any{"result": true, what: value})
}

func refuse(w http.ResponseWriter, message string) {
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	w.WriteHeader(http.StatusBadRequest)
	_ = json.NewEncoder(w).Encode(map[string]any{"result": false, "errors": []string{message}})
}

func notFound(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/html; charset=UTF-8")
	w.WriteHeader(http.StatusNotFound)
	_, _ = w.Write([]byte("<html><title>404: Not Found</title><body>404: Not Found</body></html>"))
}
