package transport

import (
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/veranda-go/veranda/graph/errcode"
	"github.com/veranda-go/veranda/graph/prepare"
	"github.com/veranda-go/veranda/internal/httpapi"
)

// readText returns the text of a request, a GET's query string or a POST's
// body.
func readText(w http.ResponseWriter, r *http.Request) (string, *prepare.RequestError) {
	if r.Method != http.MethodPost {
		return r.URL.RawQuery, nil
	}
	if coding := r.Header.Get("Content-Encoding"); coding != "" && !strings.EqualFold(coding, "identity") {
		return "", prepare.Malformed(http.StatusUnsupportedMediaType, errcode.BadMediaType, "content encoding: must be identity")
	}
	// Forms and plain text, which a page of another site may send without a
	// preflight request, are refused here.
	body, err := httpapi.ReadBody(w, r, mediaJSON)
	if err != nil {
		return "", prepare.MalformedBy(err)
	}
	return string(body), nil
}

// readBody reads a request from JSON. It ignores members that it does not
// know.
func readBody(body string) (*prepare.Request, *prepare.RequestError) {
	if strings.HasPrefix(strings.TrimLeft(body, " \t\r\n"), "[") {
		return nil, prepare.Invalid("body", "must be a JSON object; batches are not supported, since one document may have many fields")
	}
	members, err := httpapi.Object([]byte(body), "body")
	if err != nil {
		return nil, prepare.MalformedBy(err)
	}
	return readMembers(members)
}

// readMembers reads a request from the members of a JSON object.
func readMembers(members map[string]any) (*prepare.Request, *prepare.RequestError) {
	req := &prepare.Request{}
	for name, to := range map[string]*string{
		"query": &req.Query, "operationName": &req.OperationName, "documentId": &req.DocumentID,
	} {
		switch v := members[name].(type) {
		case nil:
		case string:
			*to = v
		default:
			return nil, prepare.Invalid(name, "must be a string")
		}
	}
	for name, to := range map[string]*map[string]any{"variables": &req.Variables, "extensions": &req.Extensions} {
		switch v := members[name].(type) {
		case nil:
		case map[string]any:
			*to = v
		default:
			return nil, prepare.Invalid(name, "must be an object")
		}
	}
	return req, nil
}

// readQuery reads a request from a query string, strictly: url.Values drops
// what it cannot read.
func readQuery(raw string) (*prepare.Request, *prepare.RequestError) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return nil, prepare.Invalid("query string", "malformed")
	}
	members := map[string]any{}
	for _, name := range []string{"query", "operationName", "documentId", "variables", "extensions"} {
		all, ok := values[name]
		switch {
		case !ok:
			continue
		case len(all) > 1:
			return nil, prepare.Invalid(name, "given more than once")
		case !utf8.ValidString(all[0]):
			return nil, prepare.Invalid(name, "must be valid UTF-8")
		}
		members[name] = all[0]
		if name == "variables" || name == "extensions" {
			if all[0] == "" || all[0] == "null" {
				delete(members, name)
				continue
			}
			object, err := httpapi.Object([]byte(all[0]), name)
			if err != nil {
				return nil, prepare.MalformedBy(err)
			}
			members[name] = object
		}
	}
	return readMembers(members)
}
