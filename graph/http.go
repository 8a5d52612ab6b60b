package graph

import (
	"context"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/veranda-go/veranda/internal/apierror"
	"github.com/veranda-go/veranda/internal/httpapi"
)

// GET and POST as the GraphQL over HTTP specification has them. gqlgen's own
// transports answer some errors with a status or a "data" that it forbids,
// and show the body of a request that they cannot read.

// Codes of requests that never become an operation, beside those of errors.go
// and limits.go.
const (
	codeMethod        = "METHOD_NOT_ALLOWED"
	codeNotAcceptable = "NOT_ACCEPTABLE"
	codeOrigin        = "ORIGIN_NOT_ALLOWED"
	// codeNotStream is a subscription from a client that takes one answer only.
	codeNotStream = "SUBSCRIPTION_NEEDS_STREAM"
	// codePersistedUnknown asks for the document's text, once (persisted.go).
	codePersistedUnknown = "PERSISTED_QUERY_NOT_FOUND"
	codeNotTrusted       = "DOCUMENT_NOT_TRUSTED"
	codeTooMany          = "TOO_MANY_OPERATIONS"
)

// What can be answered.
const (
	mediaJSON     = "application/json"
	mediaGraphQL  = "application/graphql-response+json"
	mediaEvents   = "text/event-stream"
	charsetSuffix = "; charset=utf-8"
)

// request is a GraphQL request, wherever it came from.
type request struct {
	query, operationName string
	variables            map[string]any
	extensions           map[string]any
	// documentID names a persisted document, in place of query.
	documentID string
}

// refusal is the end of a request that is no operation.
type refusal struct {
	status int
	// malformed requests get their status under every media type. Other
	// mistakes get 200 under application/json, as the specification wants for
	// the sake of old clients.
	malformed bool
	errs      gqlerror.List
}

// refuse makes a refusal of a malformed request.
func refuse(status int, code, format string, args ...any) *refusal {
	return &refusal{status, true, gqlerror.List{coded(gqlerror.Errorf(format, args...), code)}}
}

// refuseFault is refuse for what package wire found.
func refuseFault(err error) *refusal {
	f := apierror.From(err)
	return refuse(f.Kind.HTTPStatus(), codes[f.Kind], "%s", f.Messages()[0])
}

func refuseInput(param, format string, args ...any) *refusal {
	return refuseFault(apierror.Invalidf(param, format, args...))
}

func (d *Handler) serveHTTP(w http.ResponseWriter, r *http.Request) {
	media, events := negotiate(r.Header.Values("Accept"))
	if media == "" && !events {
		writeRefusal(w, mediaJSON, refuse(http.StatusNotAcceptable, codeNotAcceptable,
			"Accept: must allow %s, %s or %s", mediaJSON, mediaGraphQL, mediaEvents))
		return
	}
	text, refused := readText(w, r)
	if refused != nil {
		writeRefusal(w, orJSON(media), refused)
		return
	}
	op, refused := d.understand(r, text)
	if refused == nil {
		kind := op.Operation.Operation
		switch {
		case r.Method != http.MethodPost && kind == ast.Mutation:
			w.Header().Set("Allow", "POST")
			refused = refuse(http.StatusMethodNotAllowed, codeMethod, "a mutation must be sent by POST")
		case kind == ast.Subscription && (!events || r.Method == http.MethodHead):
			refused = refuse(http.StatusNotAcceptable, codeNotStream,
				"a subscription needs Accept: %s, or a WebSocket", mediaEvents)
		case kind == ast.Subscription:
			media = ""
		}
	}
	switch {
	case media == "" && r.Method != http.MethodHead && (refused == nil || !refused.malformed):
		// The protocol wants a document's errors inside of the stream: what
		// browsers make of another status tells a page nothing.
		d.serveEvents(w, r, op, refused)
	case refused != nil:
		writeRefusal(w, orJSON(media), refused)
	default:
		d.answer(w, r, orJSON(media), op, text)
	}
}

// question tells apart what may not share an answer. There are no callers
// with different rights; where there are, who asks belongs in here.
type question struct {
	posted     bool // the text is a body, else a query string
	text, cost string
}

