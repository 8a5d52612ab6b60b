package transport

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/veranda-go/veranda/graph/errcode"
)

// named is a request body that names a document by its hash.
func named(hash, query string) string {
	body := map[string]any{"extensions": map[string]any{"persistedQuery": map[string]any{"version": 1, "sha256Hash": hash}}}
	if query != "" {
		body["query"] = query
	}
	text, _ := json.Marshal(body)
	return string(text)
}

func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

func TestAutomaticPersistedQueries(t *testing.T) {
	t.Parallel()
	p, _, address := serveFake(t, nil)
	const query = "{now}"
	hash := hashOf(query)
	ext := func(s string) string { return `{"persistedQuery":` + s + `}` }
	byGet := get(address, "extensions", ext(`{"version":1,"sha256Hash":"`+hash+`"}`))
	for _, test := range []struct {
		name, method, url, body, accept string
		status                          int
		want                            string
	}{
		{"unknown", "POST", address, named(hash, ""), mediaJSON, 200, `{"errors":[{"message":"PersistedQueryNotFound","extensions":{"code":"PERSISTED_QUERY_NOT_FOUND"}}]}`},
		{"unknown, new media type", "POST", address, named(hash, ""), mediaGraphQL, 400, `"PersistedQueryNotFound"`},
		{"unknown by GET", "GET", byGet, "", mediaJSON, 200, `"PersistedQueryNotFound"`},
		{"wrong hash", "POST", address, named(hash, "{now now}"), mediaJSON, 400, "is not the hash of the query"},
		{"invalid document", "POST", address, named(hashOf("{x}"), "{x}"), mediaJSON, 200, errcode.ValidationFailed},
		{"invalid document is not kept", "POST", address, named(hashOf("{x}"), ""), mediaJSON, 200, `"PersistedQueryNotFound"`},
		{"sent with its hash", "POST", address, named(strings.ToUpper(hash), query), mediaJSON, 200, `{"data":{"now":1}}`},
		{"known", "POST", address, named(hash, ""), mediaJSON, 200, `{"data":{"now":1}}`},
		{"known by GET", "GET", byGet, "", mediaJSON, 200, `{"data":{"now":1}}`},
		{"known by documentId", "POST", address, `{"documentId":"sha256:` + hash + `"}`, mediaJSON, 200, `{"data":{"now":1}}`},
		{"unknown documentId", "POST", address, `{"documentId":"list"}`, mediaJSON, 200, errcode.PersistedQueryNotFound},
		{"both names", "POST", address, `{"documentId":"list","query":"{now}"}`, mediaJSON, 400, "documentId: must not"},
		{"documentId of another type", "POST", address, `{"documentId":1}`, mediaJSON, 400, "documentId: must be a string"},
		{"version", "POST", address, `{"extensions":` + ext(`{"version":2,"sha256Hash":"`+hash+`"}`) + `}`, mediaJSON, 400, "version 1"},
		{"no object", "POST", address, `{"extensions":` + ext(`1`) + `}`, mediaJSON, 400, "extensions.persistedQuery"},
		{"short hash", "POST", address, `{"extensions":` + ext(`{"version":1,"sha256Hash":"00"}`) + `}`, mediaJSON, 400, "64 hexadecimal digits"},
		{"null is none", "POST", address, `{"query":"{now}","extensions":` + ext(`null`) + `}`, mediaJSON, 200, `{"data":{"now":1}}`},
		{"mutation", "POST", address, named(hashOf("mutation {change}"), "mutation {change}"), mediaJSON, 200, `{"change":1}`},
		{"mutation by GET", "GET", get(address, "extensions", ext(`{"version":1,"sha256Hash":"`+hashOf("mutation {change}")+`"}`)), "", mediaJSON, 405, errcode.MethodNotAllowed},
	} {
		resp, body := try(t, test.method, test.url, test.body, "Accept", test.accept)
		if resp.StatusCode != test.status || !strings.Contains(body, test.want) {
			t.Errorf("%s: %d %s, want %d %s", test.name, resp.StatusCode, body, test.status, test.want)
		}
		if strings.Contains(body, errcode.PersistedQueryNotFound) && resp.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: may be cached", test.name)
		}
	}
	if n := p.changes.Load(); n != 1 {
		t.Errorf("%d mutations ran, want 1", n)
	}
	c := dial(t, address)
	c.say(initial, fmt.Sprintf(`{"id":"a","type":"subscribe","payload":%s}`, named(hash, "")))
	c.hear(ack, `{"now":1}`, `"complete"`)
}

