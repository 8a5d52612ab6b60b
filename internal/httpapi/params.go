package httpapi

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/veranda-go/veranda/internal/apierror"
	"github.com/veranda-go/veranda/internal/pagination"
)

// MaxBody is the largest request body in bytes, of every service.
const MaxBody = 64 << 10

// Params are a request's parameters, from the query string, a form or a JSON
// object. Its getters return the value or remember what is wrong; Err then
// gives every problem at once.
type Params struct {
	values   map[string][]value
	problems []apierror.FieldError
}

// value is one parameter as it came: text, or a JSON value of some kind.
type value struct {
	text string
	kind jsontext.Kind // '"' string, '0' number, others as in jsontext; 0 is query or form text
}

// Query reads the URL's query string, strictly: net/url would drop what it
// cannot read.
func Query(r *http.Request) (*Params, error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, apierror.New(apierror.Invalid, "query string: malformed")
	}
	return textParams(values), nil
}

// Form reads a body of application/x-www-form-urlencoded.
func Form(w http.ResponseWriter, r *http.Request) (*Params, error) {
	body, err := ReadBody(w, r, "application/x-www-form-urlencoded")
	if err != nil {
		return nil, err
	}
	values, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, apierror.New(apierror.Invalid, "form: malformed")
	}
	return textParams(values), nil
}

func textParams(values url.Values) *Params {
	p := &Params{values: make(map[string][]value, len(values))}
	for name, texts := range values {
		for _, t := range texts {
			p.values[name] = append(p.values[name], value{text: t})
		}
	}
	return p
}

// JSON reads a body that is one flat JSON object whose members are all named
// in known. encoding/json would take the last of two equal names, match names
// without case and replace bad UTF-8; this refuses all three.
func JSON(w http.ResponseWriter, r *http.Request, known ...string) (*Params, error) {
	body, err := ReadBody(w, r, "application/json")
	if err != nil {
		return nil, err
	}
	p := &Params{values: map[string][]value{}}
	// Repeated names are kept, so that the getter's refusal names the parameter.
	d := jsontext.NewDecoder(bytes.NewReader(body), jsontext.AllowDuplicateNames(true))
	if tok, err := d.ReadToken(); err != nil {
		return nil, errMalformed
	} else if tok.Kind() != '{' {
		return nil, apierror.New(apierror.Invalid, "body: must be a JSON object")
	}
	for d.PeekKind() != '}' {
		tok, err := d.ReadToken()
		if err != nil {
			return nil, errMalformed
		}
		name := tok.String()
		tok, err = d.ReadToken()
		if err != nil {
			return nil, apierror.Invalidf(quoteParam(name), "must be valid JSON in valid UTF-8")
		}
		p.values[name] = append(p.values[name], value{tok.String(), tok.Kind()})
		if k := tok.Kind(); k == '{' || k == '[' {
			// What is inside is not looked at, so its depth costs nothing.
			return nil, apierror.Invalidf(quoteParam(name), "must be a plain value")
		}
	}
	if _, err := d.ReadToken(); err != nil {
		return nil, errMalformed
	}
	if _, err := d.ReadToken(); !errors.Is(err, io.EOF) {
		return nil, apierror.New(apierror.Invalid, "body: more text after the JSON object")
	}
next:
	for name := range p.values {
		for _, k := range known {
			if name == k {
				continue next
			}
		}
		p.Problem(quoteParam(name), "unknown parameter")
	}
	return p, nil
}

var errMalformed = apierror.New(apierror.Invalid, "body: malformed JSON")

// quoteParam makes a caller's own parameter name fit for a sentence.
func quoteParam(name string) string {
	if len(name) > 40 {
		name = name[:40] + "…"
	}
	if name == "" || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == ':' || r == '\u007f' }) {
		return strconv.Quote(name)
	}
	return strings.ToValidUTF8(name, "\ufffd")
}

