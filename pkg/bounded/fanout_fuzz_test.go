package bounded_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/pkg/bounded"
)

// tick is the unit of a fan-out's times. What makes each of them different is below:
// every input takes a power of two more, so that no two sums are equal and no two
// answers come in the same instant.
const tick = time.Millisecond

// FuzzMap reads any bytes as one call of Map: a limit, a timeout, when the caller
// gives up, and inputs that answer well, badly, late or never. Which were begun,
// when, and with which answers, is what the model counts out.
func FuzzMap(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{3, 0, 0, 9, 0, 1, 0, 2, 0, 3, 0, 4, 0})             // a limit of 2
	f.Add([]byte{3, 2, 0, 9, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 9, 0})    // a timeout, and every way to end
	f.Add([]byte{2, 2, 0, 8, 4, 8, 4, 8, 4, 1, 0, 1, 0})             // the deaf give their slots up
	f.Add([]byte{4, 0, 7, 3, 0, 3, 4, 3, 3, 3, 2, 3, 1, 3, 0, 3, 0}) // a caller that gives up
	f.Add([]byte{4, 3, 1, 3, 0, 3, 4})                               // before anything has begun
	f.Fuzz(func(t *testing.T, bytes []byte) {
		synctest.Test(t, func(t *testing.T) { newFanOut(bytes).requireAsModelled(t) })
	})
}

// input is one input of a fan-out: how long it takes, and what it does then.
type input struct {
	number int
	takes  time.Duration
	way    int
}

// The ways of an input.
const (
	answers = iota
	fails
	panics
	exits
	isDeaf // answers, but ignores its context
	ways
)

// seen is one input's fate.
type seen struct {
	Begun  bool
	At     time.Duration
	Answer string
	Value  int
}

// fanOut is one call of Map.
type fanOut struct {
	limit                int
	timeout, cancelAfter time.Duration
	cancels              bool
	inputs               []input
}

func newFanOut(bytes []byte) *fanOut {
	pick := func(n int) int {
		if len(bytes) == 0 {
			return 0
		}
		chosen := int(bytes[0]) % n
		bytes = bytes[1:]
		return chosen
	}
	const most = 12
	f := &fanOut{limit: pick(8) - 1, timeout: time.Duration(pick(6)) * tick}
	if n := pick(16); n > 0 {
		f.cancels, f.cancelAfter = true, time.Duration(n-1)*tick
	}
	if f.cancelAfter > 0 {
		f.cancelAfter += 1 << most
	}
	for number := 0; len(bytes) > 0 && number < most; number++ {
		f.inputs = append(f.inputs, input{number, time.Duration(pick(10))*tick + 1<<number, pick(ways)})
	}
	return f
}

func (f *fanOut) requireAsModelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if f.cancels && f.cancelAfter == 0 {
		cancel()
	} else if f.cancels {
		time.AfterFunc(f.cancelAfter, cancel)
	}
	var mu sync.Mutex
	got, begin := make([]seen, len(f.inputs)), time.Now()
	results := bounded.Map(ctx, f.limit, f.timeout, f.inputs, func(ctx context.Context, in input) (int, error) {
		mu.Lock()
		got[in.number].Begun, got[in.number].At = true, time.Since(begin)
		mu.Unlock()
		return in.run(ctx)
	})
	took := time.Since(begin)
	require.Len(t, results, len(f.inputs))
	mu.Lock()
	for i, result := range results {
		got[i].Answer, got[i].Value = text(result.Err), result.Value
	}
	mu.Unlock()
	want, ends := f.model()
	require.Equal(t, want, got)
	require.Equal(t, ends, took)
	time.Sleep(time.Second) // for those that were left behind
}

func (in input) run(ctx context.Context) (int, error) {
	ended := ctx.Done()
	if in.way == isDeaf {
		ended = nil
	}
	select {
	case <-time.After(in.takes):
	case <-ended:
		return 0, context.Cause(ctx)
	}
	switch in.way {
	case fails:
		return 0, errors.New("unreachable")
	case panics:
		panic("poison")
	case exits:
		runtime.Goexit()
	}
	return in.number, nil
}

// model counts out when each input begins, in the slot that is free first, what its
// answer is, and when the last is there.
func (f *fanOut) model() (fates []seen, ends time.Duration) {
	slots := make([]time.Duration, max(f.limit, 1))
	fates = make([]seen, len(f.inputs))
	for i, in := range f.inputs {
		slot := firstOf(slots)
		if f.cancels && slots[slot] >= f.cancelAfter {
			fates[i].Answer, ends = text(context.Canceled), f.cancelAfter
			continue
		}
		fates[i].Begun, fates[i].At = true, slots[slot]
		after := in.takes
		fates[i].Answer, fates[i].Value = in.answer()
		if f.timeout > 0 && in.takes > f.timeout {
			after = f.timeout
			fates[i].Answer, fates[i].Value = text(&bounded.TimeoutError{After: f.timeout}), 0
		}
		slots[slot] += after
		if f.cancels && slots[slot] > f.cancelAfter {
			fates[i].Answer, fates[i].Value = text(context.Canceled), 0
			slots[slot] = f.cancelAfter
		}
		ends = max(ends, slots[slot])
	}
	return fates, ends
}

func (in input) answer() (string, int) {
	switch in.way {
	case fails:
		return "unreachable", 0
	case panics:
		return "panic poison", 0
	case exits:
		return text(bounded.ErrGoexit), 0
	default:
		return text(nil), in.number
	}
}

func firstOf(slots []time.Duration) (first int) {
	for i, at := range slots {
		if at < slots[first] {
			first = i
		}
	}
	return first
}
