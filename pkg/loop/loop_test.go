package loop_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/penstock-cd/penstock/pkg/loop"
)

var (
	_ manager.Runnable               = &loop.Loop{}
	_ manager.LeaderElectionRunnable = &loop.Loop{}

	errDown = errors.New("database is down")
)

// start starts a loop, and returns a function that stops it and waits for its end. The
// end of the test stops it too.
func start(t *testing.T, l *loop.Loop) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var err error
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		err = l.Start(ctx)
	}()
	stop = func() {
		cancel()
		<-ended
		require.NoError(t, err)
	}
	t.Cleanup(stop)
	return stop
}

// run is what one call of Run takes and returns.
type run struct {
	took, rest time.Duration
	err        error
	panics     bool
	notifies   bool
}

// schedule runs a loop for a minute, and returns when its runs began. The last of runs
// is repeated.
func schedule(t *testing.T, config loop.Config, runs []run, notifyAt []time.Duration) (began []time.Duration) {
	t.Helper()
	created := time.Now()
	config.Name, config.Signal = "test", &loop.Signal{}
	config.Run = func(context.Context) (time.Duration, error) {
		now := runs[min(len(began), len(runs)-1)]
		began = append(began, time.Since(created))
		time.Sleep(now.took)
		if now.notifies {
			config.Signal.Notify()
		}
		if now.panics {
			panic("spilled")
		}
		return now.rest, now.err
	}
	for _, at := range notifyAt {
		time.AfterFunc(at, config.Signal.Notify)
	}
	stop := start(t, loop.New(config))
	time.Sleep(time.Minute - time.Nanosecond)
	stop()
	return began
}

func seconds(all ...float64) []time.Duration {
	durations := make([]time.Duration, len(all))
	for i, one := range all {
		durations[i] = time.Duration(one * float64(time.Second))
	}
	return durations
}

func TestWhenALoopRuns(t *testing.T) {
	t.Parallel()
	const second = time.Second
	for sentence, tc := range map[string]struct {
		config   loop.Config
		runs     []run
		notifyAt []time.Duration
		want     []time.Duration
	}{
		"it runs once at start, and without a signal or an interval never again": {
			runs: []run{{}}, want: seconds(0),
		},
		"it runs until it has succeeded once": {
			config: loop.Config{Retry: 2 * second},
			runs:   []run{{err: errDown}, {took: second, err: errDown}, {}}, want: seconds(0, 2, 5),
		},
		"an interval begins at the end of a run": {
			config: loop.Config{Interval: 20 * second},
			runs:   []run{{took: 5 * second}}, want: seconds(0, 25, 50),
		},
		"a signal starts a run at once": {
			runs: []run{{}}, notifyAt: seconds(3, 4.5), want: seconds(0, 3, 4.5),
		},
		"the interval begins again after a signal": {
			config: loop.Config{Interval: 20 * second},
			runs:   []run{{}}, notifyAt: seconds(15), want: seconds(0, 15, 35, 55),
		},
		"signals during a run are answered by one more": {
			runs: []run{{took: 10 * second}, {}}, notifyAt: seconds(1, 2, 9), want: seconds(0, 10),
		},
		"a run that leaves something to do is followed by another": {
			runs: []run{{took: second, notifies: true}, {took: second, notifies: true}, {}}, want: seconds(0, 1, 2),
		},
		"signals wait for the least interval": {
			config: loop.Config{MinInterval: 5 * second, Interval: 30 * second},
			runs:   []run{{}}, notifyAt: seconds(1, 2, 3, 30), want: seconds(0, 5, 30),
		},
		"a run that asks for a longer rest gets it": {
			config: loop.Config{MinInterval: 5 * second},
			runs:   []run{{rest: 12 * second}, {}}, notifyAt: seconds(1, 13), want: seconds(0, 12, 17),
		},
		"a run that asks for a shorter rest gets it": {
			config: loop.Config{MinInterval: 5 * second},
			runs:   []run{{rest: 2 * second}, {}}, notifyAt: seconds(1, 3), want: seconds(0, 2, 7),
		},
		"no signal hurries a retry, and the retry is the answer": {
			config: loop.Config{Retry: 10 * second, Interval: 40 * second},
			runs:   []run{{err: errDown}, {}}, notifyAt: seconds(1, 9), want: seconds(0, 10, 50),
		},
		"a retry needs no signal": {
			config: loop.Config{Retry: 10 * second, MinInterval: 30 * second},
			runs:   []run{{}, {err: errDown}, {}}, notifyAt: seconds(31), want: seconds(0, 31, 41),
		},
		"a run that fails says itself when it is tried again": {
			config: loop.Config{Retry: 10 * second},
			runs:   []run{{rest: second, err: errDown}, {rest: 2 * second, err: errDown}, {err: errDown}, {}}, want: seconds(0, 1, 3, 13),
		},
		"without Retry an error is tried again after the interval": {
			config: loop.Config{Interval: 25 * second},
			runs:   []run{{err: errDown}}, want: seconds(0, 25, 50),
		},
		"without Retry and Interval an error is tried again after a second": {
			runs: []run{{err: errDown}, {err: errDown}, {}}, want: seconds(0, 1, 2),
		},
		"a panic is an error": {
			config: loop.Config{Retry: 10 * second},
			runs:   []run{{panics: true}, {}}, want: seconds(0, 10),
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				require.Equal(t, tc.want, schedule(t, tc.config, tc.runs, tc.notifyAt))
			})
		})
	}
}

func TestANotificationBeforeStartCostsNoExtraRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		signal, runs := &loop.Signal{}, 0
		signal.Notify()
		start(t, loop.New(loop.Config{Name: "test", Signal: signal, Run: func(context.Context) (time.Duration, error) {
			runs++
			return 0, nil
		}}))
		synctest.Wait()
		require.Equal(t, 1, runs)
	})
}

func TestJitterOnlyLengthensAPauseByItsShare(t *testing.T) {
	t.Parallel()
	for sentence, failure := range map[string]error{"interval": nil, "retry": errDown} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				config := loop.Config{Interval: 100 * time.Millisecond, Jitter: 0.5}
				began := schedule(t, config, []run{{err: failure}}, nil)
				different := map[time.Duration]bool{}
				for i := range began[1:] {
					pause := began[i+1] - began[i]
					require.GreaterOrEqual(t, pause, 100*time.Millisecond)
					require.LessOrEqual(t, pause, 150*time.Millisecond)
					different[pause] = true
				}
				require.Greater(t, len(different), 100)
			})
		})
	}
}

func TestStopEndsTheContextOfTheRunUnderWayAndWaitsForIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		returned := false
		stop := start(t, loop.New(loop.Config{
			Name: "test",
			Run: func(ctx context.Context) (time.Duration, error) {
				<-ctx.Done()
				time.Sleep(5 * time.Second) // it needs a while to clean up
				returned = true
				return 0, ctx.Err()
			},
			OnError: func(err error, _ time.Duration) { t.Errorf("a shutdown is no error: %v", err) },
		}))
		synctest.Wait()
		began := time.Now()
		stop()
		require.True(t, returned)
		require.Equal(t, 5*time.Second, time.Since(began))
		stop() // twice is allowed
	})
}

func TestStopEndsEveryPauseAtOnce(t *testing.T) {
	t.Parallel()
	for sentence, tc := range map[string]struct {
		config loop.Config
		run    run
	}{
		"the wait for a signal":     {},
		"the wait for the interval": {config: loop.Config{Interval: time.Hour}},
		"the rest after a run":      {config: loop.Config{MinInterval: time.Hour}},
		"the pause after an error":  {config: loop.Config{Retry: time.Hour}, run: run{err: errDown}},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				tc.config.Name = "test"
				tc.config.Run = func(context.Context) (time.Duration, error) { return tc.run.rest, tc.run.err }
				stop := start(t, loop.New(tc.config))
				synctest.Wait()
				began := time.Now()
				stop()
				require.Zero(t, time.Since(began))
			})
		})
	}
}

func TestAnEndedContextRunsNothing(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	l := loop.New(loop.Config{Name: "test", Run: func(context.Context) (time.Duration, error) {
		t.Error("it was run")
		return 0, nil
	}})
	require.NoError(t, l.Start(ctx))
}

func TestALoopIsStartedOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := loop.New(loop.Config{Name: "test", Run: succeed})
		stop := start(t, l)
		synctest.Wait()
		require.ErrorIs(t, l.Start(t.Context()), loop.ErrStarted, "while it runs")
		stop()
		require.ErrorIs(t, l.Start(t.Context()), loop.ErrStarted, "after its end")
	})
}

func succeed(context.Context) (time.Duration, error) { return 0, nil }

func TestOnErrorIsCalledWithTheErrorAndWithThePauseThatFollows(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var got error
		var pause time.Duration
		start(t, loop.New(loop.Config{
			Name: "test", Retry: 7 * time.Second,
			Run:     func(context.Context) (time.Duration, error) { return 0, errDown },
			OnError: func(err error, retryIn time.Duration) { got, pause = err, retryIn },
		}))
		synctest.Wait()
		require.ErrorIs(t, got, errDown)
		require.Equal(t, 7*time.Second, pause)
	})
}

func TestWithoutOnErrorAnErrorIsLogged(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log, lines := newLog()
		start(t, loop.New(loop.Config{
			Name: "test", Log: log,
			Run: func(context.Context) (time.Duration, error) { return 0, errDown },
		}))
		synctest.Wait()
		require.Len(t, *lines, 1)
		require.Contains(t, (*lines)[0], errDown.Error())
		require.Contains(t, (*lines)[0], `"retryIn"="1s"`)
	})
}

func TestAPanicIsLoggedWithItsStackAlsoDuringAShutdown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log, lines := newLog()
		stop := start(t, loop.New(loop.Config{Name: "test", Log: log, Run: func(ctx context.Context) (time.Duration, error) {
			<-ctx.Done()
			panic("spilled")
		}}))
		synctest.Wait()
		stop()
		require.Len(t, *lines, 1)
		for _, part := range []string{"panic caught", `"where"="test"`, "spilled", "loop_test.go"} {
			require.Contains(t, (*lines)[0], part)
		}
	})
}

func newLog() (logr.Logger, *[]string) {
	lines := &[]string{}
	return funcr.New(func(_, line string) { *lines = append(*lines, line) }, funcr.Options{}), lines
}

func TestALoopNeedsLeadershipUnlessItRunsOnEveryReplica(t *testing.T) {
	t.Parallel()
	require.True(t, loop.New(loop.Config{Name: "test", Run: succeed}).NeedLeaderElection())
	require.False(t, loop.New(loop.Config{Name: "test", Run: succeed, EveryReplica: true}).NeedLeaderElection())
}

func TestAConfigWithoutNameOrRunIsAMistake(t *testing.T) {
	t.Parallel()
	require.Panics(t, func() { loop.New(loop.Config{Run: succeed}) })
	require.Panics(t, func() { loop.New(loop.Config{Name: "test"}) })
}