// ReadBody reads at most MaxBody bytes of the one content type that the route
// takes. Faults: MediaType, TooLarge, Invalid.
func ReadBody(w http.ResponseWriter, r *http.Request, contentType string) ([]byte, error) {
	if !isMedia(r.Header.Get("Content-Type"), contentType) {
		return nil, apierror.New(apierror.MediaType, "content type: must be "+contentType)
	}
	// Room for a body of the length that was announced, which may be a lie.
	body := bytes.NewBuffer(make([]byte, 0, min(max(r.ContentLength, 0), MaxBody)+bytes.MinRead))
	_, err := body.ReadFrom(http.MaxBytesReader(w, r.Body, MaxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, apierror.New(apierror.TooLarge, "body: must be at most "+strconv.Itoa(MaxBody)+" bytes")
	case err != nil:
		return nil, apierror.Wrap(apierror.Invalid, "body: could not be read whole", err)
	}
	return body.Bytes(), nil
}

// isMedia tells whether a Content-Type is the wanted one, in UTF-8.
func isMedia(header, want string) bool {
	if header == want {
		return true
	}
	got, args, err := mime.ParseMediaType(header)
	charset, ok := args["charset"]
	return err == nil && got == want && (!ok || strings.EqualFold(charset, "utf-8"))
}

// Problem adds a broken rule.
func (p *Params) Problem(param, text string) {
	p.problems = append(p.problems, apierror.FieldError{Field: param, Message: text})
}

// Has tells whether the parameter was given at all.
func (p *Params) Has(name string) bool { return len(p.values[name]) > 0 }

// one gives the only value of a parameter; a second one is a problem.
func (p *Params) one(name string) (value, bool) {
	switch all := p.values[name]; len(all) {
	case 0:
		return value{}, false
	case 1:
		return all[0], true
	default:
		p.Problem(name, "given more than once")
		return value{}, false
	}
}

// Int reads an optional whole number of at least 1; def when it is absent.
func (p *Params) Int(name string, def int64) int64 {
	v, ok := p.one(name)
	if !ok {
		return def
	}
	return p.positive(name, v)
}

// IntOrZero reads an optional whole number of at least 0; def when it is
// absent.
func (p *Params) IntOrZero(name string, def int64) int64 {
	v, ok := p.one(name)
	if !ok {
		return def
	}
	return p.atLeast(0, name, v)
}

// RequiredInt reads a whole number of at least 1 that must be there.
func (p *Params) RequiredInt(name string) int64 {
	if !p.Has(name) {
		p.Problem(name, "required")
		return 0
	}
	return p.Int(name, 0)
}

// Ints reads a parameter that may be repeated, each a whole number of at
// least 1. At least one and at most limit values must be there.
func (p *Params) Ints(name string, limit int) []int64 {
	all := p.values[name]
	switch {
	case len(all) == 0:
		p.Problem(name, "required")
	case len(all) > limit:
		p.Problem(name, "at most "+strconv.Itoa(limit)+" values")
		return nil
	}
	out := make([]int64, 0, len(all))
	for _, v := range all {
		n := p.positive(name, v)
		if n == 0 {
			return nil
		}
		out = append(out, n)
	}
	return out
}

func (p *Params) positive(name string, v value) int64 { return p.atLeast(1, name, v) }

func (p *Params) atLeast(least int64, name string, v value) int64 {
	if v.kind != 0 && v.kind != '0' {
		p.Problem(name, "must be a whole number")
		return 0
	}
	n, err := ParseInt(v.text)
	switch {
	case err != nil:
		p.Problem(name, err.Error())
		return 0
	case n < least:
		p.Problem(name, "must be at least "+strconv.FormatInt(least, 10))
		return 0
	}
	return n
}

// Errors of ParseInt, fit for a sentence after the parameter's name.
var (
	errNotWhole = errors.New("must be a whole number")
	errTooBig   = errors.New("must fit in 64 bits")
)

// ParseInt reads a whole number in base 10 with an optional minus sign:
// no plus sign, point, exponent, space or underscore.
func ParseInt(text string) (int64, error) {
	for i, c := range []byte(text) {
		if (c < '0' || c > '9') && !(c == '-' && i == 0) {
			return 0, errNotWhole
		}
	}
	n, err := strconv.ParseInt(text, 10, 64)
	switch {
	case errors.Is(err, strconv.ErrRange):
		return 0, errTooBig
	case err != nil:
		return 0, errNotWhole
	}
	return n, nil
}

// RequiredText reads a text that must be there; its rules are the caller's.
func (p *Params) RequiredText(name string) string {
	if !p.Has(name) {
		p.Problem(name, "required")
		return ""
	}
	text, _ := p.Text(name)
	return text
}

// Text reads an optional text; its rules are the caller's. ok is false when
// there is none, or one that is a problem already.
func (p *Params) Text(name string) (text string, ok bool) {
	v, ok := p.one(name)
	if ok && v.kind != 0 && v.kind != '"' {
		p.Problem(name, "must be a string")
		return "", false
	}
	return v.text, ok
}

// Page reads page_num and page_size.
func (p *Params) Page(maxSize int64) pagination.Page {
	out := pagination.Page{Num: p.Int("page_num", 1), Size: p.Int("page_size", pagination.DefaultSize)}
	p.Check(out.Validate(maxSize))
	return out
}

// Check adds problems of rules that live elsewhere, except for parameters
// that already have one: a missing value need not also be called too small.
func (p *Params) Check(problems []apierror.FieldError) {
next:
	for _, add := range problems {
		for _, have := range p.problems {
			if have.Field == add.Field {
				continue next
			}
		}
		p.problems = append(p.problems, add)
	}
}

// Err is an Invalid fault of all problems so far, nil if there are none.
func (p *Params) Err() error { return apierror.FromFields(p.problems) }

// PathID reads the {id} of a route.
func PathID(text string) (int64, error) {
	p := &Params{}
	id := p.positive("id", value{text: text})
	return id, p.Err()
}
