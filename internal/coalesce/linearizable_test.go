package coalesce

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/anishathalye/porcupine"
)

// A read must see every write that was acknowledged before it began. porcupine
// looks for an order of all reads and writes in which each takes effect between
// its start and its end. With a stale read there is none.

// logs are a few logs that only grow, the history of the operations on them,
// and a fetch that fails in many ways.
type logs struct {
	t       *testing.T
	lengths [6]atomic.Int64
	clock   atomic.Int64 // orders starts and ends

	loads, calls, lost atomic.Int64

	mu      sync.Mutex
	history []porcupine.Operation
}

// access is an append to a log or a read of it. Its output is the length after
// the append, or the length that was read.
type access struct {
	log     int
	appends bool
}

var model = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		byLog := make([][]porcupine.Operation, len(logs{}.lengths))
		for _, n := range history {
			log := n.Input.(access).log
			byLog[log] = append(byLog[log], n)
		}
		return byLog
	},
	Init: func() any { return int64(0) },
	Step: func(state, input, output any) (bool, any) {
		length := state.(int64)
		if input.(access).appends {
			length++
		}
		return output.(int64) == length, length
	},
}

func (l *logs) record(client int, a access, began, length int64) {
	ended := l.clock.Add(1)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.history = append(l.history, porcupine.Operation{ClientId: client, Input: a, Call: began, Output: length, Return: ended})
}

func (l *logs) fetch(ctx context.Context, keys []int) (map[int]int64, error) {
	l.calls.Add(1)
	if len(keys) > maxKeys {
		l.t.Errorf("%d keys in one call", len(keys))
	}
	fate := rand.IntN(40)
	pause := func(atMost time.Duration) {
		select {
		case <-time.After(rand.N(atMost)):
		case <-ctx.Done():
		}
	}
	switch fate {
	case 0:
		return nil, errors.New("failed early")
	case 1:
		panic("early")
	}
	pause(100 * time.Microsecond)
	found := map[int]int64{}
	for _, k := range keys {
		found[k] = l.lengths[k].Load() // read early …
	}
	switch fate {
	case 2:
		return nil, errors.New("failed late")
	case 3:
		panic("late")
	case 4:
		time.Sleep(3 * maxPending) // the next call must not wait for this one
	}
	pause(300 * time.Microsecond)
	return found, ctx.Err() // … and returned late, which makes a joined call stale
}

// load calls fetch through a Group, through a Batch, or naively.
type load func(ctx context.Context, l *logs, keys []int) (map[int]int64, error)

// requests overlap, as those of many clients do.
var requests = [][]int{{0}, {1}, {2, 3}, {1, 2, 5}, {3, 4}}

// maxKeys is more than a request has and less than all have together.
const maxKeys = 5

// checkTimeout is a hundred times what porcupine takes. Where it finds no order
// it may have to try very many, and more time would not help.
const checkTimeout = 10 * time.Second

// hammer lets clients write and read at the same time and returns porcupine's
// verdict. It runs with synctest's clock: nothing really waits.
func hammer(t *testing.T, load load) (*logs, porcupine.CheckResult) {
	const clients, rounds = 32, 200
	l := &logs{t: t}
	synctest.Test(t, func(t *testing.T) {
		var wg sync.WaitGroup
		for c := range clients {
			wg.Go(func() {
				for range rounds {
					time.Sleep(rand.N(100 * time.Microsecond))
					keys := requests[rand.IntN(len(requests))]
					if rand.IntN(3) == 0 {
						began := l.clock.Add(1)
						length := l.lengths[keys[0]].Add(1)
						l.record(c, access{keys[0], true}, began, length)
						continue
					}
					l.read(c, load, keys)
				}
			})
		}
		wg.Wait()
		time.Sleep(time.Minute) // calls that all callers left are still in flight
	})
	result := porcupine.CheckOperationsTimeout(model, l.history, checkTimeout)
	t.Logf("%d loads, %d calls, %d operations: %s", l.loads.Load(), l.calls.Load(), len(l.history), result)
	return l, result
}

