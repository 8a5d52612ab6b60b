package httpapi

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/veranda-go/veranda/internal/apierror"
	"github.com/veranda-go/veranda/internal/pagination"
)

// MaxBody is the largest request body of every service, in bytes.
const MaxBody = 64 << 10

// Params are the parameters of a request. Each getter returns a value or records
// a field error; Err returns all field errors at once, or why the parameters
// could not be read.
type Params struct {
	values map[string][]value
	fields []apierror.FieldError
	err    error
}

// value is one parameter as it was sent.
type value struct {
	text string
	kind jsontext.Kind // 0 in a query string or a form, where every value is text
}

// Query reads the URL's query string. Unlike net/url it refuses what it cannot
// parse.
func Query(r *http.Request) *Params { return textParams(r.URL.RawQuery, "query string: malformed") }

// Form reads a body of application/x-www-form-urlencoded.
func Form(w http.ResponseWriter, r *http.Request) *Params {
	body, err := ReadBody(w, r, "application/x-www-form-urlencoded")
	if err != nil {
		return &Params{err: err}
	}
	return textParams(string(body), "form: malformed")
}

func textParams(text, malformed string) *Params {
	parsed, err := url.ParseQuery(text)
	if err != nil {
		return &Params{err: apierror.New(apierror.Invalid, malformed)}
	}
	p := &Params{values: make(map[string][]value, len(parsed))}
	for name, texts := range parsed {
		for _, t := range texts {
			p.values[name] = append(p.values[name], value{text: t})
		}
	}
	return p
}

// JSON reads a body that is one flat JSON object whose members are all in
// known. Unlike encoding/json it refuses repeated names, names that differ in
// case, and invalid UTF-8.
func JSON(w http.ResponseWriter, r *http.Request, known ...string) *Params {
	p := &Params{values: map[string][]value{}}
	var body []byte
	if body, p.err = ReadBody(w, r, MediaJSON); p.err == nil {
		p.err = p.readObject(body)
	}
	for name := range p.values {
		if !slices.Contains(known, name) {
			p.AddError(quoteParam(name), "unknown parameter")
		}
	}
	return p
}

var errMalformed = apierror.New(apierror.Invalid, "body: malformed JSON")

func (p *Params) readObject(body []byte) error {
	// Repeated names are kept, so that the getter's error names the parameter.
	d := jsontext.NewDecoder(bytes.NewReader(body), jsontext.AllowDuplicateNames(true))
	if tok, err := d.ReadToken(); err != nil {
		return errMalformed
	} else if tok.Kind() != '{' {
		return apierror.New(apierror.Invalid, "body: must be a JSON object")
	}
	for d.PeekKind() != '}' {
		tok, err := d.ReadToken()
		if err != nil {
			return errMalformed
		}
		name := tok.String()
		if tok, err = d.ReadToken(); err != nil {
			return apierror.Invalidf(quoteParam(name), "must be valid JSON in valid UTF-8")
		}
		if k := tok.Kind(); k == '{' || k == '[' {
			return apierror.Invalidf(quoteParam(name), "must be a plain value") // however deep it is
		}
		p.values[name] = append(p.values[name], value{tok.String(), tok.Kind()})
	}
	if _, err := d.ReadToken(); err != nil {
		return errMalformed
	}
	if _, err := d.ReadToken(); !errors.Is(err, io.EOF) {
		return apierror.New(apierror.Invalid, "body: more text after the JSON object")
	}
	return nil
}

// quoteParam returns a parameter name of the client's as a message shows it.
func quoteParam(name string) string {
	if len(name) > 40 {
		name = name[:40] + "…"
	}
	if name == "" || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == ':' || r == '\u007f' }) {
		return strconv.Quote(name)
	}
	return strings.ToValidUTF8(name, "\ufffd")
}

