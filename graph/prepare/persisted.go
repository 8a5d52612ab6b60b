package prepare

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/maypok86/otter/v2"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/veranda-go/veranda/graph/errcode"
	"github.com/veranda-go/veranda/internal/httpapi"
)

// persisted has the documents that clients may name instead of sending them.
// Learned documents are Apollo's automatic persisted queries: a client sends a
// hash, and the text once if the server does not know the hash; the cache
// forgets the least used. Trusted documents come from a manifest that was made
// when the clients were built.
type persisted struct {
	learned *otter.Cache[string, string] // text by hash
	trusted map[string]string
	only    bool // no other document runs
}

// hashPrefix begins a documentId that is a hash.
const hashPrefix = "sha256:"

// Trust reads a manifest of documents: Apollo's
// {"format":"apollo-persisted-query-manifest","version":1,"operations":[…]}
// or, as Relay and graphql-codegen write it, {"id":"text",…}. A request can
// name each document by its id or its hash. With only, no other document runs.
// The error of a document that is not valid for the schema names it. Call Trust
// before the first request.
func (p *Preparer) Trust(manifest []byte, only bool) error {
	manifest = bytes.TrimPrefix(manifest, []byte("\xef\xbb\xbf")) // byte order mark
	members, err := httpapi.Object(manifest, "manifest")
	if err != nil {
		return err
	}
	texts, err := manifestTexts(members)
	if err != nil {
		return err
	}
	trusted := make(map[string]string, 2*len(texts))
	for id, text := range texts {
		if _, errs := p.documents.get(text); errs != nil {
			return fmt.Errorf("document %q: %s", id, errs[0].Message)
		}
		trusted[id] = text
		trusted[hashOf(text)] = text
	}
	p.persisted.trusted, p.persisted.only = trusted, only
	return nil
}

// manifestTexts returns the texts of a manifest by their ids.
func manifestTexts(members map[string]any) (map[string]string, error) {
	texts := map[string]string{}
	if _, apollo := members["format"]; !apollo {
		for id, v := range members {
			text, ok := v.(string)
			if !ok {
				return nil, fmt.Errorf("document %q: must be a string", id)
			}
			texts[id] = text
		}
		return texts, nil
	}
	if members["format"] != "apollo-persisted-query-manifest" || members["version"] != json.Number("1") {
		return nil, fmt.Errorf("manifest: must be of version 1 of apollo-persisted-query-manifest, or an object of strings")
	}
	operations, ok := members["operations"].([]any)
	if !ok {
		return nil, fmt.Errorf("manifest: operations must be a list")
	}
	for i, v := range operations {
		op, _ := v.(map[string]any)
		id, _ := op["id"].(string)
		body, _ := op["body"].(string)
		if id == "" || body == "" {
			return nil, fmt.Errorf("manifest: operation %d needs an id and a body", i+1)
		}
		if _, again := texts[id]; again {
			return nil, fmt.Errorf("document %q: its id stands for two documents", id)
		}
		texts[id] = body
	}
	return texts, nil
}

func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// resolve returns the text of a request's document. learn is the hash under
// which the text is to be kept once it has proved valid, "" for none.
func (p *persisted) resolve(req *Request) (text, learn string, refused *RequestError) {
	hash, refused := apqHash(req)
	if refused != nil {
		return "", "", refused
	}
	name := req.DocumentID
	switch {
	case name != "" && (req.Query != "" || hash != ""):
		return "", "", Invalid("documentId", "must not be given together with a query or a hash")
	case name != "":
		name = strings.TrimPrefix(name, hashPrefix)
	case req.Query == "" && hash == "":
		return "", "", Invalid("query", "required")
	case req.Query == "":
		name = hash
	default:
		return p.sent(req.Query, hash)
	}
	text, ok := p.trusted[name]
	if !ok && !p.only {
		text, ok = p.learned.GetIfPresent(name)
	}
	switch {
	case ok:
		return text, "", nil
	case p.only:
		return "", "", errNotTrusted
	}
	return "", "", errNotPersisted
}

// sent is resolve for a request that has its document's text.
func (p *persisted) sent(text, hash string) (_, learn string, refused *RequestError) {
	if hash == "" && !p.only {
		return text, "", nil
	}
	sum := hashOf(text)
	if hash != "" && hash != sum {
		return "", "", Invalid("extensions.persistedQuery.sha256Hash", "is not the hash of the query")
	}
	if _, trusted := p.trusted[sum]; p.only && !trusted {
		return "", "", errNotTrusted
	}
	return text, hash, nil
}

var (
	errNotTrusted = &RequestError{http.StatusForbidden, false, gqlerror.List{
		errcode.Errorf(errcode.DocumentNotTrusted, "only trusted documents are run here"),
	}}
	// errNotPersisted has the message that clients look for.
	errNotPersisted = &RequestError{http.StatusBadRequest, false, gqlerror.List{
		errcode.Errorf(errcode.PersistedQueryNotFound, "PersistedQueryNotFound"),
	}}
)

// apqHash returns the hash in extensions.persistedQuery, "" if there is none.
func apqHash(req *Request) (string, *RequestError) {
	v := req.Extensions["persistedQuery"]
	if v == nil {
		return "", nil
	}
	ext, ok := v.(map[string]any)
	if !ok || ext["version"] != json.Number("1") {
		return "", Invalid("extensions.persistedQuery", "must be an object of version 1")
	}
	hash, _ := ext["sha256Hash"].(string)
	if raw, err := hex.DecodeString(hash); err != nil || len(raw) != sha256.Size {
		return "", Invalid("extensions.persistedQuery.sha256Hash", "must be 64 hexadecimal digits")
	}
	return strings.ToLower(hash), nil
}
