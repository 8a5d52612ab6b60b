package graph

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/veranda-go/veranda/internal/httpapi"
)

// Persisted documents are named instead of sent. Learned ones are Apollo's
// automatic persisted queries: a client sends a hash, and the text once if the
// hash is not known; every process forgets the least used. Trusted ones come
// from a manifest that was made when the clients were built.
type persisted struct {
	learned cache[string] // text by hash
	trusted map[string]string
	only    bool
}

// hashPrefix begins a documentId that is a hash.
const hashPrefix = "sha256:"

// Trust reads a manifest of documents: Apollo's
// {"format":"apollo-persisted-query-manifest","version":1,"operations":[…]}
// or, as Relay and graphql-codegen write it, {"id":"text",…}. Each document
// can be named by its id or its hash. With only, no other document is run. It
// fails, with the document's name, when one is not valid for the schema.
func (d *Handler) Trust(manifest []byte, only bool) error {
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
		if _, errs := d.documents.get(text); errs != nil {
			return fmt.Errorf("document %q: %s", id, errs[0].Message)
		}
		trusted[id] = text
		trusted[hashOf(text)] = text
	}
	d.persisted.trusted, d.persisted.only = trusted, only
	return nil
}

// manifestTexts gives the texts of a manifest by their ids.
func manifestTexts(members map[string]any) (map[string]string, error) {
	texts := map[string]string{}
	if _, apollo := members["format"]; !apollo {
		for id, v := range members {
			text, ok := v.(string)
			if !ok {
				return nil, fmt.Errorf("document %q: must be a text", id)
			}
			texts[id] = text
		}
		return texts, nil
	}
	if members["format"] != "apollo-persisted-query-manifest" || members["version"] != json.Number("1") {
		return nil, fmt.Errorf("manifest: must be of version 1 of apollo-persisted-query-manifest, or an object of texts")
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

// resolve puts a document's text into a request that names it. learn is the
// hash under which the text is to be kept once it has proved valid.
func (p *persisted) resolve(req *request) (learn string, refused *refusal) {
	hash, refused := apqHash(req)
	if refused != nil {
		return "", refused
	}
	name := req.documentID
	switch {
	case name != "" && (req.query != "" || hash != ""):
		return "", refuseInput("documentId", "must not be given together with a query or a hash")
	case name != "":
		name = strings.TrimPrefix(name, hashPrefix)
	case req.query == "" && hash == "":
		return "", refuseInput("query", "required")
	case req.query == "":
		name = hash
	}
	if name == "" { // the request brings its text
		sum := ""
		if hash != "" || p.only {
			sum = hashOf(req.query)
		}
		if hash != "" && hash != sum {
			return "", refuseInput("extensions.persistedQuery.sha256Hash", "is not the hash of the query")
		}
		if _, trusted := p.trusted[sum]; p.only && !trusted {
			return "", errNotTrusted
		}
		return hash, nil
	}
	text, ok := p.trusted[name]
	if !ok && !p.only {
		text, ok = p.learned.get(name)
	}
	switch {
	case ok:
		req.query = text
		return "", nil
	case p.only:
		return "", errNotTrusted
	}
	return "", errNotPersisted
}

var (
	errNotTrusted = &refusal{http.StatusForbidden, false, gqlerror.List{
		coded(gqlerror.Errorf("only trusted documents are run here"), codeNotTrusted),
	}}
	// errNotPersisted has the words that clients look for.
	errNotPersisted = &refusal{http.StatusBadRequest, false, gqlerror.List{
		coded(gqlerror.Errorf("PersistedQueryNotFound"), codePersistedUnknown),
	}}
)

// apqHash reads extensions.persistedQuery; "" if there is none.
func apqHash(req *request) (string, *refusal) {
	v := req.extensions["persistedQuery"]
	if v == nil {
		return "", nil
	}
	ext, ok := v.(map[string]any)
	if !ok || ext["version"] != json.Number("1") {
		return "", refuseInput("extensions.persistedQuery", "must be an object of version 1")
	}
	hash, _ := ext["sha256Hash"].(string)
	if raw, err := hex.DecodeString(hash); err != nil || len(raw) != sha256.Size {
		return "", refuseInput("extensions.persistedQuery.sha256Hash", "must be 64 hexadecimal digits")
	}
	return strings.ToLower(hash), nil
}
