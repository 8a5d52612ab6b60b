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

// The promise is that a read sees every write that was acknowledged before it
// began. porcupine looks for an order of all reads and writes in which each
// takes effect between its beginning and its end. A stale read leaves none.

// logs are a few logs that only grow, the notes of who used them, and a fetch
// that fails in every way there is.
type logs struct {
	t       *testing.T
	lengths [6]atomic.Int64
	clock   atomic.Int64 // orders beginnings and ends as no wall clock does

	loads, flights, lost atomic.Int64

	mu    sync.Mutex
	notes []porcupine.Operation
}

// access is one append to a log, or one look at it. Its output is the length
// that was made or found.
type access struct {
	log     int
	appends bool
}

var model = porcupine.Model{
	Partition: func(notes []porcupine.Operation) [][]porcupine.Operation {
		byLog := make([][]porcupine.Operation, len(logs{}.lengths))
		for _, n := range notes {
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

func (l *logs) note(client int, a access, began, length int64) {
	ended := l.clock.Add(1)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.notes = append(l.notes, porcupine.Operation{ClientId: client, Input: a, Call: began, Output: length, Return: ended})
}

func (l *logs) fetch(ctx context.Context, keys []int) (map[int]int64, error) {
	l.flights.Add(1)
	if len(keys) > mostKeys {
		l.t.Errorf("asked for %d keys at once", len(keys))
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
		found[k] = l.lengths[k].Load() // what is read here is read early …
	}
	switch fate {
	case 2:
		return nil, errors.New("failed late")
	case 3:
		panic("late")
	case 4:
		time.Sleep(3 * patience) // the next flight must not wait for this one
	}
	pause(300 * time.Microsecond)
	return found, ctx.Err() // … and handed out late, which makes joining stale
}

// load is how fetch is called: by way of a Group, of a Batch, or naively.
type load func(ctx context.Context, l *logs, keys []int) (map[int]int64, error)

// questions overlap, as those of many requests do.
var questions = [][]int{{0}, {1}, {2, 3}, {1, 2, 5}, {3, 4}}

// mostKeys is more than a question has and less than all have together.
const mostKeys = 5

// enough is a hundred times what porcupine takes. Where it finds no order it
// may have to try very many, and longer would not help.
const enough = 10 * time.Second

// hammer lets clients write and read at the same time, then tells what
// porcupine says. It runs in a bubble of time: nothing waits in earnest.
func hammer(t *testing.T, load load) (*logs, porcupine.CheckResult) {
	const clients, rounds = 32, 200
	l := &logs{t: t}
	synctest.Test(t, func(t *testing.T) {
		var wg sync.WaitGroup
		for c := range clients {
			wg.Go(func() {
				for range rounds {
					time.Sleep(rand.N(100 * time.Microsecond))
					keys := questions[rand.IntN(len(questions))]
					if rand.IntN(3) == 0 {
						began := l.clock.Add(1)
						length := l.lengths[keys[0]].Add(1)
						l.note(c, access{keys[0], true}, began, length)
						continue
					}
					l.look(c, load, keys)
				}
			})
		}
		wg.Wait()
		time.Sleep(time.Minute) // flights that everybody left are still up
	})
	said := porcupine.CheckOperationsTimeout(model, l.notes, enough)
	t.Logf("%d loads, %d flights, %d notes: %s", l.loads.Load(), l.flights.Load(), len(l.notes), said)
	return l, said
}

// look asks for keys, and notes what it is told: a failure tells nothing.
func (l *logs) look(client int, load load, keys []int) {
	ctx := context.Background()
	if rand.IntN(5) == 0 { // leaves when it takes too long
		short, cancel := context.WithTimeout(ctx, rand.N(300*time.Microsecond))
		defer cancel()
		ctx = short
	}
	// Who flies alone gets the panic.
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
		l.note(client, access{k, false}, began, length)
	}
}

func wantFresh(t *testing.T, load load) {
	t.Helper()
	l, said := hammer(t, load)
	if said != porcupine.Ok {
		_, info := porcupine.CheckOperationsVerbose(model, l.notes, enough)
		picture := filepath.Join(t.ArtifactDir(), "history.html")
		t.Errorf("the history is %s; go test -artifacts keeps a picture of it: %s, %v", said, picture, porcupine.VisualizePath(model, info, picture))
	}
	if n := l.lost.Load(); n > 0 {
		t.Errorf("%d times somebody who left took the flight along", n)
	}
	if l.flights.Load()*3 > l.loads.Load()*2 {
		t.Errorf("%d flights for %d loads: little was shared", l.flights.Load(), l.loads.Load())
	}
	if len(l.notes) < int(l.loads.Load()) { // two for many a load, and one for each append
		t.Errorf("%d loads and only %d notes", l.loads.Load(), len(l.notes))
	}
}

func TestGroupIsFresh(t *testing.T) {
	var g Group[string, map[int]int64]
	wantFresh(t, func(ctx context.Context, l *logs, keys []int) (map[int]int64, error) {
		return g.Do(ctx, fmt.Sprint(keys), func(ctx context.Context) (map[int]int64, error) { return l.fetch(ctx, keys) })
	})
	if len(g.lines) != 0 {
		t.Errorf("%d questions are remembered after the last answer", len(g.lines))
	}
}

func TestBatchIsFreshAndWhole(t *testing.T) {
	var all *logs
	b := NewBatch(mostKeys, func(ctx context.Context, keys []int) (map[int]int64, error) { return all.fetch(ctx, keys) })
	var once sync.Once
	wantFresh(t, func(ctx context.Context, l *logs, keys []int) (map[int]int64, error) {
		once.Do(func() { all = l })
		return b.Load(ctx, keys)
	})
	if b.inAir != 0 || b.boarding != nil {
		t.Errorf("%d flights are in the air after the last answer", b.inAir)
	}
}

// The same check catches the usual way of joining, so it can fail.
func TestCheckCatchesTheNaiveJoin(t *testing.T) {
	var mu sync.Mutex
	inAir := map[string]*flight[map[int]int64]{}
	naive := func(ctx context.Context, l *logs, keys []int) (map[int]int64, error) {
		question := fmt.Sprint(keys)
		mu.Lock()
		f := inAir[question]
		if f == nil {
			f = &flight[map[int]int64]{ctx: context.WithoutCancel(ctx), landed: make(chan struct{})}
			f.fly = func(ctx context.Context) (map[int]int64, error) {
				defer func() {
					mu.Lock()
					delete(inAir, question)
					mu.Unlock()
				}()
				return l.fetch(ctx, keys)
			}
			inAir[question] = f
			go f.run()
		}
		mu.Unlock()
		return f.wait(ctx)
	}
	said := porcupine.Unknown
	for try := 0; try < 3 && said == porcupine.Unknown; try++ {
		_, said = hammer(t, naive)
	}
	if said != porcupine.Illegal {
		t.Errorf("joining a call under way is %s", said)
	}
}
