package httpapi

import (
	"errors"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/veranda-go/veranda/internal/apierror"
	"github.com/veranda-go/veranda/internal/pagination"
)

// wantError checks an error's kind and its messages.
func wantError(t *testing.T, what string, err error, kind apierror.Kind, messages ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: no error, want %q", what, messages)
		return
	}
	f := apierror.From(err)
	if got := f.Messages(); f.Kind != kind || !slices.Equal(got, messages) {
		t.Errorf("%s: kind %d, %q, want kind %d, %q", what, f.Kind, got, kind, messages)
	}
}

func TestParseInt(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{
		"0": 0, "7": 7, "-7": -7, "007": 7, "-0": 0,
		"9223372036854775807": math.MaxInt64, "-9223372036854775808": math.MinInt64,
	} {
		if got, err := ParseInt(text); err != nil || got != want {
			t.Errorf("%q: %d, %v, want %d", text, got, err, want)
		}
	}
	for text, want := range map[string]error{
		"": errNotWhole, "-": errNotWhole, "--1": errNotWhole, "1-": errNotWhole, "+1": errNotWhole, " 1": errNotWhole,
		"1 ": errNotWhole, "1.0": errNotWhole, "1e3": errNotWhole, "0x1": errNotWhole, "1_0": errNotWhole, "٥": errNotWhole,
		"\uff15": errNotWhole, "1\x00": errNotWhole, "NaN": errNotWhole, strings.Repeat("x", 1000): errNotWhole,
		"9223372036854775808": errTooBig, "-9223372036854775809": errTooBig, strings.Repeat("9", 1000): errTooBig,
	} {
		if got, err := ParseInt(text); !errors.Is(err, want) || got != 0 {
			t.Errorf("%q: %d, %v, want %v", text, got, err, want)
		}
	}
}

func TestQuery(t *testing.T) {
	t.Parallel()
	read := func(query string) *Params {
		return Query(&http.Request{URL: httptest.NewRequest("GET", "/?"+query, nil).URL})
	}
	p := read("user_id=5&id=3&id=1&id=3&page_num=2&other=x&other=y")
	if !p.Has("user_id") || p.Has("price") {
		t.Error("Has: want user_id and no price")
	}
	if got := p.RequiredInt("user_id"); got != 5 {
		t.Errorf("user_id %d, want 5", got)
	}
	if got := p.Int("price", 8); got != 8 {
		t.Errorf("price %d, want the default 8", got)
	}
	if got := p.Ints("id", 3); !slices.Equal(got, []int64{3, 1, 3}) {
		t.Errorf("ids %v, want all of them in their order", got)
	}
	if got := p.Page(100); got != (pagination.Page{Num: 2, Size: pagination.DefaultSize}) {
		t.Errorf("page %+v", got)
	}
	if err := p.Err(); err != nil {
		t.Errorf("a parameter that is not read is no error: %v", err)
	}

	// Every field error at once, one for each parameter.
	p = read("page_num=0&page_size=1000&user_id=x&price=1&price=1&id=1&id=2")
	p.Page(100)
	p.Int("user_id", 0)
	p.RequiredInt("price")
	p.RequiredInt("amount")
	p.Ints("id", 1)
	p.AddErrors([]apierror.FieldError{{Field: "price", Message: "must be at least 1"}, {Field: "name", Message: "must not be empty"}})
	wantError(t, "all at once", p.Err(), apierror.Invalid,
		"page_num: must be at least 1", "page_size: must be at most 100", "user_id: must be a whole number",
		"price: given more than once", "amount: required", "id: at most 1 values", "name: must not be empty")

	for _, query := range []string{"a=%zz", "a=%", "a=1;b=2", "%f=1", "a=%2"} {
		p := read(query)
		p.RequiredInt("price") // adds no field error
		wantError(t, query, p.Err(), apierror.Invalid, "query string: malformed")
	}
}

