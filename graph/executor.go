package graph

import (
	"context"
	"encoding/json"
	"log/slog"
	"runtime"
	"runtime/debug"
	"sync/atomic"

	"github.com/99designs/gqlgen/graphql"
	gqlgen "github.com/99designs/gqlgen/graphql/executor"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/veranda-go/veranda/graph/generated"
	"github.com/veranda-go/veranda/internal/apierror"
	"github.com/veranda-go/veranda/internal/backendclient"
	"github.com/veranda-go/veranda/internal/httpapi"
	"github.com/veranda-go/veranda/publicapi"
)

// executor takes a request from its text to its answer: document, limits,
// variables, cost, execution. Queries run on our own engine, level by level;
// mutations, subscriptions and introspection on gqlgen's.
type executor struct {
	api       *publicapi.API
	schema    *ast.Schema
	documents documents
	gqlgen    *gqlgen.Executor
	dear      chan struct{} // has a place for each dear query that may run
	log       *slog.Logger
}

var _ graphql.GraphExecutor = (*executor)(nil)

func newExecutor(api *publicapi.API, log *slog.Logger) *executor {
	es := generated.NewExecutableSchema(generated.Config{Resolvers: &Resolver{api}})
	e := &executor{
		api: api, schema: es.Schema(), gqlgen: gqlgen.New(es), log: log,
		dear: make(chan struct{}, runtime.GOMAXPROCS(0)),
	}
	e.documents.schema = e.schema
	e.documents.rules = newRules()
	e.gqlgen.SetErrorPresenter(presentOne(log))
	e.gqlgen.SetRecoverFunc(e.recovered)
	return e
}

// recovered turns a resolver's panic into an internal error.
func (e *executor) recovered(ctx context.Context, p any) error {
	e.log.ErrorContext(ctx, "panic in a resolver", "panic", p, "stack", string(debug.Stack()))
	return apierror.New(apierror.Internal, "internal error")
}

// CostHeader asks for extensions.cost: "include" beside the answer, "explain"
// instead of it.
const CostHeader = "GraphQL-Cost"

// prepared is what travels with an operation.
type prepared struct {
	estimated cost
	wanted    string                // the value of CostHeader
	plan      *atomic.Pointer[plan] // nil if each request needs its own
}

const preparedKey = "prepared"

// CreateOperationContext is part of graphql.GraphExecutor.
func (e *executor) CreateOperationContext(_ context.Context, params *graphql.RawParams) (*graphql.OperationContext, gqlerror.List) {
	op := &graphql.OperationContext{
		RawQuery:               params.Query,
		OperationName:          params.OperationName,
		Extensions:             params.Extensions,
		Headers:                params.Headers,
		RecoverFunc:            e.recovered,
		ResolverMiddleware:     func(ctx context.Context, next graphql.Resolver) (any, error) { return next(ctx) },
		RootResolverMiddleware: func(ctx context.Context, next graphql.RootResolver) graphql.Marshaler { return next(ctx) },
	}
	doc, errs := e.documents.get(params.Query)
	if errs != nil {
		return op, errs
	}
	op.Doc = doc.QueryDocument
	var err *gqlerror.Error
	if op.Operation, err = pick(op.Doc, params.OperationName); err != nil {
		return op, gqlerror.List{err}
	}
	if op.Variables, err = coerceVariables(e.schema, op.Operation, params.Variables); err != nil {
		return op, gqlerror.List{err}
	}
	c := estimate(op.Operation, op.Variables, int(e.api.MaxPageSize()))
	if err := c.check(); err != nil {
		return op, gqlerror.List{err}
	}
	op.Stats.SetExtension(preparedKey, prepared{c, params.Headers.Get(CostHeader), doc.plans[op.Operation]})
	return op, nil
}

// pick gives the operation that a request means (spec 6.1).
func pick(doc *ast.QueryDocument, name string) (*ast.OperationDefinition, *gqlerror.Error) {
	if name == "" && len(doc.Operations) > 1 {
		return nil, coded(gqlerror.Errorf("operationName: required, since the document has several operations"), codeValidation)
	}
	if op := doc.Operations.ForName(name); op != nil {
		return op, nil
	}
	return nil, coded(gqlerror.Errorf("operationName: no such operation"), codeValidation)
}

// DispatchOperation is part of graphql.GraphExecutor.
func (e *executor) DispatchOperation(ctx context.Context, op *graphql.OperationContext) (graphql.ResponseHandler, context.Context) {
	ctx = graphql.WithOperationContext(e.api.WithLoaders(ctx), op)
	price := op.Stats.GetExtension(preparedKey).(prepared)
	if price.wanted == "explain" {
		return graphql.OneShot(&graphql.Response{
			Data:       json.RawMessage("null"),
			Extensions: map[string]any{"cost": costReport(price.estimated, nil)},
		}), ctx
	}
	if op.Operation.Operation == ast.Subscription {
		events, ctx := e.gqlgen.DispatchOperation(ctx, op)
		return func(ctx context.Context) *graphql.Response {
			// Each event asks afresh: what was remembered for the last one may
			// have changed since.
			return events(e.api.WithLoaders(ctx))
		}, ctx
	}
	return oneShot(func(context.Context) *graphql.Response {
		if price.estimated.Nodes > dearNodes {
			// Dear queries wait for each other, so that cheap ones need not wait
			// for them: at the services, too, the dear ones fill the queue.
			select {
			case e.dear <- struct{}{}:
				defer func() { <-e.dear }()
			case <-ctx.Done():
				return &graphql.Response{Errors: present(ctx, e.log, nil, nil, ctx.Err())}
			}
		}
		ctx, meter := backendclient.WithMeter(ctx)
		var resp *graphql.Response
		if op.Operation.Operation == ast.Mutation {
			key, err := httpapi.IdempotencyKey(op.Headers)
			if err != nil {
				return &graphql.Response{Errors: present(ctx, e.log, nil, nil, err)}
			}
			handler, ctx := e.gqlgen.DispatchOperation(withKeys(ctx, key), op)
			resp = handler(ctx)
		} else {
			resp = e.query(ctx, op)
		}
		if price.wanted == "include" {
			if resp.Extensions == nil {
				resp.Extensions = map[string]any{}
			}
			resp.Extensions["cost"] = costReport(price.estimated, meter)
		}
		return resp
	}), ctx
}

func oneShot(run graphql.ResponseHandler) graphql.ResponseHandler {
	return func(ctx context.Context) *graphql.Response {
		if run == nil {
			return nil
		}
		resp := run(ctx)
		run = nil
		return resp
	}
}

// costReport is extensions.cost. used is nil where nothing ran.
func costReport(estimated cost, used *backendclient.Meter) map[string]any {
	report := map[string]any{
		"estimated": estimated,
		"limits":    cost{Depth: maxDepth, Fields: maxFields, Nodes: maxNodes, BackendCalls: maxCalls},
	}
	if used != nil {
		report["used"] = map[string]any{"backendCalls": used.Calls()}
	}
	return report
}

// DispatchError is part of graphql.GraphExecutor.
func (e *executor) DispatchError(_ context.Context, list gqlerror.List) *graphql.Response {
	return &graphql.Response{Errors: list}
}
