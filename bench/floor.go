package bench

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// Floor answers the workloads' questions as code by hand would: it knows the
// questions by their text, makes the two calls, and reads and writes JSON of
// these shapes and no other. What it costs is net/http and little else.
type Floor struct {
	listings, users string // where the services are
	client          *http.Client
}

// NewFloor is a floor in front of two services.
func NewFloor(listings, users string, transport http.RoundTripper) *Floor {
	return &Floor{listings, users, &http.Client{Transport: transport}}
}

// ServeHTTP answers both doors.
func (f *Floor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q, err := recognise(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	buf := floorBuffers.Get().(*[]byte)
	defer floorBuffers.Put(buf)
	b := (*buf)[:0]
	if q.size == 0 {
		b = append(b, `{"data":{"__typename":"Query"}}`...)
	} else if b, err = f.answer(r, b, q); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	*buf = b
	w.Header()["Content-Type"] = jsonType
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	_, _ = w.Write(b)
}

var (
	jsonType     = []string{"application/json"}
	floorBuffers = sync.Pool{New: func() any { return new([]byte) }}
)

// question is what the floor understands of a request.
type question struct {
	page, size int
	user, rest bool
}

func recognise(r *http.Request) (question, error) {
	if r.URL.Path == "/public-api/listings" {
		v := r.URL.Query()
		page, err := strconv.Atoi(v.Get("page_num"))
		size, err2 := strconv.Atoi(v.Get("page_size"))
		return question{page: page, size: size, user: true, rest: true}, errors.Join(err, err2)
	}
	var body struct {
		Query     string
		Variables struct{ N, S int }
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		return question{}, err
	}
	switch body.Query {
	case Workloads[0].Query:
		return question{page: 1, size: 100, user: true}, nil
	case Workloads[1].Query:
		return question{page: 1, size: 100}, nil
	case Workloads[2].Query:
		return question{}, nil
	case pagedQuery:
		return question{page: body.Variables.N, size: body.Variables.S, user: true}, nil
	}
	return question{}, errors.New("not one of the known questions")
}

func (f *Floor) answer(r *http.Request, b []byte, q question) ([]byte, error) {
	listings, err := f.get(r, f.listings+"/listings?page_num="+strconv.Itoa(q.page)+"&page_size="+strconv.Itoa(q.size))
	if err != nil {
		return nil, err
	}
	rows, err := readRows(listings, q.size)
	if err != nil {
		return nil, err
	}
	var users []row
	if q.user && len(rows) > 0 {
		url := append(make([]byte, 0, 64+12*len(rows)), f.users...)
		url = append(url, "/users/batch?"...)
		seen := make(map[int64]struct{}, len(rows))
		for i := range rows {
			id := number(rows[i].userID)
			if _, ok := seen[id]; !ok {
				seen[id] = struct{}{}
				url = append(append(append(url, "id="...), rows[i].userID...), '&')
			}
		}
		body, err := f.get(r, string(url[:len(url)-1]))
		if err != nil {
			return nil, err
		}
		if users, err = readRows(body, len(seen)); err != nil {
			return nil, err
		}
	}
	byID := make(map[int64]*row, len(users))
	for i := range users {
		byID[number(users[i].id)] = &users[i]
	}
	if q.rest {
		return appendREST(b, rows, byID), nil
	}
	return appendGraphQL(b, rows, byID, q.user), nil
}

func appendGraphQL(b []byte, rows []row, byID map[int64]*row, user bool) []byte {
	b = append(b, `{"data":{"listings":[`...)
	for i := range rows {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(append(b, `{"id":"`...), rows[i].id...)
		b = append(append(b, `","price":`...), rows[i].price...)
		if user {
			if u := byID[number(rows[i].userID)]; u == nil {
				b = append(b, `,"user":null`...)
			} else {
				b = append(append(b, `,"user":{"id":"`...), u.id...)
				b = append(append(b, `","name":`...), u.name...)
				b = append(b, '}')
			}
		}
		b = append(b, '}')
	}
	return append(b, "]}}"...)
}

func appendREST(b []byte, rows []row, byID map[int64]*row) []byte {
	b = append(b, `{"result":true,"listings":[`...)
	for i := range rows {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(append(b, `{"id":`...), rows[i].id...)
		b = append(append(b, `,"listing_type":`...), rows[i].kind...)
		b = append(append(b, `,"price":`...), rows[i].price...)
		b = append(append(b, `,"created_at":`...), rows[i].createdAt...)
		b = append(append(b, `,"updated_at":`...), rows[i].updatedAt...)
		if u := byID[number(rows[i].userID)]; u == nil {
			b = append(b, `,"user":null}`...)
		} else {
			b = append(append(b, `,"user":`...), u.all...)
			b = append(b, '}')
		}
	}
	return append(b, "]}"...)
}

func (f *Floor) get(r *http.Request, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(r.Context(), http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := f.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %d", resp.StatusCode)
	}
	if resp.ContentLength < 0 {
		return io.ReadAll(resp.Body)
	}
	body := make([]byte, resp.ContentLength)
	_, err = io.ReadFull(resp.Body, body)
	return body, err
}

// row is a listing or a user: its members as they stand in the JSON, strings
// with their quotes, so none is unquoted only to be quoted again.
type row struct {
	all, id, userID, kind, price, name, createdAt, updatedAt []byte
}

var errShape = errors.New("backend's answer not understood")

// readRows reads {"result":true,"…":[{…},…]}, whose objects have no members
// that are objects or lists.
func readRows(b []byte, n int) ([]row, error) {
	start := bytes.IndexByte(b, '[')
	if start < 0 || !bytes.HasPrefix(b, []byte(`{"result":true`)) {
		return nil, errShape
	}
	b = b[start+1:]
	rows := make([]row, 0, n)
	for len(b) > 0 && b[0] == '{' {
		var r row
		whole := b
		b = b[1:]
		for {
			name, rest := value(b)
			if len(rest) < 2 {
				return nil, errShape
			}
			v, rest := value(rest[1:])
			if len(rest) == 0 {
				return nil, errShape
			}
			switch string(name) {
			case `"id"`:
				r.id = v
			case `"user_id"`:
				r.userID = v
			case `"listing_type"`:
				r.kind = v
			case `"price"`:
				r.price = v
			case `"name"`:
				r.name = v
			case `"created_at"`:
				r.createdAt = v
			case `"updated_at"`:
				r.updatedAt = v
			}
			b = rest[1:]
			if rest[0] == '}' {
				break
			}
		}
		r.all = whole[:len(whole)-len(b)]
		rows = append(rows, r)
		if len(b) > 0 && b[0] == ',' {
			b = b[1:]
		}
	}
	return rows, nil
}

func number(digits []byte) (n int64) {
	for _, c := range digits {
		n = n*10 + int64(c-'0')
	}
	return n
}

// value splits a JSON string or number from what follows.
func value(b []byte) (v, rest []byte) {
	if len(b) == 0 {
		return nil, nil
	}
	if b[0] != '"' {
		for i, c := range b {
			if c == ',' || c == '}' || c == ':' {
				return b[:i], b[i:]
			}
		}
		return b, nil
	}
	for i := 1; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return b[:i+1], b[i+1:]
		}
	}
	return b, nil
}

// Constant answers the same bytes to everything: what net/http's server costs
// by itself.
func Constant(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	w.Header()["Content-Type"] = jsonType
	w.Header()["Content-Length"] = constantLength
	_, _ = io.WriteString(w, constant)
}

const constant = `{"data":{"__typename":"Query"}}`

var constantLength = []string{strconv.Itoa(len(constant))}

func decode(body []byte, v any) error {
	d := json.NewDecoder(strings.NewReader(string(body)))
	d.UseNumber()
	return d.Decode(v)
}
