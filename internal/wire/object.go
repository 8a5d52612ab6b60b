package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/veranda-go/veranda/internal/fault"
)

// maxNesting bounds lists and objects inside each other in a JSON object.
const maxNesting = 32

// Object reads text that is one JSON object, however it is nested, with
// numbers as json.Number so that they stay exact. Like JSON it refuses
// repeated names, bad UTF-8, lone surrogates and further text. what is how its
// sentences call the text: "body". A problem inside a member is told with the
// member's name.
func Object(text []byte, what string) (map[string]any, error) {
	d := jsontext.NewDecoder(bytes.NewReader(text))
	if d.PeekKind() != '{' {
		if err := d.SkipValue(); err != nil {
			return nil, malformed(what, "", err)
		}
		return nil, fault.Input(what, "must be a JSON object")
	}
	_, _ = d.ReadToken()
	out := map[string]any{}
	for d.PeekKind() != '}' {
		name, err := d.ReadToken()
		if err != nil {
			return nil, malformed(what, "", err)
		}
		key := name.String()
		if out[key], err = readValue(d, 1); err != nil {
			return nil, malformed(what, key, err)
		}
	}
	if _, err := d.ReadToken(); err != nil {
		return nil, malformed(what, "", err)
	}
	if _, err := d.ReadToken(); !errors.Is(err, io.EOF) {
		return nil, fault.Input(what, "more text after the JSON object")
	}
	return out, nil
}

var errNested = fmt.Errorf("must not be nested deeper than %d", maxNesting)

// malformed does not show the decoder's own text, which quotes the input.
func malformed(what, member string, err error) error {
	if member != "" {
		what = quoteParam(member)
	}
	switch {
	case errors.Is(err, errNested):
		return fault.Input(what, "%s", errNested.Error())
	case errors.Is(err, jsontext.ErrDuplicateName):
		return fault.Input(what, "a name is given more than once")
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return fault.Input(what, "malformed JSON: it ends too early")
	}
	return fault.Input(what, "malformed JSON, or not valid UTF-8")
}

func readValue(d *jsontext.Decoder, depth int) (any, error) {
	tok, err := d.ReadToken()
	if err != nil {
		return nil, err
	}
	switch tok.Kind() {
	case '"':
		return tok.String(), nil
	case '0':
		return json.Number(tok.String()), nil
	case 't', 'f':
		return tok.Bool(), nil
	case '{':
		if depth == maxNesting {
			return nil, errNested
		}
		out := map[string]any{}
		for d.PeekKind() != '}' {
			name, err := d.ReadToken()
			if err != nil {
				return nil, err
			}
			key := name.String()
			if out[key], err = readValue(d, depth+1); err != nil {
				return nil, err
			}
		}
		_, err = d.ReadToken()
		return out, err
	case '[':
		if depth == maxNesting {
			return nil, errNested
		}
		out := []any{}
		for d.PeekKind() != ']' {
			v, err := readValue(d, depth+1)
			if err != nil {
				return nil, err
			}
			out = append(out, v)
		}
		_, err = d.ReadToken()
		return out, err
	}
	return nil, nil
}