// read loads keys and records the lengths that it gets; an error says nothing.
func (l *logs) read(client int, load load, keys []int) {
	ctx := context.Background()
	if rand.IntN(5) == 0 { // a caller that leaves after a while
		short, cancel := context.WithTimeout(ctx, rand.N(300*time.Microsecond))
		defer cancel()
		ctx = short
	}
	// A single caller gets the panic.
	defer func() { _ = recover() }()
	l.loads.Add(1)
	began := l.clock.Add(1)
	found, err := load(ctx, l, keys)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		l.lost.Add(1)
	}
	if err != nil {
		return
	}
	for _, k := range keys {
		length, ok := found[k]
		if !ok {
			l.t.Errorf("key %d was not fetched", k)
		}
		l.record(client, access{k, false}, began, length)
	}
}

func wantFresh(t *testing.T, load load) {
	t.Helper()
	l, result := hammer(t, load)
	if result != porcupine.Ok {
		_, info := porcupine.CheckOperationsVerbose(model, l.history, checkTimeout)
		picture := filepath.Join(t.ArtifactDir(), "history.html")
		t.Errorf("the history is %s; go test -artifacts keeps a picture of it: %s, %v", result, picture, porcupine.VisualizePath(model, info, picture))
	}
	if n := l.lost.Load(); n > 0 {
		t.Errorf("%d times a caller that left failed the call of others", n)
	}
	if l.calls.Load()*3 > l.loads.Load()*2 {
		t.Errorf("%d calls for %d loads: little was shared", l.calls.Load(), l.loads.Load())
	}
	if len(l.history) < int(l.loads.Load()) { // two for many loads, one for each append
		t.Errorf("%d loads and only %d operations", l.loads.Load(), len(l.history))
	}
}

func TestGroupIsFresh(t *testing.T) {
	var g Group[string, map[int]int64]
	wantFresh(t, func(ctx context.Context, l *logs, keys []int) (map[int]int64, error) {
		return g.Do(ctx, fmt.Sprint(keys), func(ctx context.Context) (map[int]int64, error) { return l.fetch(ctx, keys) })
	})
	if len(g.queues) != 0 {
		t.Errorf("%d keys have calls after the last response", len(g.queues))
	}
}

func TestBatchIsFreshAndWhole(t *testing.T) {
	var all *logs
	b := NewBatch(maxKeys, func(ctx context.Context, keys []int) (map[int]int64, error) { return all.fetch(ctx, keys) })
	var once sync.Once
	wantFresh(t, func(ctx context.Context, l *logs, keys []int) (map[int]int64, error) {
		once.Do(func() { all = l })
		return b.Load(ctx, keys)
	})
	if b.queue.pending != nil || len(b.queue.inFlight) != 0 {
		t.Errorf("%d calls are in flight after the last response", len(b.queue.inFlight))
	}
}

// The same check finds that joining a call in flight is stale, so it can fail.
func TestCheckFindsStaleJoins(t *testing.T) {
	type call struct {
		done  chan struct{}
		found map[int]int64
		err   error
	}
	var mu sync.Mutex
	inFlight := map[string]*call{}
	naive := func(ctx context.Context, l *logs, keys []int) (map[int]int64, error) {
		key := fmt.Sprint(keys)
		mu.Lock()
		c := inFlight[key]
		if c == nil {
			c = &call{done: make(chan struct{}), err: errors.New("panic")}
			inFlight[key] = c
			go func() {
				defer close(c.done)
				defer func() {
					_ = recover()
					mu.Lock()
					delete(inFlight, key)
					mu.Unlock()
				}()
				c.found, c.err = l.fetch(context.WithoutCancel(ctx), keys)
			}()
		}
		mu.Unlock()
		select {
		case <-c.done:
			return c.found, c.err
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	result := porcupine.Unknown
	for try := 0; try < 3 && result == porcupine.Unknown; try++ {
		_, result = hammer(t, naive)
	}
	if result != porcupine.Illegal {
		t.Errorf("joining a call in flight is %s", result)
	}
}
