// Package fakebackend has what the tests of the public layer put behind it: an
// independent implementation of both services ([Backend]), a recording proxy
// that may respond in place of a service ([Proxy]), and bad responses for it.
// It shares no code with the services, and so no mistakes. The tests of
// publicapi, rest and cmd/veranda use it.
package fakebackend

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
)

// Backend is a listing service and a user service in memory, strict, with the
// documented routes alone. Its zero value is empty and ready.
type Backend struct {
	// Batch adds the batch routes, as an upgrade would.
	Batch atomic.Bool
	// Swallow makes the user service take /users/batch for an id.
	Swallow atomic.Bool

	mu       sync.Mutex
	users    []map[string]any
	listings []map[string]any
	clock    int64
}

// AddUser gives the id of a new user.
func (f *Backend) AddUser(name string) int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.clock++
	id := int64(len(f.users) + 1)
	f.users = append(f.users, map[string]any{"id": id, "name": name, "created_at": f.clock, "updated_at": f.clock})
	return id
}

// AddListing gives the id of a new listing; the user need not exist.
func (f *Backend) AddListing(userID int64, listingType string, price int64) int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.clock++
	id := int64(len(f.listings) + 1)
	f.listings = append(f.listings, map[string]any{"id": id, "user_id": userID, "listing_type": listingType,
		"price": price, "created_at": f.clock, "updated_at": f.clock})
	return id
}

// ListingService is the listing service.
func (f *Backend) ListingService() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /listings/ping", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("pong!")) })
	mux.HandleFunc("GET /listings", func(w http.ResponseWriter, r *http.Request) {
		userID, err := number(r, "user_id", 0)
		if err != nil {
			refuse(w, "invalid user_id")
			return
		}
		f.page(w, r, "listings", func(l map[string]any) bool { return userID == 0 || l["user_id"] == userID })
	})
	mux.HandleFunc("GET /listings/batch", func(w http.ResponseWriter, r *http.Request) {
		if !f.Batch.Load() {
			notFound(w)
			return
		}
		size, _ := strconv.Atoi(r.FormValue("page_size"))
		out := []map[string]any{}
		f.mu.Lock()
		defer f.mu.Unlock()
		for _, text := range r.Form["user_id"] {
			id, _ := strconv.ParseInt(text, 10, 64)
			of := 0
			for _, l := range slices.Backward(f.listings) {
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
		id := f.AddListing(userID, kind, price)
		f.mu.Lock()
		defer f.mu.Unlock()
		answer(w, "listing", f.listings[id-1])
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { notFound(w) })
	return mux
}

// UserService is the user service.
func (f *Backend) UserService() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /users", func(w http.ResponseWriter, r *http.Request) {
		f.page(w, r, "users", func(map[string]any) bool { return true })
	})
	mux.HandleFunc("GET /users/{id}", func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		defer f.mu.Unlock()
		if r.PathValue("id") == "batch" && f.Batch.Load() {
			out := []map[string]any{}
			_ = r.ParseForm()
			for _, text := range r.Form["id"] {
				if id, _ := strconv.Atoi(text); id > 0 && id <= len(f.users) {
					out = append(out, f.users[id-1])
				}
			}
			answer(w, "users", out)
			return
		}
		id, err := strconv.Atoi(r.PathValue("id"))
		switch {
		case err != nil && f.Swallow.Load():
			refuse(w, "id must be an integer")
		case err != nil || id < 1 || id > len(f.users):
			notFound(w)
		default:
			answer(w, "user", f.users[id-1])
		}
	})
	mux.HandleFunc("POST /users", func(w http.ResponseWriter, r *http.Request) {
		name := r.PostFormValue("name")
		if name == "" {
			refuse(w, "name is required")
			return
		}
		id := f.AddUser(name)
		f.mu.Lock()
		defer f.mu.Unlock()
		answer(w, "user", f.users[id-1])
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { notFound(w) })
	return mux
}

// page answers with a numbered page of the rows to keep, newest first.
func (f *Backend) page(w http.ResponseWriter, r *http.Request, what string, keep func(map[string]any) bool) {
	num, err := number(r, "page_num", 1)
	size, err2 := number(r, "page_size", 10)
	if err != nil || err2 != nil || num < 1 || size < 1 {
		refuse(w, "invalid page")
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	all := f.listings
	if what == "users" {
		all = f.users
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
	answer(w, what, out)
}

func number(r *http.Request, name string, def int64) (int64, error) {
	text := r.FormValue(name)
	if text == "" {
		return def, nil
	}
	return strconv.ParseInt(text, 10, 64)
}

func answer(w http.ResponseWriter, what string, value any) {
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
