package wave_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/types"

	"github.com/penstock-cd/penstock/pkg/wave"
	"github.com/penstock-cd/penstock/test/given"
)

var began = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

// at is a time so many seconds after the wave of base image a began.
func at(seconds int) time.Time { return began.Add(time.Duration(seconds) * time.Second) }

type (
	baseFacts = map[string]wave.BaseFacts
	rebuilds  = map[string]wave.Rebuild
)

// rebuilt is where a builder stands in the wave of a.
func rebuilt(state wave.State, ended ...int) wave.Rebuild {
	rebuild := wave.Rebuild{Base: key("a"), State: state}
	for _, seconds := range ended {
		rebuild.EndedAt = at(seconds)
	}
	return rebuild
}

func known(of baseFacts, builders rebuilds) wave.Facts {
	facts := wave.Facts{Began: began, Bases: map[types.NamespacedName]wave.BaseFacts{}, Rebuilds: map[string]wave.Rebuild{}}
	for name, one := range of {
		facts.Bases[key(name)] = one
	}
	for name, one := range builders {
		facts.Rebuilds[string(given.UID(name))] = one
	}
	return facts
}

// objects are what a graph is of.
type objects struct {
	bases bases
	apps  apps
}

// x is built on a and on b. In all of these the wave is that of a.
var (
	// b is built by m, which is built on a.
	twoSteps = objects{bases{base("a"), built("b", "m")}, apps{app("m", on("a")), app("x", on("a", "b"))}}
	// b is built by n on c, which is built by m on a.
	threeSteps = objects{bases{base("a"), built("c", "m"), built("b", "n")}, apps{app("m", on("a")), app("n", on("c")), app("x", on("a", "b"))}}
	// a and b are built by l and m on top.
	diamond = objects{bases{base("top"), built("a", "l"), built("b", "m")}, apps{app("l", on("top")), app("m", on("top")), app("x", on("a", "b"))}}
	// a and b are of registries.
	apart      = objects{bases{base("a"), base("b")}, apps{app("x", on("a", "b"))}}
	bSuspended = objects{bases{base("a"), built("b", "m", suspended)}, apps{app("m", on("a")), app("x", on("a", "b"))}}
	mSuspended = objects{bases{base("a"), base("top"), built("b", "m")}, apps{app("m", on("top"), suspendedPipeline), app("x", on("a", "b"))}}
	// x builds b itself.
	ring = objects{bases{base("a"), built("b", "x")}, apps{app("x", on("a", "b"))}}
	// The builder of b does not exist.
	orphan = objects{bases{base("a"), built("b", "gone")}, apps{app("x", on("a", "b"))}}
)

const (
	byB       = "it is built by the wave of BaseImage b, which has changed as well"
	notB      = "BaseImage b, which it is built on as well, was not rebuilt"
	maybeB    = "BaseImage b may be rebuilt first"
	untouched = ""
)

