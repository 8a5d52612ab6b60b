package backendclient

import (
	"context"
	"sync/atomic"
)

// Meter counts the calls of backends that one request causes.
type Meter struct {
	calls atomic.Int64
}

// Calls returns the number of calls so far.
func (m *Meter) Calls() int64 { return m.calls.Load() }

type meterKey struct{}

// WithMeter returns ctx with a meter of the calls that are made under it.
func WithMeter(ctx context.Context) (context.Context, *Meter) {
	m := &Meter{}
	return context.WithValue(ctx, meterKey{}, m), m
}

func countCall(ctx context.Context) {
	if m, ok := ctx.Value(meterKey{}).(*Meter); ok {
		m.calls.Add(1)
	}
}