func TestTrustedDocuments(t *testing.T) {
	t.Parallel()
	const manifest = `{"format":"apollo-persisted-query-manifest","version":1,"operations":[
		{"id":"now-1","name":"Now","type":"query","body":"query Now {now}"},
		{"id":"change-1","name":"Change","type":"mutation","body":"mutation Change {change}"}]}`
	hash := hashOf("query Now {now}")
	for _, only := range []bool{false, true} {
		_, _, address := serveFake(t, func(h *Handler) {
			if err := h.preparer.Trust([]byte(manifest), only); err != nil {
				t.Fatal(err)
			}
		})
		const now, refused = `{"data":{"now":1}}`, errcode.DocumentNotTrusted
		for _, test := range []struct{ name, body, open, closed string }{
			{"by id", `{"documentId":"now-1"}`, now, now},
			{"by hash", named(hash, ""), now, now},
			{"by documentId of its hash", `{"documentId":"sha256:` + hash + `"}`, now, now},
			{"by its text", `{"query":"query Now {now}"}`, now, now},
			{"by its text and hash", named(hash, "query Now {now}"), now, now},
			{"mutation", `{"documentId":"change-1"}`, `{"change":1}`, `{"change":1}`},
			{"another text", `{"query":"{now}"}`, now, refused},
			{"nearly the text", `{"query":"query Now {now} "}`, now, refused},
			{"introspection", `{"query":"{__schema{queryType{name}}}"}`, `{"data":`, refused},
			{"another text with its hash", named(hashOf("{now}"), "{now}"), now, refused},
			{"hash of another text", named(hashOf("{now}"), ""), now, refused},
			{"unknown id", `{"documentId":"x"}`, errcode.PersistedQueryNotFound, refused},
			{"unknown hash", named(hashOf("x"), ""), errcode.PersistedQueryNotFound, refused},
		} {
			want := test.open
			if only {
				want = test.closed
			}
			if _, body := try(t, "POST", address, test.body); !strings.Contains(body, want) {
				t.Errorf("%s, only %v: %s, want %s", test.name, only, body, want)
			}
		}
		if resp, body := try(t, "POST", address, `{"query":"{now}"}`, "Accept", mediaGraphQL); only && resp.StatusCode != 403 {
			t.Errorf("%d %s", resp.StatusCode, body)
		}
		if resp, _ := try(t, "GET", get(address, "documentId", "change-1"), ""); resp.StatusCode != 405 {
			t.Errorf("mutation by GET: %d", resp.StatusCode)
		}
	}
}

func TestManifests(t *testing.T) {
	t.Parallel()
	var h *Handler
	serveFake(t, func(made *Handler) { h = made })
	for _, test := range []struct{ manifest, want string }{
		{`{"a":"{now}","b":"subscription {silence}"}`, ""},
		{`{}`, ""},
		{`{"format":"apollo-persisted-query-manifest","version":1,"operations":[]}`, ""},
		{`{"list-7":"{nowhere}"}`, `document "list-7"`},
		{`{"list-7":"{"}`, `document "list-7"`},
		{`{"list-7":""}`, `document "list-7"`},
		{`{"list-7":{}}`, `document "list-7"`},
		{`{"a":"{now}","a":"{now}"}`, "a: given more than once"},
		{`[]`, "manifest: must be a JSON object"},
		{``, "manifest: malformed JSON"},
		{`{"format":"apollo-persisted-query-manifest","version":2,"operations":[]}`, "version 1"},
		{`{"format":"x","version":1,"operations":[]}`, "version 1"},
		{`{"format":"apollo-persisted-query-manifest","version":1}`, "operations must be a list"},
		{`{"format":"apollo-persisted-query-manifest","version":1,"operations":[{"id":"a"}]}`, "operation 1 needs"},
		{`{"format":"apollo-persisted-query-manifest","version":1,"operations":[{"id":"a","body":"{now}"},{"id":"a","body":"{now}"}]}`, `document "a"`},
		{`{"format":"apollo-persisted-query-manifest","version":1,"operations":[{"id":"a","body":"{x}"}]}`, `document "a"`},
	} {
		err := h.preparer.Trust([]byte(test.manifest), true)
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: %v, want %q", test.manifest, err, test.want)
		}
	}
}
