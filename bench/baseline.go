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

// Baseline serves the workloads with code written for them alone: it recognizes
// their queries by text, makes the two calls, and reads and writes JSON of just
// these shapes. Its cost is net/http's and little else.
type Baseline struct {
	listings, users string // URLs of the services
	client          *http.Client
}

// NewBaseline returns a baseline in front of two services, given their URLs.
func NewBaseline(listings, users string, transport http.RoundTripper) *Baseline {
	return &Baseline{listings, users, &http.Client{Transport: transport}}
}

// ServeHTTP serves GraphQL and REST.
func (s *Baseline) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q, err := parseRequest(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	buf := baselineBuffers.Get().(*[]byte)
	defer baselineBuffers.Put(buf)
	b := (*buf)[:0]
	if q.size == 0 {
		b = append(b, `{"data":{"__typename":"Query"}}`...)
	} else if b, err = s.respond(r, b, q); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	*buf = b
	w.Header()["Content-Type"] = jsonType
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	_, _ = w.Write(b)
}

var (
	jsonType        = []string{"application/json"}
	baselineBuffers = sync.Pool{New: func() any { return new([]byte) }}
)

// baselineRequest is a recognized request. A size of 0 is {__typename}.
type baselineRequest struct {
	page, size int
	user, rest bool
}

func parseRequest(r *http.Request) (baselineRequest, error) {
	if r.URL.Path == "/public-api/listings" {
		v := r.URL.Query()
		page, err := strconv.Atoi(v.Get("page_num"))
		size, err2 := strconv.Atoi(v.Get("page_size"))
		return baselineRequest{page: page, size: size, user: true, rest: true}, errors.Join(err, err2)
	}
	var body struct {
		Query     string
		Variables struct{ N, S int }
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		return baselineRequest{}, err
	}
	switch body.Query {
	case Workloads[0].Query:
		return baselineRequest{page: 1, size: 100, user: true}, nil
	case Workloads[1].Query:
		return baselineRequest{page: 1, size: 100}, nil
	case Workloads[2].Query:
		return baselineRequest{}, nil
	case pagedQuery:
		return baselineRequest{page: body.Variables.N, size: body.Variables.S, user: true}, nil
	}
	return baselineRequest{}, errors.New("unknown query")
}

func (s *Baseline) respond(r *http.Request, b []byte, q baselineRequest) ([]byte, error) {
	listings, err := s.get(r, s.listings+"/listings?page_num="+strconv.Itoa(q.page)+"&page_size="+strconv.Itoa(q.size))
	if err != nil {
		return nil, err
	}
	rows, err := readRows(listings, q.size)
	if err != nil {
		return nil, err
	}
	var users []row
	if q.user && len(rows) > 0 {
		url := append(make([]byte, 0, 64+12*len(rows)), s.users...)
		url = append(url, "/users/batch?"...)
		seen := make(map[int64]struct{}, len(rows))
		for i := range rows {
			id := number(rows[i].userID)
			if _, ok := seen[id]; !ok {
				seen[id] = struct{}{}
				url = append(append(append(url, "id="...), rows[i].userID...), '&')
			}
		}
		body, err := s.get(r, string(url[:len(url)-1]))
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

func (s *Baseline) get(r *http.Request, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(r.Context(), http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := s.client.Do(req)
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

// row is a listing or a user, its members as they are in the JSON, strings with
// their quotes.
type row struct {
	all, id, userID, kind, price, name, createdAt, updatedAt []byte
}

var errShape = errors.New("unexpected response of a backend")

// readRows parses {"result":true,"…":[{…},…]}, where no member of a row is an
// object or a list. It expects about n rows.
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

// value splits b after its first JSON string or number.
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

// Constant responds with the same bytes to every request: the cost of net/http's
// server alone.
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
