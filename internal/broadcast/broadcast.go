// Package broadcast wakes any number of goroutines when a value changes. A
// slow waiter never delays the publisher or other waiters; it may miss values,
// but never the newest one.
//
// Packages creation, backend/listings and publicapi use it to follow new rows,
// each one step further from the database.
package broadcast

import (
	"context"
	"sync"
)

// Value is a value that goroutines can wait on. The zero Value holds the zero
// T and is ready to use.
type Value[T any] struct {
	mu      sync.Mutex
	value   T
	changed chan struct{} // closed by the next Publish; nil if nobody waits
}

// Publish replaces the value and wakes all waiters.
func (v *Value[T]) Publish(value T) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.publish(value)
}

func (v *Value[T]) publish(value T) {
	v.value = value
	if v.changed != nil {
		close(v.changed)
		v.changed = nil
	}
}

// Load returns the value and a channel that the next Publish closes.
func (v *Value[T]) Load() (value T, changed <-chan struct{}) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.changed == nil {
		v.changed = make(chan struct{})
	}
	return v.value, v.changed
}

// Wait waits for a value that ready accepts. It reports whether there is one:
// false means that ctx has ended first.
func (v *Value[T]) Wait(ctx context.Context, ready func(T) bool) bool {
	for ctx.Err() == nil {
		value, changed := v.Load()
		if ready(value) {
			return true
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
	return false
}

// Source is a Value with a producer, which runs only while there are
// subscribers. Make it with NewSource.
type Source[T any] struct {
	Value[T]
	produce     func(ctx context.Context, publish func(T))
	subscribers int
	stop        context.CancelFunc
}

// NewSource returns a source without subscribers. Its producer publishes
// values until its context ends, and then returns.
func NewSource[T any](produce func(ctx context.Context, publish func(T))) *Source[T] {
	return &Source[T]{produce: produce}
}

// Subscribe keeps the producer running until unsubscribe is called, which must
// happen once. The first subscriber starts a new producer, with the zero T as
// the value; the last one to unsubscribe ends it. An ended producer can no
// longer publish.
func (s *Source[T]) Subscribe() (unsubscribe func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.subscribers++; s.subscribers == 1 {
		ctx, stop := context.WithCancel(context.Background())
		s.stop = stop
		var none T
		s.publish(none)
		go s.produce(ctx, func(value T) {
			s.mu.Lock()
			defer s.mu.Unlock()
			if ctx.Err() == nil {
				s.publish(value)
			}
		})
	}
	return s.unsubscribe
}

func (s *Source[T]) unsubscribe() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.subscribers--; s.subscribers == 0 {
		s.stop()
	}
}
