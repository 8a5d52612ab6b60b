package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/veranda-go/veranda/internal/apierror"
)

// maxNesting bounds lists and objects inside each other in a JSON object.
const maxNesting = 32

// Object reads text that is one JSON object, however it is nested, with
// numbers as json.Number so that they stay exact. Like JSON it refuses
// repeated names, bad UTF-8, lone surrogates and further text. what is how its
// sentences call the text: "body". A problem inside a member is told with the
// member's name.
func Object(text []byte, what string) (map[string]any, error) {
	// Repeated names are looked for here, so that the refusal can say which.
	r := objectReader{Decoder: jsontext.NewDecoder(bytes.NewReader(text), jsontext.AllowDuplicateNames(true))}
	v, err := r.value(0)
	if err == nil {
		if _, more := r.ReadToken(); !errors.Is(more, io.EOF) {
			err = errMoreText
		}
	}
	if err != nil {
		if r.member != "" {
			what = quoteParam(r.member)
		}
		return nil, apierror.Invalidf(what, "%s", objectProblem(err))
	}
	object, ok := v.(map[string]any)
	if !ok {
		return nil, apierror.Invalidf(what, "must be a JSON object")
	}
	return object, nil
}

// Errors of Object, fit for a sentence.
var (
	errNested   = fmt.Errorf("must not be nested deeper than %d", maxNesting)
	errTwice    = errors.New("given more than once")
	errTwiceIn  = errors.New("a name is given more than once")
	errMoreText = errors.New("more text after the JSON object")
)

// objectProblem does not show the decoder's own text, which quotes the input.
func objectProblem(err error) string {
	for _, ours := range []error{errNested, errTwice, errTwiceIn, errMoreText} {
		if errors.Is(err, ours) {
			return ours.Error()
		}
	}
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return "malformed JSON: it ends too early"
	}
	return "malformed JSON, or not valid UTF-8"
}

type objectReader struct {
	*jsontext.Decoder
	member string // of the outermost object, being read
}

// value reads the next value, which is in depth lists and objects.
func (r *objectReader) value(depth int) (any, error) {
	tok, err := r.ReadToken()
	if err != nil {
		return nil, err
	}
	kind := tok.Kind()
	if (kind == '{' || kind == '[') && depth == maxNesting {
		return nil, errNested
	}
	switch kind {
	case '"':
		return tok.String(), nil
	case '0':
		return json.Number(tok.String()), nil
	case 't', 'f':
		return tok.Bool(), nil
	case '{':
		return r.object(depth + 1)
	case '[':
		list := []any{}
		for r.PeekKind() != ']' {
			v, err := r.value(depth + 1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err := r.ReadToken()
		return list, err
	}
	return nil, nil
}

// object reads members up to the closing brace.
func (r *objectReader) object(depth int) (map[string]any, error) {
	out := map[string]any{}
	for r.PeekKind() != '}' {
		name, err := r.ReadToken()
		if err != nil {
			return nil, err
		}
		key := name.String()
		if depth == 1 {
			r.member = key
		}
		if _, again := out[key]; again {
			if depth == 1 {
				return nil, errTwice
			}
			return nil, errTwiceIn
		}
		if out[key], err = r.value(depth); err != nil {
			return nil, err
		}
	}
	if depth == 1 {
		r.member = ""
	}
	_, err := r.ReadToken()
	return out, err
}
