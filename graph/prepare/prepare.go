// Package prepare turns a GraphQL request into an operation that can run: it
// finds the document, parses and validates it, holds it to the limits, coerces
// the variables, and estimates the cost. The result is one struct, [Operation].
// Package transport reads requests, package execute runs operations, and
// package graph puts the three together.
package prepare

import (
	"net/http"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/veranda-go/veranda/graph/errcode"
	"github.com/veranda-go/veranda/graph/execute"
	"github.com/veranda-go/veranda/internal/apierror"
)

// Request is a GraphQL request of any transport.
type Request struct {
	Query, OperationName  string
	Variables, Extensions map[string]any
	// DocumentID names a persisted document in place of Query.
	DocumentID string
	// Header is that of the HTTP request, or of a WebSocket's handshake.
	Header http.Header
}

// CostHeader requests extensions.cost: "include" beside the data, "explain" in
// place of it.
const CostHeader = "GraphQL-Cost"

// Operation is a valid operation within the limits. It is not to be changed.
type Operation struct {
	*ast.OperationDefinition
	Document  *ast.QueryDocument
	Text      string         // of the document
	Variables map[string]any // coerced
	// Plan is nil if gqlgen's executor has to run the operation.
	Plan *execute.Plan
	Cost Cost
	// CostMode is the value of CostHeader.
	CostMode string
	// Header is the request's, nil for an operation that may serve several
	// requests.
	Header http.Header
}

// RequestError refuses a request that does not become an operation (GraphQL
// specification, 7.1.6).
type RequestError struct {
	Status int // HTTP
	// Malformed requests get Status under every media type. The errors of
	// documents and variables get 200 under application/json, as GraphQL over
	// HTTP wants for the sake of old clients.
	Malformed bool
	Errors    gqlerror.List
}

// Malformed returns the error of a malformed request.
func Malformed(status int, code, format string, args ...any) *RequestError {
	return &RequestError{status, true, gqlerror.List{errcode.Errorf(code, format, args...)}}
}

// MalformedBy is Malformed for an error of package httpapi.
func MalformedBy(err error) *RequestError {
	e := apierror.From(err)
	return Malformed(e.Kind.HTTPStatus(), errcode.OfKind(e.Kind), "%s", e.Messages()[0])
}

// Invalid is Malformed for one field of a request.
func Invalid(field, format string, args ...any) *RequestError {
	return MalformedBy(apierror.Invalidf(field, format, args...))
}

// Config is what a Preparer has to know of a schema.
type Config struct {
	Table *execute.Table
	// Calls are the backend calls of the resolvers that make more than one, such
	// as "Mutation.create". Fields of roots and batch resolvers are estimated to
	// make one for all their parents.
	Calls map[string]int
	// Scalars check the values of custom scalars, which are strings, booleans,
	// int64, float64, json.Number, lists and maps.
	Scalars map[string]func(value any) error
	// MaxPageSize is in rows.
	MaxPageSize int64
}

// Preparer prepares requests for one schema. Make it with New.
type Preparer struct {
	Config
	documents documents
	persisted persisted
}

// New returns a Preparer.
func New(config Config) *Preparer {
	return &Preparer{
		Config: config, documents: newDocuments(config),
		persisted: persisted{learned: NewCache(func(_, text string) int { return len(text) })},
	}
}

// Prepare returns the operation of a request.
func (p *Preparer) Prepare(req *Request) (*Operation, *RequestError) {
	text, learn, refused := p.persisted.resolve(req)
	if refused != nil {
		return nil, refused
	}
	op, errs := p.operation(req, text)
	if errs != nil {
		return nil, &RequestError{http.StatusBadRequest, false, errs}
	}
	if learn != "" {
		p.persisted.learned.Set(learn, text)
	}
	return op, nil
}

func (p *Preparer) operation(req *Request, text string) (*Operation, gqlerror.List) {
	doc, errs := p.documents.get(text)
	if errs != nil {
		return nil, errs
	}
	op := &Operation{Document: doc.QueryDocument, Text: text, CostMode: req.Header.Get(CostHeader), Header: req.Header}
	var err *gqlerror.Error
	if op.OperationDefinition, err = selectOperation(doc.QueryDocument, req.OperationName); err != nil {
		return nil, gqlerror.List{err}
	}
	if op.Variables, err = p.coerceVariables(op.OperationDefinition, req.Variables); err != nil {
		return nil, gqlerror.List{err}
	}
	if op.Cost, err = p.estimate(op.OperationDefinition, op.Variables); err != nil {
		return nil, gqlerror.List{err}
	}
	op.Plan = doc.plan(p.Table, op.OperationDefinition, op.Variables)
	return op, nil
}

// selectOperation returns the operation that a request names (spec 6.1).
func selectOperation(doc *ast.QueryDocument, name string) (*ast.OperationDefinition, *gqlerror.Error) {
	if name == "" && len(doc.Operations) > 1 {
		return nil, errcode.Errorf(errcode.ValidationFailed, "operationName: required, since the document has several operations")
	}
	if op := doc.Operations.ForName(name); op != nil {
		return op, nil
	}
	return nil, errcode.Errorf(errcode.ValidationFailed, "operationName: no such operation")
}