// answer runs an operation that has one answer. Those who send the same query
// at the same moment share it, from the first backend call to the last byte.
func (d *Handler) answer(w http.ResponseWriter, r *http.Request, media string, op *graphql.OperationContext, text string) {
	run := func(ctx context.Context) (*graphql.Response, error) {
		if calls := op.Stats.GetExtension(preparedKey).(prepared).estimated.BackendCalls; calls > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, d.limits.answer)
			defer cancel()
		}
		next, ctx := d.exec.DispatchOperation(ctx, op)
		return next(ctx), nil
	}
	var (
		resp *graphql.Response
		err  error
	)
	if op.Operation.Operation == ast.Query {
		// A flight has its own deadline, so its riders need not wait for theirs.
		resp, err = d.flights.Do(httpapi.Untimed(r.Context()), question{r.Method == http.MethodPost, text, r.Header.Get(CostHeader)}, run)
	} else {
		resp, err = run(r.Context())
	}
	if err != nil {
		writeRefusal(w, media, refuseFault(err))
		return
	}
	body := func(b []byte) []byte { return appendResponse(b, resp) }
	if r.Method != http.MethodPost && len(resp.Errors) == 0 {
		httpapi.WriteTagged(w, r, media+charsetSuffix, body)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	httpapi.WriteAs(w, http.StatusOK, media+charsetSuffix, body)
}

// prepare makes an operation of a request: with its document, within the
// limits, and with its variables.
func (d *Handler) prepare(ctx context.Context, req *request, header http.Header) (*graphql.OperationContext, *refusal) {
	learn, refused := d.persisted.resolve(req)
	if refused != nil {
		return nil, refused
	}
	op, errs := d.exec.CreateOperationContext(ctx, &graphql.RawParams{
		Query: req.query, OperationName: req.operationName,
		Variables: req.variables, Extensions: req.extensions, Headers: header,
	})
	if errs != nil {
		return nil, &refusal{http.StatusBadRequest, false, errs}
	}
	if learn != "" {
		d.persisted.learned.put(learn, req.query, len(req.query))
	}
	return op, nil
}

// negotiate gives the media type that a client likes best for one answer, ""
// if it takes none, and whether it takes events.
func negotiate(lines []string) (media string, events bool) {
	accept := strings.Join(lines, ",")
	switch strings.TrimSpace(accept) {
	case "", "*/*", mediaJSON: // nearly all there is
		return mediaJSON, false
	}
	// How much the client likes each, and how exactly it said so: the more
	// exact range counts, whatever its weight (RFC 9110, 12.5.1).
	type liking struct {
		weight float64
		exact  int
	}
	var likes [3]liking
	offers := [...]string{mediaJSON, mediaGraphQL, mediaEvents}
	for part := range strings.SplitSeq(accept, ",") {
		rng, params, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		if charset, ok := params["charset"]; ok && !strings.EqualFold(charset, "utf-8") {
			continue
		}
		weight := 1.0
		if q, ok := params["q"]; ok {
			if weight, err = strconv.ParseFloat(q, 64); err != nil {
				continue
			}
		}
		for i, offer := range offers {
			exact := 0
			group, _, _ := strings.Cut(offer, "/")
			switch rng {
			case offer:
				exact = 3
			case group + "/*":
				exact = 2
			case "*/*":
				exact = 1
			}
			// Events are never meant by "anything".
			if exact > likes[i].exact && (i < 2 || exact > 1) {
				likes[i] = liking{weight, exact}
			}
		}
	}
	plain, graph, stream := likes[0], likes[1], likes[2]
	switch {
	case graph.weight > plain.weight, graph.weight > 0 && graph.weight == plain.weight && graph.exact == 3:
		media = mediaGraphQL
	case plain.weight > 0:
		media = mediaJSON
	}
	return media, stream.weight > 0
}

func orJSON(media string) string {
	if media == "" {
		return mediaJSON
	}
	return media
}