// ReadBody reads a body of at most MaxBody bytes in the content type that the
// route accepts. Its errors are MediaType, TooLarge and Invalid.
func ReadBody(w http.ResponseWriter, r *http.Request, contentType string) ([]byte, error) {
	if !isMedia(r.Header.Get("Content-Type"), contentType) {
		return nil, apierror.New(apierror.MediaType, "content type: must be "+contentType)
	}
	// Content-Length is a hint of the size and no more: it may be wrong.
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

// isMedia reports whether a Content-Type header is want, in UTF-8.
func isMedia(header, want string) bool {
	if header == want {
		return true
	}
	got, args, err := mime.ParseMediaType(header)
	charset, ok := args["charset"]
	return err == nil && got == want && (!ok || strings.EqualFold(charset, "utf-8"))
}

// AddError records a field error.
func (p *Params) AddError(param, message string) {
	p.fields = append(p.fields, apierror.FieldError{Field: param, Message: message})
}

// AddErrors records the field errors of a rule outside of this package. It leaves
// out those of parameters that have one: a missing value is not also too small.
func (p *Params) AddErrors(fields []apierror.FieldError) {
	for _, f := range fields {
		if !slices.ContainsFunc(p.fields, func(have apierror.FieldError) bool { return have.Field == f.Field }) {
			p.fields = append(p.fields, f)
		}
	}
}

// Err returns an Invalid error of all field errors, or the error of reading the
// parameters, or nil.
func (p *Params) Err() error {
	if p.err != nil {
		return p.err
	}
	return apierror.FromFields(p.fields)
}

// Has reports whether the parameter was sent.
func (p *Params) Has(name string) bool { return len(p.values[name]) > 0 }

// one returns the value of a parameter that must not be repeated. ok is false if
// the parameter is absent or repeated.
func (p *Params) one(name string) (v value, ok bool) {
	switch all := p.values[name]; len(all) {
	case 0:
		return value{}, false
	case 1:
		return all[0], true
	default:
		p.AddError(name, "given more than once")
		return value{}, false
	}
}

// Int reads an optional whole number of at least 1; it returns def if the number
// is absent.
func (p *Params) Int(name string, def int64) int64 { return p.atLeast(1, name, def) }

// IntOrZero is Int for a number of at least 0.
func (p *Params) IntOrZero(name string, def int64) int64 { return p.atLeast(0, name, def) }

func (p *Params) atLeast(least int64, name string, def int64) int64 {
	if v, ok := p.one(name); ok {
		return p.whole(least, name, v)
	}
	return def
}

// require records an error if the parameter is absent.
func (p *Params) require(name string) {
	if !p.Has(name) {
		p.AddError(name, "required")
	}
}

// RequiredInt reads a required whole number of at least 1.
func (p *Params) RequiredInt(name string) int64 {
	p.require(name)
	return p.Int(name, 0)
}

// Ints reads a parameter that may be repeated: 1 to limit whole numbers of at
// least 1.
func (p *Params) Ints(name string, limit int) []int64 {
	p.require(name)
	all := p.values[name]
	if len(all) > limit {
		p.AddError(name, "at most "+strconv.Itoa(limit)+" values")
		return nil
	}
	out := make([]int64, 0, len(all))
	for _, v := range all {
		n := p.whole(1, name, v)
		if n == 0 {
			return nil
		}
		out = append(out, n)
	}
	return out
}

// whole reads a whole number of at least least; it returns 0 after an error.
func (p *Params) whole(least int64, name string, v value) int64 {
	if v.kind != 0 && v.kind != '0' {
		p.AddError(name, errNotWhole.Error())
		return 0
	}
	n, err := ParseInt(v.text)
	if err == nil && n < least {
		err = errors.New("must be at least " + strconv.FormatInt(least, 10))
	}
	if err != nil {
		p.AddError(name, err.Error())
		return 0
	}
	return n
}

// Errors of ParseInt, which are messages of field errors.
var (
	errNotWhole = errors.New("must be a whole number")
	errTooBig   = errors.New("must fit in 64 bits")
)

// ParseInt parses a whole number in base 10 with an optional minus sign. It
// accepts no plus sign, point, exponent, space or underscore.
func ParseInt(text string) (int64, error) {
	for i, c := range []byte(text) {
		if (c < '0' || c > '9') && (c != '-' || i != 0) {
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

// RequiredText reads a required text.
func (p *Params) RequiredText(name string) string {
	p.require(name)
	text, _ := p.Text(name)
	return text
}

// Text reads an optional text. ok is false if it is absent, or has a field error
// already.
func (p *Params) Text(name string) (text string, ok bool) {
	v, ok := p.one(name)
	if ok && v.kind != 0 && v.kind != '"' {
		p.AddError(name, "must be a string")
		return "", false
	}
	return v.text, ok
}

// Page reads page_num and page_size. maxSize is in rows.
func (p *Params) Page(maxSize int64) pagination.Page {
	page := pagination.Page{Num: p.Int("page_num", 1), Size: p.Int("page_size", pagination.DefaultSize)}
	p.AddErrors(page.Validate(maxSize))
	return page
}

// PageSize reads page_size alone. maxSize is in rows.
func (p *Params) PageSize(maxSize int64) int64 {
	size := p.Int("page_size", pagination.DefaultSize)
	p.AddErrors(pagination.ValidateSize("page_size", size, maxSize))
	return size
}
