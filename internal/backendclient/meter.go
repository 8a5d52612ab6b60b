package backendclient

import (
	"context"
	"sync/atomic"
)

// Meter counts the backend calls that one request caused.
type Meter struct {
	calls atomic.Int64
}

// Calls is the number of calls so far.
func (m *Meter) Calls() int64 { return m.calls.Load() }

type meterKey struct{}

// WithMeter counts the calls that are made under the returned context.
func WithMeter(ctx context.Context) (context.Context, *Meter) {
	m := &Meter{}
	return context.WithValue(ctx, meterKey{}, m), m
}

func countCall(ctx context.Context) {
	if m, ok := ctx.Value(meterKey{}).(*Meter); ok {
		m.calls.Add(1)
	}
}
