package publicapi

import (
	"context"
	"encoding/base64"
	"strconv"
	"strings"

	"github.com/veranda-go/veranda/backend/listings"
	"github.com/veranda-go/veranda/backend/users"
	"github.com/veranda-go/veranda/internal/apierror"
)

// Node is a *listings.Listing or a *users.User.
type Node any

// ListingNodeID returns the id of a listing among all objects.
func ListingNodeID(l *listings.Listing) string { return opaqueID("Listing:", l.ID) }

// UserNodeID returns the id of a user among all objects.
func UserNodeID(u *users.User) string { return opaqueID("User:", u.ID) }

// opaqueID encodes an id, so that clients do not depend on its form.
func opaqueID(prefix string, id int64) string {
	return base64.RawURLEncoding.EncodeToString(strconv.AppendInt([]byte(prefix), id, 10))
}

// parseOpaqueID returns the id in what opaqueID made.
func parseOpaqueID(prefix, text string) (id int64, ok bool) {
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return 0, false
	}
	number, ok := strings.CutPrefix(string(raw), prefix)
	if id, err = strconv.ParseInt(number, 10, 64); !ok || err != nil {
		return 0, false
	}
	return id, opaqueID(prefix, id) == text // an id has one encoding
}

// Node returns an object by its id among all objects, nil if there is none.
func (a *API) Node(ctx context.Context, text string) (Node, error) {
	if id, ok := parseOpaqueID("Listing:", text); ok && id > 0 {
		return nodeOf(a.Listing(ctx, id))
	}
	if id, ok := parseOpaqueID("User:", text); ok && id > 0 {
		return nodeOf(a.User(ctx, id))
	}
	return nil, apierror.Invalidf("id", "is not a nodeId of this server")
}

// nodeOf makes a nil pointer a nil Node.
func nodeOf[T any](object *T, err error) (Node, error) {
	if object == nil {
		return nil, err
	}
	return object, err
}