// post is a request with a body.
func post(contentType, body string) *http.Request {
	r := httptest.NewRequest("POST", "/", strings.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	return r
}

func TestForm(t *testing.T) {
	t.Parallel()
	const contentType = "application/x-www-form-urlencoded"
	p := Form(httptest.NewRecorder(), post(contentType, "name=a%26user_id%3D2&price=5&note=50%25+%2B"))
	name, note, price := p.RequiredText("name"), p.RequiredText("note"), p.RequiredInt("price")
	if name != "a&user_id=2" || note != "50% +" || price != 5 || p.Err() != nil {
		t.Errorf("name %q, note %q, price %d, %v", name, note, price, p.Err())
	}
	for _, body := range []string{"name=%zz", "name=a;b", "name=%"} {
		wantError(t, body, Form(httptest.NewRecorder(), post(contentType, body)).Err(), apierror.Invalid, "form: malformed")
	}
	wantError(t, "JSON", Form(httptest.NewRecorder(), post("application/json", "name=a")).Err(), apierror.MediaType, "content type: must be application/x-www-form-urlencoded")
	wantError(t, "large", Form(httptest.NewRecorder(), post(contentType, "a="+strings.Repeat("x", 64<<10-1))).Err(), apierror.TooLarge, "body: must be at most 65536 bytes")
	torn := post(contentType, "")
	torn.Body = io.NopCloser(io.MultiReader(strings.NewReader("name=a"), errReader{}))
	wantError(t, "torn", Form(httptest.NewRecorder(), torn).Err(), apierror.Invalid, "body: could not be read whole")
}

// errReader is a connection that breaks.
type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, errors.New("connection reset by 10.0.0.1") }

// readJSON reads a body the way a creation does.
func readJSON(body string) (userID int64, name string, err error) {
	p := JSON(httptest.NewRecorder(), post("application/json", body), "user_id", "name")
	userID, name = p.RequiredInt("user_id"), p.RequiredText("name")
	return userID, name, p.Err()
}

