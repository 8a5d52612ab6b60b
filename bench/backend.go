package bench

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Routes of the backends for the load command. Their calls are not counted.
const (
	// CallsPath responds with the number of calls since the start.
	CallsPath = "/_calls"
	// ResetPath removes the created rows.
	ResetPath = "/_reset"
	// DelayPath?us=N delays all further responses by N microseconds.
	DelayPath = "/_delay"
)

// response is a response of a backend.
type response struct {
	status int
	body   []byte
}

func refuse(status int, message string) response {
	return response{status, []byte(`{"result":false,"errors":["` + message + `"]}`)}
}

// Respond serves the documented routes and the batch routes of both services.
// It appends the body to buf.
func (d *Data) Respond(buf []byte, method, target string, form []byte) (status int, contentType string, body []byte) {
	path, query, _ := strings.Cut(target, "?")
	contentType = "application/json"
	switch path {
	case "/listings/ping", "/users/ping":
		return 200, "text/plain", append(buf, "pong!"...)
	case "/livez", "/readyz":
		return 200, contentType, append(buf, `{"result":true}`...)
	case CallsPath:
		return 200, contentType, strconv.AppendInt(buf, d.calls.Load(), 10)
	case ResetPath:
		d.mu.Lock()
		d.reset()
		d.mu.Unlock()
		return 200, contentType, append(buf, `{"result":true}`...)
	}
	d.calls.Add(1)
	var r response
	switch {
	case method == "POST" && path == "/listings":
		r = d.createListing(form)
	case method == "POST" && path == "/users":
		r = d.createUser(form)
	case method != "GET":
		r = refuse(405, "method not allowed")
	default:
		r = d.read(buf, path, query)
	}
	return r.status, contentType, r.body
}

func (d *Data) read(buf []byte, path, query string) response {
	q, ok := parseQuery(query)
	if !ok {
		return refuse(400, "malformed query")
	}
	d.mu.RLock()
	defer d.mu.RUnlock()
	switch path {
	case "/listings":
		if q.userID != 0 {
			of := d.byUser[q.userID]
			from, to := window(len(of), q.num, q.size)
			b := append(buf, `{"result":true,"listings":[`...)
			for i := from - 1; i >= to; i-- {
				b = append(append(b, d.listingJSON[of[i]]...), ',')
			}
			return response{200, closeList(b)}
		}
		return response{200, page(append(buf, `{"result":true,"listings":[`...), d.listingJSON, q)}
	case "/listings/batch":
		b := append(buf, `{"result":true,"listings":[`...)
		for _, id := range q.ids {
			of := d.byUser[id]
			for i := len(of) - 1; i >= max(len(of)-q.size, 0); i-- {
				b = append(append(b, d.listingJSON[of[i]]...), ',')
			}
		}
		return response{200, closeList(b)}
	case "/users":
		return response{200, page(append(buf, `{"result":true,"users":[`...), d.userJSON, q)}
	case "/users/batch":
		if len(q.ids) > 1000 {
			return refuse(400, "id: at most 1000")
		}
		b := append(buf, `{"result":true,"users":[`...)
		for _, id := range q.ids {
			if id <= int64(len(d.userJSON)) {
				b = append(append(b, d.userJSON[id-1]...), ',')
			}
		}
		return response{200, closeList(b)}
	}
	if id, ok := strings.CutPrefix(path, "/users/"); ok {
		return one(append(buf, `{"result":true,"user":`...), d.userJSON, id)
	}
	if id, ok := strings.CutPrefix(path, "/listings/"); ok {
		return one(append(buf, `{"result":true,"listing":`...), d.listingJSON, id)
	}
	return refuse(404, "no such route")
}

func page(b []byte, rows [][]byte, q query) []byte {
	from, to := window(len(rows), q.num, q.size)
	for i := from - 1; i >= to; i-- {
		b = append(append(b, rows[i]...), ',')
	}
	return closeList(b)
}

func closeList(b []byte) []byte {
	return append(bytes.TrimSuffix(b, []byte{','}), "]}"...)
}

func one(b []byte, rows [][]byte, id string) response {
	n, err := strconv.ParseInt(id, 10, 64)
	switch {
	case err != nil || n < 1:
		return refuse(400, "id: must be a whole number of at least 1")
	case n > int64(len(rows)):
		return refuse(404, "id: no such thing")
	}
	return response{200, append(append(b, rows[n-1]...), '}')}
}

// query has the parameters of a read.
type query struct {
	num, size int
	userID    int64 // the last user_id
	ids       []int64
}

// parseQuery parses the query without unescaping, which no parameter of a read
// needs. It ignores unknown parameters, as the documented system does.
func parseQuery(s string) (query, bool) {
	q := query{num: 1, size: 10}
	if n := strings.Count(s, "id="); n > 1 {
		q.ids = make([]int64, 0, n)
	}
	for s != "" {
		var pair string
		pair, s, _ = strings.Cut(s, "&")
		name, value, _ := strings.Cut(pair, "=")
		if name != "page_num" && name != "page_size" && name != "user_id" && name != "id" {
			continue
		}
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil || n < 1 {
			return q, false
		}
		switch name {
		case "page_num":
			q.num = int(n)
		case "page_size":
			q.size = int(n)
			if n > 100 {
				return q, false
			}
		case "user_id":
			q.userID = n
			q.ids = append(q.ids, n)
		case "id":
			q.ids = append(q.ids, n)
		}
	}
	return q, true
}

func (d *Data) createListing(form []byte) response {
	v, err := url.ParseQuery(string(form))
	userID, err1 := strconv.ParseInt(v.Get("user_id"), 10, 64)
	price, err2 := strconv.ParseInt(v.Get("price"), 10, 64)
	kind := v.Get("listing_type")
	if err != nil || err1 != nil || err2 != nil || userID < 1 || price < 1 || kind != "rent" && kind != "sale" {
		return refuse(400, "user_id, listing_type, price: required")
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now().UnixMicro()
	row := d.addListing(Listing{ID: int64(len(d.listings)) + 1, UserID: userID, Type: kind, Price: price, CreatedAt: now, UpdatedAt: now})
	return response{200, fmt.Appendf(nil, `{"result":true,"listing":%s}`, row)}
}

func (d *Data) createUser(form []byte) response {
	v, err := url.ParseQuery(string(form))
	if err != nil || v.Get("name") == "" {
		return refuse(400, "name: required")
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now().UnixMicro()
	row := d.addUser(User{ID: int64(len(d.users)) + 1, Name: v.Get("name"), CreatedAt: now, UpdatedAt: now})
	return response{200, fmt.Appendf(nil, `{"result":true,"user":%s}`, row)}
}

// RoundTrip responds within the process, for benchmarks without a network.
func (d *Data) RoundTrip(r *http.Request) (*http.Response, error) {
	var form []byte
	if r.Body != nil {
		form, _ = io.ReadAll(r.Body)
		r.Body.Close()
	}
	buf := roundTripBuffers.Get().(*[]byte)
	status, contentType, whole := d.Respond((*buf)[:0], r.Method, r.URL.RequestURI(), form)
	body := bytes.Clone(whole) // one allocation of the right size, as from a network
	*buf = whole
	roundTripBuffers.Put(buf)
	return &http.Response{
		StatusCode: status, ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header:        http.Header{"Content-Type": {contentType}},
		ContentLength: int64(len(body)), Body: io.NopCloser(bytes.NewReader(body)),
	}, nil
}

var roundTripBuffers = sync.Pool{New: func() any { return new([]byte) }}

var _ http.RoundTripper = (*Data)(nil)
