package plain

import (
	"fmt"
	"io"
	"strconv"

	"github.com/99designs/gqlgen/graphql"
)

// MarshalID writes an id as a string, as veranda does.
func MarshalID(id int64) graphql.Marshaler {
	return graphql.WriterFunc(func(w io.Writer) {
		_, _ = io.WriteString(w, strconv.Quote(strconv.FormatInt(id, 10)))
	})
}

// UnmarshalID parses an id.
func UnmarshalID(v any) (int64, error) { return strconv.ParseInt(fmt.Sprint(v), 10, 64) }