// readText gives the text of a request, a GET's query string or a POST's body.
func readText(w http.ResponseWriter, r *http.Request) (string, *refusal) {
	if r.Method != http.MethodPost {
		return r.URL.RawQuery, nil
	}
	if coding := r.Header.Get("Content-Encoding"); coding != "" && !strings.EqualFold(coding, "identity") {
		return "", refuse(http.StatusUnsupportedMediaType, codes[apierror.MediaType], "content encoding: must be identity")
	}
	// No form and no plain text can come past here, which are what a page of
	// another site may send without asking first.
	body, err := httpapi.ReadBody(w, r, mediaJSON)
	if err != nil {
		return "", refuseFault(err)
	}
	return string(body), nil
}

// understand makes an operation of a request's text. A body that was a query
// before is one still: nothing in it depends on who sends it or when.
func (d *Handler) understand(r *http.Request, text string) (*graphql.OperationContext, *refusal) {
	posted := r.Method == http.MethodPost
	keep := posted && r.Header.Get(CostHeader) == ""
	if keep {
		if op, ok := d.known.get(text); ok {
			return op, nil
		}
	}
	read := readQuery
	if posted {
		read = readBody
	}
	req, refused := read(text)
	if refused != nil {
		return nil, refused
	}
	// What a persisted document's name stands for may be forgotten.
	keep = keep && req.documentID == "" && len(req.extensions) == 0
	op, refused := d.prepare(r.Context(), req, r.Header)
	if refused == nil && keep && op.Operation.Operation == ast.Query {
		op.Headers = nil // its sender's, and of use to mutations only
		d.known.put(text, op, len(text))
	}
	return op, refused
}

// readBody reads a request as JSON. Members that it does not know belong to
// clients' extensions.
func readBody(body string) (*request, *refusal) {
	if strings.HasPrefix(strings.TrimLeft(body, " \t\r\n"), "[") {
		return nil, refuseInput("body", "must be a JSON object; a batch is not taken, one document may ask for many things")
	}
	members, err := httpapi.Object([]byte(body), "body")
	if err != nil {
		return nil, refuseFault(err)
	}
	return readMembers(members)
}

// readMembers makes a request of the members of a JSON object.
func readMembers(members map[string]any) (*request, *refusal) {
	req := &request{}
	for name, to := range map[string]*string{
		"query": &req.query, "operationName": &req.operationName, "documentId": &req.documentID,
	} {
		switch v := members[name].(type) {
		case nil:
		case string:
			*to = v
		default:
			return nil, refuseInput(name, "must be a string")
		}
	}
	for name, to := range map[string]*map[string]any{"variables": &req.variables, "extensions": &req.extensions} {
		switch v := members[name].(type) {
		case nil:
		case map[string]any:
			*to = v
		default:
			return nil, refuseInput(name, "must be an object")
		}
	}
	return req, nil
}

// readQuery reads a request from a query string, strictly: net/url's lenient
// form drops what it cannot read.
func readQuery(raw string) (*request, *refusal) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return nil, refuseInput("query string", "malformed")
	}
	members := map[string]any{}
	for _, name := range []string{"query", "operationName", "documentId", "variables", "extensions"} {
		all, ok := values[name]
		switch {
		case !ok:
			continue
		case len(all) > 1:
			return nil, refuseInput(name, "given more than once")
		case !utf8.ValidString(all[0]):
			return nil, refuseInput(name, "must be valid UTF-8")
		}
		members[name] = all[0]
		if name == "variables" || name == "extensions" {
			object, err := httpapi.Object([]byte(all[0]), name)
			if err != nil {
				return nil, refuseFault(err)
			}
			members[name] = object
		}
	}
	return readMembers(members)
}

// writeRefusal answers a request that is no operation. There is no "data" in
// it: nothing ran.
func writeRefusal(w http.ResponseWriter, media string, refused *refusal) {
	status := refused.status
	if !refused.malformed && media == mediaJSON {
		status = http.StatusOK
	}
	w.Header().Set("Cache-Control", "no-store")
	httpapi.WriteAs(w, status, media+charsetSuffix, func(b []byte) []byte {
		return appendResponse(b, &graphql.Response{Errors: refused.errs})
	})
}

// appendResponse appends an answer, with the data as it is: it is JSON already
// and the largest part. Errors come first, where people see them.
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
		// Extensions and errors are made of plain values, all of them ours.
		panic(fmt.Errorf("response: %w", err))
	}
	return append(b, text...)
}