func TestJSON(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		body   string
		userID int64
		name   string
	}{
		{`{"user_id":1,"name":"a"}`, 1, "a"},
		{" \r\n\t{ \"name\" : \"a\" , \"user_id\" : 9223372036854775807 } \n", math.MaxInt64, "a"},
		{`{"user_id":1,"name":"\u540d\u524d \ud83c\udfe1 \"\\\/\b\f\n\r\t"}`, 1, "名前 🏡 \"\\/\b\f\n\r\t"},
		{`{"user_id":1,"name":"a&user_id=2 50% + tax 名前 🏡"}`, 1, "a&user_id=2 50% + tax 名前 🏡"},
		{`{"\u0075ser_id":1,"name":""}`, 1, ""},
	} {
		userID, name, err := readJSON(test.body)
		if err != nil || userID != test.userID || name != test.name {
			t.Errorf("%s: %d, %q, %v, want %d, %q", test.body, userID, name, err, test.userID, test.name)
		}
	}

	const (
		malformed = "body: malformed JSON"
		object    = "body: must be a JSON object"
		more      = "body: more text after the JSON object"
		whole     = "user_id: must be a whole number"
		text      = "name: must be a string"
		value     = "name: must be valid JSON in valid UTF-8"
		plain     = "name: must be a plain value"
	)
	for _, test := range []struct {
		body string
		want []string
	}{
		{"", []string{malformed}},
		{" ", []string{malformed}},
		{"{", []string{malformed}},
		{`{"user_id"`, []string{"user_id: must be valid JSON in valid UTF-8"}},
		{`{"user_id":1`, []string{malformed}},
		{`{"user_id":1,}`, []string{malformed}},
		{`{,}`, []string{malformed}},
		{`{'user_id':1}`, []string{malformed}},
		{`{user_id:1}`, []string{malformed}},
		{`user_id=1&name=a`, []string{malformed}},
		{"\ufeff" + `{"user_id":1,"name":"a"}`, []string{malformed}},
		{`{"user_id":1 "name":"a"}`, []string{malformed}},
		{`{"user_id":1,"name":"a"]`, []string{malformed}},
		{`{"user_id":1,"name":"a"} {}`, []string{more}},
		{`{"user_id":1,"name":"a"}x`, []string{more}},
		{`{"user_id":1,"name":"a"}}`, []string{more}},
		{`{"user_id":1,"name":"a"},`, []string{more}},
		{`{"user_id":1,"name":"a"}` + "\x00", []string{more}},
		{`[]`, []string{object}},
		{`[{"user_id":1,"name":"a"}]`, []string{object}},
		{`null`, []string{object}},
		{`"text"`, []string{object}},
		{`1`, []string{object}},
		{`true`, []string{object}},

		{`{}`, []string{"user_id: required", "name: required"}},
		{`{"user_id":"1","name":"a"}`, []string{whole}},
		{`{"user_id":true,"name":"a"}`, []string{whole}},
		{`{"user_id":null,"name":"a"}`, []string{whole}},
		{`{"user_id":1.5,"name":"a"}`, []string{whole}},
		{`{"user_id":1.0,"name":"a"}`, []string{whole}},
		{`{"user_id":1e3,"name":"a"}`, []string{whole}},
		{`{"user_id":1E+3,"name":"a"}`, []string{whole}},
		{`{"user_id":0,"name":"a"}`, []string{"user_id: must be at least 1"}},
		{`{"user_id":-0,"name":"a"}`, []string{"user_id: must be at least 1"}},
		{`{"user_id":-1,"name":"a"}`, []string{"user_id: must be at least 1"}},
		{`{"user_id":9223372036854775808,"name":"a"}`, []string{"user_id: must fit in 64 bits"}},
		{`{"user_id":1` + strings.Repeat("0", 1000) + `,"name":"a"}`, []string{"user_id: must fit in 64 bits"}},
		{`{"user_id":01,"name":"a"}`, []string{malformed}},
		{`{"user_id":+1,"name":"a"}`, []string{"user_id: must be valid JSON in valid UTF-8"}},
		{`{"user_id":NaN,"name":"a"}`, []string{"user_id: must be valid JSON in valid UTF-8"}},
		{`{"user_id":,"name":"a"}`, []string{"user_id: must be valid JSON in valid UTF-8"}},
		{`{"user_id":[1],"name":"a"}`, []string{"user_id: must be a plain value"}},
		{`{"user_id":1,"name":7}`, []string{text}},
		{`{"user_id":1,"name":false}`, []string{text}},
		{`{"user_id":1,"name":null}`, []string{text}},
		{`{"user_id":1,"name":{"first":"a"}}`, []string{plain}},
		{`{"user_id":"x","name":7}`, []string{whole, text}},

		// Half of a surrogate pair, and bytes that are no UTF-8, have no text.
		{`{"user_id":1,"name":"\ud83c"}`, []string{value}},
		{`{"user_id":1,"name":"\udfe1\ud83c"}`, []string{value}},
		{`{"user_id":1,"name":"a` + "\xff" + `"}`, []string{value}},
		{`{"user_id":1,"name":"` + "\xed\xa0\x80" + `"}`, []string{value}},
		{`{"user_id":1,"name":"line` + "\n" + `break"}`, []string{value}},
		{`{"user_id":1,"name":"open}`, []string{value}},
		{`{"user_id":1,"name":"\x41"}`, []string{value}},
		{"{\"user_id\xff\":1}", []string{malformed}},

		{`{"user_id":1,"user_id":1,"name":"a"}`, []string{"user_id: given more than once"}},
		{`{"user_id":1,"name":"a","n\u0061me":"b"}`, []string{"name: given more than once"}},
		{`{"user_id":1,"name":"a","Name":"b"}`, []string{"Name: unknown parameter"}},
		{`{"user_id":1,"name":"a","":"b"}`, []string{`"": unknown parameter`}},
		{`{"user_id":1,"name":"a","x: y\n":1}`, []string{`"x: y\n": unknown parameter`}},
		{`{"user_id":1,"name":"a","` + strings.Repeat("k", 5000) + `":1}`, []string{strings.Repeat("k", 40) + "…: unknown parameter"}},
		{`{"user_id":1,"name":"a","` + strings.Repeat("名", 40) + `":1}`, []string{strings.Repeat("名", 13) + "\ufffd…: unknown parameter"}},

		// Depth costs nothing, and is refused at the first level.
		{strings.Repeat("[", 60<<10), []string{object}},
		{`{"user_id":1,"name":` + strings.Repeat("[", 60<<10), []string{plain}},
		{strings.Repeat(`{"name":`, 7<<10), []string{plain}},
	} {
		_, _, err := readJSON(test.body)
		wantError(t, test.body[:min(len(test.body), 80)], err, apierror.Invalid, test.want...)
	}

	for _, contentType := range []string{"", "text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-16", "application/jsonp"} {
		wantError(t, contentType, JSON(httptest.NewRecorder(), post(contentType, "{}")).Err(), apierror.MediaType, "content type: must be application/json")
	}
	if err := JSON(httptest.NewRecorder(), post("Application/JSON;charset=UTF-8", "{}")).Err(); err != nil {
		t.Errorf("with a charset: %v", err)
	}
	large := JSON(httptest.NewRecorder(), post("application/json", `{"name":"`+strings.Repeat("x", 64<<10)+`"}`), "name")
	wantError(t, "large", large.Err(), apierror.TooLarge, "body: must be at most 65536 bytes")
}
