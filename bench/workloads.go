package bench

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// Workload is a kind of load.
type Workload struct {
	Name string
	// About describes the request.
	About string
	// Query is a GraphQL document, "" for REST.
	Query string
	// Pages is the number of pages of which each request picks one at random, 0
	// if all requests are the same.
	Pages int
	// Size is the number of rows on a page.
	Size int
	// User is true if the rows' users are requested too.
	User        bool
	Connections int
	// DelayUS is the delay of the backends' responses, in microseconds.
	DelayUS int
}

// Workloads are all workloads. In W1 to W3 all requests are the same, in W4 to
// W6 hardly any two are.
var Workloads = []Workload{
	{Name: "W1", About: "100 rows with their users, all requests the same", Query: "{listings(pageNum:1,pageSize:100){id price user{id name}}}",
		Size: 100, User: true, Connections: 100},
	{Name: "W2", About: "100 rows without users, all requests the same", Query: "{listings(pageNum:1,pageSize:100){id price}}",
		Size: 100, Connections: 100},
	{Name: "W3", About: "{__typename}", Query: "{__typename}", Connections: 100},
	{Name: "W4", About: "20 rows with their users, a random page", Query: pagedQuery,
		Pages: 4000, Size: 20, User: true, Connections: 100},
	{Name: "W5", About: "GET /public-api/listings, 20 rows, a random page",
		Pages: 4000, Size: 20, User: true, Connections: 100},
	{Name: "W6", About: "W4 with backends that take 5 ms", Query: pagedQuery,
		Pages: 4000, Size: 20, User: true, Connections: 400, DelayUS: 5000},
}

const pagedQuery = "query($n:Int!,$s:Int!){listings(pageNum:$n,pageSize:$s){id price user{id name}}}"

// Request returns the method, path and body of the request for a page.
func (w *Workload) Request(page int) (method, path, body string) {
	if w.Query == "" {
		return "GET", fmt.Sprintf("/public-api/listings?page_num=%d&page_size=%d", page, w.Size), ""
	}
	b, _ := json.Marshal(w.Query)
	if w.Pages == 0 {
		return "POST", "/graphql", `{"query":` + string(b) + `}`
	}
	return "POST", "/graphql", fmt.Sprintf(`{"query":%s,"variables":{"n":%d,"s":%d}}`, b, page, w.Size)
}

// Check compares a response in full with the rows. Ids may be numbers or strings
// (a GraphQL server may choose), and members may come in any order.
func (w *Workload) Check(d *Data, page int, body []byte) error {
	var got any
	if err := decode(body, &got); err != nil {
		return err
	}
	want := w.want(d, page)
	if d := difference("", got, want); d != "" {
		return fmt.Errorf("page %d: %s", page, d)
	}
	return nil
}

func (w *Workload) want(d *Data, page int) any {
	if w.Size == 0 {
		return map[string]any{"data": map[string]any{"__typename": "Query"}}
	}
	rows := []any{}
	for _, l := range d.Page(max(page, 1), w.Size) {
		row := map[string]any{"id": l.ID, "price": l.Price}
		if w.Query == "" {
			row["listing_type"], row["created_at"], row["updated_at"] = l.Type, l.CreatedAt, l.UpdatedAt
		}
		if w.User {
			u := d.User(l.UserID)
			user := map[string]any{"id": u.ID, "name": u.Name}
			if w.Query == "" {
				user["created_at"], user["updated_at"] = u.CreatedAt, u.UpdatedAt
			}
			row["user"] = user
		}
		rows = append(rows, row)
	}
	if w.Query == "" {
		return map[string]any{"result": true, "listings": rows}
	}
	return map[string]any{"data": map[string]any{"listings": rows}}
}

// difference describes the first place where decoded JSON differs from the
// wanted values. It returns "" if they are equal.
func difference(at string, got, want any) string {
	switch want := want.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok {
			break
		}
		for _, name := range slices.Sorted(maps.Keys(want)) {
			member, there := g[name]
			if text, isText := member.(string); isText && name == "id" {
				member = json.Number(text)
			}
			if !there {
				return fmt.Sprintf("%s.%s is missing in %.200s", at, name, mustJSON(got))
			}
			if d := difference(at+"."+name, member, want[name]); d != "" {
				return d
			}
		}
		if len(g) != len(want) {
			return fmt.Sprintf("%s has more members than requested: %.200s", at, mustJSON(got))
		}
		return ""
	case []any:
		g, ok := got.([]any)
		if !ok {
			break
		}
		for i := range min(len(g), len(want)) {
			if d := difference(fmt.Sprintf("%s[%d]", at, i), g[i], want[i]); d != "" {
				return d
			}
		}
		if len(g) != len(want) {
			return fmt.Sprintf("%s has %d rows, want %d", at, len(g), len(want))
		}
		return ""
	case int64:
		if n, ok := got.(json.Number); ok && n.String() == strconv.FormatInt(want, 10) {
			return ""
		}
	default:
		if got == want {
			return ""
		}
	}
	return fmt.Sprintf("%s is %.200s, want %.200s", at, mustJSON(got), mustJSON(want))
}

func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}