func TestADeferredPipelineWaitsForTheCourseOfItsOtherBaseImages(t *testing.T) {
	t.Parallel()
	for sentence, c := range map[string]struct {
		of      objects
		facts   wave.Facts
		want    wave.State
		message string
	}{
		"the build of the other waits":               {twoSteps, known(nil, rebuilds{"m": rebuilt(wave.Pending)}), wave.Deferred, maybeB},
		"the build of the other is itself deferred":  {twoSteps, known(nil, rebuilds{"m": rebuilt(wave.Deferred)}), wave.Deferred, maybeB},
		"the build of the other goes on":             {twoSteps, known(nil, rebuilds{"m": rebuilt(wave.Building)}), wave.Deferred, maybeB},
		"it has ended, and is not looked at yet":     {twoSteps, known(baseFacts{"b": {CheckedAt: at(9)}}, rebuilds{"m": rebuilt(wave.Succeeded, 10)}), wave.Deferred, maybeB},
		"it was looked at, and has changed nothing":  {twoSteps, known(baseFacts{"b": {CheckedAt: at(11)}}, rebuilds{"m": rebuilt(wave.Succeeded, 10)}), wave.Pending, untouched},
		"it has changed, and its wave is due":        {twoSteps, known(baseFacts{"b": {CheckedAt: at(11), WaveIsDue: true}}, rebuilds{"m": rebuilt(wave.Succeeded, 10)}), wave.Deferred, maybeB},
		"it has changed, and its wave has begun":     {twoSteps, known(baseFacts{"b": {CheckedAt: at(11), WaveBegan: at(12)}}, rebuilds{"m": rebuilt(wave.Succeeded, 10)}), wave.Skipped, byB},
		"its wave has begun, and another one is due": {twoSteps, known(baseFacts{"b": {WaveIsDue: true, WaveBegan: at(12)}}, nil), wave.Skipped, byB},
		"nobody ever looks at it": {
			twoSteps, known(nil, rebuilds{"m": {Base: key("a"), State: wave.Succeeded, EndedAt: at(10), IsOld: true}}), wave.Pending, untouched,
		},
		"the build of the other has failed":                  {twoSteps, known(nil, rebuilds{"m": rebuilt(wave.Failed, 10)}), wave.Skipped, notB},
		"the build of the other had failed before":           {twoSteps, known(nil, rebuilds{"m": rebuilt(wave.Failed, -10)}), wave.Pending, untouched},
		"nothing is known of the other":                      {twoSteps, known(nil, nil), wave.Pending, untouched},
		"the last wave of the other began before":            {twoSteps, known(baseFacts{"b": {WaveBegan: at(-1)}}, nil), wave.Pending, untouched},
		"a suspended image changes nothing until it goes on": {bSuspended, known(baseFacts{"b": {WaveIsDue: true}}, rebuilds{"m": rebuilt(wave.Building)}), wave.Pending, untouched},
		"a suspended image of which the wave has begun builds it": {
			bSuspended, known(baseFacts{"b": {WaveBegan: at(3)}}, nil), wave.Skipped, byB,
		},
		"in the wave of a suspended image nothing begins": {
			bSuspended, known(nil, rebuilds{"m": {Base: key("b"), State: wave.Pending}}), wave.Pending, untouched,
		},
		"a suspended builder is waited for no more":      {mSuspended, known(baseFacts{"top": {WaveIsDue: true}}, nil), wave.Pending, untouched},
		"a build of a suspended builder that goes on is": {mSuspended, known(nil, rebuilds{"m": rebuilt(wave.Building)}), wave.Deferred, maybeB},
		"what builds its own base image waits for none":  {ring, known(baseFacts{"b": {WaveIsDue: true}}, rebuilds{"x": rebuilt(wave.Deferred)}), wave.Pending, untouched},
		"a builder that does not exist builds nothing":   {orphan, known(nil, nil), wave.Pending, untouched},
		"the first of two builders goes on":              {threeSteps, known(nil, rebuilds{"m": rebuilt(wave.Building)}), wave.Deferred, maybeB},
		"the first has ended, and is not looked at":      {threeSteps, known(nil, rebuilds{"m": rebuilt(wave.Succeeded, 10)}), wave.Deferred, maybeB},
		"the image between has changed, its wave is due": {threeSteps, known(baseFacts{"c": {CheckedAt: at(11), WaveIsDue: true}}, rebuilds{"m": rebuilt(wave.Succeeded, 10)}), wave.Deferred, maybeB},
		"the second builder goes on":                     {threeSteps, known(baseFacts{"c": {CheckedAt: at(11), WaveBegan: at(12)}}, rebuilds{"m": rebuilt(wave.Succeeded, 10), "n": rebuilt(wave.Building)}), wave.Deferred, maybeB},
		"the image between has not changed":              {threeSteps, known(baseFacts{"c": {CheckedAt: at(11)}}, rebuilds{"m": rebuilt(wave.Succeeded, 10)}), wave.Pending, untouched},
		"the first of two builders has failed":           {threeSteps, known(nil, rebuilds{"m": rebuilt(wave.Failed, 10)}), wave.Skipped, notB},
		"the second has succeeded although the first failed": {
			threeSteps, known(baseFacts{"b": {CheckedAt: at(21)}}, rebuilds{"m": rebuilt(wave.Failed, 10), "n": rebuilt(wave.Succeeded, 20)}), wave.Pending, untouched,
		},
		"the image on top of both is due":     {diamond, known(baseFacts{"top": {WaveIsDue: true}}, nil), wave.Deferred, maybeB},
		"the other half of a diamond goes on": {diamond, known(nil, rebuilds{"m": {Base: key("top"), State: wave.Building}}), wave.Deferred, maybeB},
		"the other half of a diamond had ended before, and is not looked at": {
			diamond, known(baseFacts{"b": {CheckedAt: at(-20)}}, rebuilds{"m": {Base: key("top"), State: wave.Succeeded, EndedAt: at(-10)}}), wave.Deferred, maybeB,
		},
		"the other half of a diamond has failed, which was not for this change": {
			diamond, known(nil, rebuilds{"m": {Base: key("top"), State: wave.Failed, EndedAt: at(10)}}), wave.Pending, untouched,
		},
		"the other half of a diamond has its wave":      {diamond, known(baseFacts{"b": {WaveBegan: at(1)}}, nil), wave.Skipped, byB},
		"both have changed at once, the other is due":   {apart, known(baseFacts{"b": {WaveIsDue: true}}, nil), wave.Deferred, maybeB},
		"both have changed at once, the other is later": {apart, known(baseFacts{"b": {WaveBegan: at(1)}}, nil), wave.Skipped, byB},
		"both have changed at once, the other is first": {apart, known(baseFacts{"b": {WaveBegan: at(-1)}}, nil), wave.Pending, untouched},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			state, message := wave.NewGraph(c.of.bases, c.of.apps).Look(key("a"), c.facts).Undefer(wave.Item{Pipeline: key("x"), State: wave.Deferred})
			require.Equal(t, c.want, state)
			require.Equal(t, c.message, message)
		})
	}
}

func TestADeferredPipelineThatIsGoneIsLeftToItsBuild(t *testing.T) {
	t.Parallel()
	state, _ := wave.NewGraph(nil, nil).Look(key("a"), wave.Facts{}).Undefer(wave.Item{Pipeline: key("x"), State: wave.Deferred})
	require.Equal(t, wave.Pending, state)
}
