package graph

import (
	"context"
	"encoding/json"
	"log/slog"
	"runtime"
	"runtime/debug"

	"github.com/99designs/gqlgen/graphql"
	gqlgen "github.com/99designs/gqlgen/graphql/executor"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/veranda-go/veranda/graph/execute"
	"github.com/veranda-go/veranda/graph/generated"
	"github.com/veranda-go/veranda/graph/prepare"
	"github.com/veranda-go/veranda/internal/apierror"
	"github.com/veranda-go/veranda/internal/backendclient"
	"github.com/veranda-go/veranda/internal/idempotency"
	"github.com/veranda-go/veranda/publicapi"
)

// executor is the transport.Executor: it gives operations their loaders and
// idempotency keys, and runs them by their plans or, where there is none, on
// gqlgen's executor.
type executor struct {
	api    *publicapi.API
	levels execute.Executor
	gqlgen *gqlgen.Executor
	turns  chan struct{} // has room for the expensive operations that may run
	log    *slog.Logger
}

func newExecutor(api *publicapi.API, config generated.Config, log *slog.Logger) *executor {
	e := &executor{
		api: api, log: log,
		gqlgen: gqlgen.New(generated.NewExecutableSchema(config)),
		turns:  make(chan struct{}, runtime.GOMAXPROCS(0)),
	}
	e.levels.Present = e.present
	e.gqlgen.SetErrorPresenter(e.presentGqlgen)
	e.gqlgen.SetRecoverFunc(e.recovered)
	return e
}

// recovered turns a resolver's panic into an internal error.
func (e *executor) recovered(ctx context.Context, p any) error {
	e.log.ErrorContext(ctx, "panic in a resolver", "panic", p, "stack", string(debug.Stack()))
	return apierror.New(apierror.Internal, "internal error")
}

// Execute is part of transport.Executor.
func (e *executor) Execute(ctx context.Context, op *prepare.Operation) func() *graphql.Response {
	ctx = graphql.WithOperationContext(ctx, e.operationContext(op))
	switch {
	case op.CostMode == "explain":
		return once(func() *graphql.Response {
			return &graphql.Response{
				Data:       json.RawMessage("null"),
				Extensions: map[string]any{"cost": costReport(op.Cost, nil)},
			}
		})
	case op.Operation == ast.Subscription:
		next := e.start(e.api.WithLoaders(ctx), op)
		return func() *graphql.Response {
			// Each event has loaders of its own: what those of the last one remember
			// may have changed.
			return next(e.api.WithLoaders(ctx))
		}
	}
	return once(func() *graphql.Response { return e.respond(e.api.WithLoaders(ctx), op) })
}

// operationContext returns what gqlgen's generated code takes from an operation.
func (e *executor) operationContext(op *prepare.Operation) *graphql.OperationContext {
	return &graphql.OperationContext{
		RawQuery: op.Text, Doc: op.Document, Operation: op.OperationDefinition, Variables: op.Variables,
		RecoverFunc:            e.recovered,
		ResolverMiddleware:     func(ctx context.Context, next graphql.Resolver) (any, error) { return next(ctx) },
		RootResolverMiddleware: func(ctx context.Context, next graphql.RootResolver) graphql.Marshaler { return next(ctx) },
	}
}

func once(respond func() *graphql.Response) func() *graphql.Response {
	return func() *graphql.Response {
		if respond == nil {
			return nil
		}
		resp := respond()
		respond = nil
		return resp
	}
}

// respond runs a query or a mutation.
func (e *executor) respond(ctx context.Context, op *prepare.Operation) *graphql.Response {
	if op.Cost.Expensive() {
		// Expensive operations wait for each other, so that the others need not
		// wait for them, here and in the queues of the services.
		select {
		case e.turns <- struct{}{}:
			defer func() { <-e.turns }()
		case <-ctx.Done():
			return e.failure(ctx, ctx.Err())
		}
	}
	if op.Operation == ast.Mutation {
		key, err := idempotency.KeyOf(op.Header)
		if err != nil {
			return e.failure(ctx, err)
		}
		ctx = withKeys(ctx, key)
	}
	if op.CostMode != "include" {
		return e.start(ctx, op)(ctx)
	}
	ctx, meter := backendclient.WithMeter(ctx)
	resp := e.start(ctx, op)(ctx)
	if resp.Extensions == nil {
		resp.Extensions = map[string]any{}
	}
	resp.Extensions["cost"] = costReport(op.Cost, meter)
	return resp
}

func (e *executor) failure(ctx context.Context, err error) *graphql.Response {
	return &graphql.Response{Errors: e.present(ctx, nil, nil, err)}
}

// start starts an operation whose responses the returned function returns.
func (e *executor) start(ctx context.Context, op *prepare.Operation) graphql.ResponseHandler {
	switch {
	case op.Plan == nil:
		next, ctx := e.gqlgen.DispatchOperation(ctx, graphql.GetOperationContext(ctx))
		_ = ctx
		return next
	case op.Operation == ast.Subscription:
		return e.levels.Subscribe(ctx, op.Plan, op.Variables)
	}
	return func(ctx context.Context) *graphql.Response { return e.levels.Execute(ctx, op.Plan, op.Variables) }
}

// costReport returns extensions.cost. used is nil if the operation did not run.
func costReport(estimated prepare.Cost, used *backendclient.Meter) map[string]any {
	report := map[string]any{"estimated": estimated, "limits": prepare.Limits}
	if used != nil {
		report["used"] = map[string]any{"backendCalls": used.Calls()}
	}
	return report
}
