package transport

import (
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/99designs/gqlgen/graphql"

	"github.com/veranda-go/veranda/graph/prepare"
	"github.com/veranda-go/veranda/internal/httpapi"
)

// writeError writes the response to a request that did not become an
// operation. It has no data: nothing ran.
func writeError(w http.ResponseWriter, media string, refused *prepare.RequestError) {
	status := refused.Status
	if !refused.Malformed && media == mediaJSON {
		status = http.StatusOK
	}
	w.Header().Set("Cache-Control", "no-store")
	httpapi.WriteAs(w, status, media+charsetSuffix, func(b []byte) []byte {
		return appendResponse(b, &graphql.Response{Errors: refused.Errors})
	})
}

// appendResponse appends a response, with its data as they are: they are JSON
// already and the largest part. Errors come first, where people see them.
func appendResponse(b []byte, resp *graphql.Response) []byte {
	start := len(b)
	if len(resp.Errors) > 0 {
		b = appendJSON(append(b, `,"errors":`...), resp.Errors)
	}
	if resp.Data != nil {
		b = append(append(b, `,"data":`...), resp.Data...)
	}
	if len(resp.Extensions) > 0 {
		b = appendJSON(append(b, `,"extensions":`...), resp.Extensions)
	}
	if len(b) == start {
		return append(b, `{"data":null}`...)
	}
	b[start] = '{'
	return append(b, '}')
}

func appendJSON(b []byte, v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		// Errors and extensions are made of plain values, none of them a client's.
		panic(fmt.Errorf("response: %w", err))
	}
	return append(b, text...)
}
