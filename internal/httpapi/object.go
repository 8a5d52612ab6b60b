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

// maxNesting bounds the depth of lists and objects in a JSON object.
const maxNesting = 32

// Object parses text that is one JSON object, nested at most 32 deep, with
// numbers as json.Number so that they stay exact. Like JSON it refuses repeated
// names, invalid UTF-8, lone surrogates and text after the object. what is the
// field of its errors, such as "body"; an error inside a member of the object has
// the member's name in its place.
func Object(text []byte, what string) (map[string]any, error) {
	// Repeated names are found below, so that the error can name them.
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
		return nil, apierror.Invalidf(what, "%s", objectMessage(err))
	}
	object, ok := v.(map[string]any)
	if !ok {
		return nil, apierror.Invalidf(what, "must be a JSON object")
	}
	return object, nil
}

// Errors of Object, which are messages of field errors.
var (
	errNested   = fmt.Errorf("must not be nested deeper than %d", maxNesting)
	errTwice    = errors.New("given more than once")
	errTwiceIn  = errors.New("a name is given more than once")
	errMoreText = errors.New("more text after the JSON object")
)

// objectMessage returns a message for err without the decoder's own text, which
// quotes the input.
func objectMessage(err error) string {
	for _, known := range []error{errNested, errTwice, errTwiceIn, errMoreText} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return "malformed JSON: it ends too early"
	}
	return "malformed JSON, or not valid UTF-8"
}

type objectReader struct {
	*jsontext.Decoder
	member string // the member of the outermost object that is being read
}

// value reads the next value, which is inside depth lists and objects.
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

// object reads the members of an object and its closing brace.
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
