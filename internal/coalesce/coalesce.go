// Package nextflight lets callers with the same question share one answer
// without anybody getting an old one.
//
// The usual way, to join a call that is under way, is not fresh: the call may
// have read its data before the joiner's own last write. Here a caller that
// finds a flight under way waits for the next one, which starts when this one
// lands and carries everybody who was waiting by then. So every flight starts
// after all its riders came, and the more there are, the better it gets: at
// any moment there is one flight in the air and one boarding. Waiting pays
// where many ask, so who finds a single caller's flight goes at once as well.
// And who goes at once lets the others who are ready to run board first, which
// on an idle machine is nobody: so flights that only compute are shared too.
//
// [Group] is for callers who ask the same, [Batch] for those who ask for keys
// of one kind. Package publicapi uses them for backend calls, package graph
// for whole operations, package listings for pages.
package coalesce

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"time"
)

// patience is how long riders wait for the flight before theirs to land. One
// that hangs must not hold up those who came after it.
const patience = 50 * time.Millisecond

// Group holds the flights of questions of type K. Its zero value is ready.
type Group[K comparable, V any] struct {
	mu    sync.Mutex
	lines map[K]*line[V]
}

// abreast is how many flights of one question may be in the air, each with a
// single caller, before the next one waits. Of questions that are seldom the
// same, the few that are would else take up to twice the time for nothing:
// they would be the slowest hundredth.
const abreast = 2

// line is one question while it has a flight in the air.
type line[V any] struct {
	inAir    int
	left     int        // how many flights have left so far
	last     int        // the number of the last one, 0 when it has landed
	shared   bool       // whether the last one has several riders
	boarding *flight[V] // nil while nobody has come
}

type flight[V any] struct {
	ctx    context.Context
	fly    func(context.Context) (V, error)
	riders int
	landed chan struct{}
	value  V
	err    error
}

// Do answers key by calling fly, or by riding on a flight that starts after
// this call began. Keys are compared in full. A failure goes to the riders of
// its flight and to nobody else.
//
// A caller who flies alone does so under ctx. A flight with riders has the
// values of its first rider's context but not its end: who leaves must not
// take the others' flight with them. So fly has to end by itself.
func (g *Group[K, V]) Do(ctx context.Context, key K, fly func(context.Context) (V, error)) (V, error) {
	g.mu.Lock()
	l := g.lines[key]
	if l == nil {
		if g.lines == nil {
			g.lines = map[K]*line[V]{}
		}
		l = &line[V]{}
		g.lines[key] = l
	}
	f := l.boarding
	first := f == nil
	if first {
		f = &flight[V]{ctx: ctx, fly: fly, landed: make(chan struct{})}
		l.boarding = f
	}
	f.riders++
	wait := l.last != 0 && (l.shared || l.inAir >= abreast)
	g.mu.Unlock()
	switch {
	case !first:
	case wait:
		time.AfterFunc(patience, func() { g.depart(key, l, f) })
	default:
		linger()
		if number, ok := g.take(l, f); ok {
			if f.riders == 1 {
				defer g.land(key, l, number)
				return fly(ctx)
			}
			go g.fly(key, l, f, number)
		}
	}
	return f.wait(ctx)
}

// take has f leave and gives its number, unless it has left already.
func (g *Group[K, V]) take(l *line[V], f *flight[V]) (number int, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if l.boarding != f {
		return 0, false
	}
	l.boarding = nil
	l.inAir++
	l.left++
	l.last, l.shared = l.left, f.riders > 1
	return l.last, true
}

func (g *Group[K, V]) depart(key K, l *line[V], f *flight[V]) {
	if number, ok := g.take(l, f); ok {
		g.fly(key, l, f, number)
	}
}

func (g *Group[K, V]) fly(key K, l *line[V], f *flight[V], number int) {
	defer g.land(key, l, number)
	f.run()
}

// land ends a flight and, if none has left since, starts the one that is
// boarding.
func (g *Group[K, V]) land(key K, l *line[V], number int) {
	g.mu.Lock()
	l.inAir--
	f := l.boarding
	if number == l.last {
		l.last = 0
	} else {
		f = nil
	}
	if l.inAir == 0 && l.boarding == nil {
		delete(g.lines, key)
	}
	g.mu.Unlock()
	if f != nil {
		go func() {
			linger()
			g.depart(key, l, f)
		}()
	}
}

func (f *flight[V]) wait(ctx context.Context) (V, error) {
	select {
	case <-f.landed:
		return f.value, f.err
	case <-ctx.Done():
		var none V
		return none, ctx.Err()
	}
}

func (f *flight[V]) run() {
	defer close(f.landed)
	defer func() {
		// Nobody above this goroutine would keep a panic from ending the program.
		if p := recover(); p != nil {
			f.err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	f.value, f.err = f.fly(context.WithoutCancel(f.ctx))
}

// Batch joins the keys that callers want at the same moment into few calls.
// Make it with NewBatch.
type Batch[K comparable, V any] struct {
	fetch func(context.Context, []K) (map[K]V, error)
	most  int

	mu       sync.Mutex
	inAir    int
	boarding *batchFlight[K, V]
}

// batchesInAir is how many flights of a Batch may be under way before who
// comes waits for one of them to land. It bounds what a slow service is asked
// at once; on a busy machine it is linger that makes batches large.
const batchesInAir = 8

type batchFlight[K comparable, V any] struct {
	flight[map[K]V]
	asked [][]K // by each rider
	keys  int   // in asked, together
}

// NewBatch joins keys for fetch, which is given at most most distinct keys at
// once, unless one caller brings more, and returns the values that there are.
func NewBatch[K comparable, V any](most int, fetch func(context.Context, []K) (map[K]V, error)) *Batch[K, V] {
	return &Batch[K, V]{fetch: fetch, most: most}
}

// Load returns the values of distinct keys, and perhaps of other callers'
// keys too; the map is shared and must not be changed, nor may keys be until
// Load returns. As with Group.Do, the values were fetched after Load began, a
// lone caller flies under ctx, and a failure goes to the riders of one flight.
func (b *Batch[K, V]) Load(ctx context.Context, keys []K) (map[K]V, error) {
	b.mu.Lock()
	f := b.boarding
	if f != nil && f.keys+len(keys) > b.most { // full
		b.boarding = nil
		b.inAir++
		go b.fly(f)
		f = nil
	}
	first := f == nil
	if first {
		f = &batchFlight[K, V]{}
		f.ctx, f.landed = ctx, make(chan struct{})
		b.boarding = f
	}
	f.asked = append(f.asked, keys)
	f.keys += len(keys)
	wait := b.inAir >= batchesInAir
	b.mu.Unlock()
	switch {
	case !first:
	case wait:
		time.AfterFunc(patience, func() { b.depart(f) })
	default:
		linger()
		if b.take(f) {
			if len(f.asked) == 1 {
				defer b.land()
				return b.fetch(ctx, keys)
			}
			go b.fly(f)
		}
	}
	return f.wait(ctx)
}

// linger lets all those board who are about to: whoever is ready to run does
// so first. On an idle machine that is nobody, and no time passes.
func linger() { runtime.Gosched() }

// take has f leave, unless it has left already.
func (b *Batch[K, V]) take(f *batchFlight[K, V]) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.boarding != f {
		return false
	}
	b.boarding = nil
	b.inAir++
	return true
}

func (b *Batch[K, V]) depart(f *batchFlight[K, V]) {
	if b.take(f) {
		b.fly(f)
	}
}

func (b *Batch[K, V]) fly(f *batchFlight[K, V]) {
	defer b.land()
	f.fly = func(ctx context.Context) (map[K]V, error) { return b.fetch(ctx, f.distinct()) }
	f.run()
}

func (b *Batch[K, V]) land() {
	b.mu.Lock()
	b.inAir--
	f := b.boarding
	b.mu.Unlock()
	if f != nil {
		go func() {
			linger()
			b.depart(f)
		}()
	}
}

// distinct gives every key that riders asked for, once.
func (f *batchFlight[K, V]) distinct() []K {
	if len(f.asked) == 1 {
		return f.asked[0]
	}
	seen := make(map[K]struct{}, f.keys)
	all := make([]K, 0, f.keys)
	for _, keys := range f.asked {
		for _, k := range keys {
			if _, ok := seen[k]; !ok {
				seen[k] = struct{}{}
				all = append(all, k)
			}
		}
	}
	return all
}
