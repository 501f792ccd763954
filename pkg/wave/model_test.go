package wave_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/types"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/wave"
	"github.com/penstock-cd/penstock/test/given"
)

// Each run draws a seed of its own and tells it. WAVE_SEED repeats one, and WAVE_MODELS is how
// many graphs a run goes through:
//
//	WAVE_SEED=7 WAVE_MODELS=1 go test ./pkg/wave -run AnyGraph -v
const seedVariable, modelsVariable = "WAVE_SEED", "WAVE_MODELS"

func setting(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	text, ok := os.LookupEnv(name)
	if !ok {
		return otherwise
	}
	value, err := strconv.ParseUint(text, 10, 64)
	require.NoError(t, err, name)
	return value
}

func TestWavesOverAnyGraphBuildEverythingOnceAndEnd(t *testing.T) {
	t.Parallel()
	seed := setting(t, seedVariable, rand.Uint64())
	for n := range setting(t, modelsVariable, 400) {
		for name, meddles := range map[string]bool{"left alone": false, "meddled with": true} {
			m := newModel(t, rand.New(rand.NewPCG(seed+n, 0)), meddles)
			m.repeat = fmt.Sprintf("%s=%d %s=1 repeats this, %s", seedVariable, seed+n, modelsVariable, name)
			m.run()
		}
	}
}

// course is which changes of registries, by their numbers, led to something.
type course map[int]bool

// row is a base image as the tables know it.
type row struct {
	digest, earlier         string
	checkedAt, began, dueAt time.Time
	settle                  time.Duration
	number                  int64
	pushed                  string // what the registry has, or the newest build has made
	pushedBy, unwaved       course // whose changes that is, and those that no wave was for yet
	wasCancelled            bool
}

// run is a wave as the tables know it.
type run struct {
	base     types.NamespacedName
	state    v1alpha1.WaveState
	began    time.Time
	items    []wave.Item
	courses  map[types.NamespacedName]course // of each item
	forgiven int
}

// build is one that goes on, or has ended.
type build struct {
	of     *run
	item   int
	made   course
	digest map[types.NamespacedName]string // of what it is built on
	ended  bool
}

type model struct {
	t       *testing.T
	random  *rand.Rand
	meddles bool
	repeat  string
	now     time.Time
	bases   []v1alpha1.BaseImage
	apps    []v1alpha1.CiPipeline
	graph   *wave.Graph
	rows    map[types.NamespacedName]*row
	waves   []*run
	builds  []*build
	changes int
	// hasFailed tells that something was not built, and stirred that a person has interfered, so
	// that no more can be said of what was built than that it was built once in each wave.
	hasFailed, stirred bool
	log                []string
}

func newModel(t *testing.T, random *rand.Rand, meddles bool) *model {
	m := &model{t: t, random: random, meddles: meddles, now: began, rows: map[types.NamespacedName]*row{}}
	for n := range 1 + random.IntN(5) {
		image := base(fmt.Sprint("b", n))
		if random.IntN(3) > 0 {
			given.BuiltBy(fmt.Sprint("p", random.IntN(7)))(&image)
		}
		m.bases = append(m.bases, image)
		m.rows[key(image.Name)] = &row{
			digest: "0", earlier: "0", pushed: "0", settle: time.Duration(random.IntN(30)) * time.Second, pushedBy: course{}, unwaved: course{},
		}
	}
	for n := range 1 + random.IntN(7) {
		pipeline := app(fmt.Sprint("p", n))
		for _, image := range m.bases {
			if random.IntN(3) == 0 {
				on(image.Name)(&pipeline)
			}
		}
		m.apps = append(m.apps, pipeline)
	}
	m.see()
	return m
}

func (m *model) see() { m.graph = wave.NewGraph(m.bases, m.apps) }

func (m *model) tell(format string, arguments ...any) {
	m.log = append(m.log, m.now.Format("15:04:05 ")+fmt.Sprintf(format, arguments...))
}

func (m *model) fail(format string, arguments ...any) {
	m.t.Helper()
	for _, image := range m.bases {
		from := ""
		if image.Spec.From != nil {
			from = " from " + image.Spec.From.PipelineRef.Name
		}
		m.t.Log(image.Name + from)
	}
	for i := range m.apps {
		m.t.Log(m.apps[i].Name, "on", m.graph.BasesOf(&m.apps[i]))
	}
	for _, line := range m.log {
		m.t.Log(line)
	}
	require.FailNow(m.t, fmt.Sprintf(format, arguments...), m.repeat)
}

// run lets everything happen in any order, then leaves it alone until nothing is left to do.
func (m *model) run() {
	for range 150 {
		steps := []func(){m.tick, m.tick, m.check, m.end, m.end, m.end, m.end}
		if m.random.IntN(6) == 0 {
			steps = append(steps, m.push)
		}
		if m.meddles && m.random.IntN(3) == 0 {
			steps = append(steps, m.meddle)
		}
		steps[m.random.IntN(len(steps))]()
		m.now = m.now.Add(time.Duration(m.random.IntN(4000)) * time.Millisecond)
	}
	m.calm()
	for range 400 {
		m.tick()
		m.end()
		m.checkAll()
		m.now = m.now.Add(4 * time.Second)
	}
	m.judge()
}

// push gives a registry another digest, now and then one that it had before.
func (m *model) push() {
	image := &m.bases[m.random.IntN(len(m.bases))]
	if image.Spec.From != nil {
		return
	}
	m.changes++
	known := m.rows[key(image.Name)]
	known.pushed, known.pushedBy = fmt.Sprint("change ", m.changes), course{m.changes: true}
	if m.random.IntN(5) == 0 {
		known.pushed = known.earlier
	}
	m.tell("%s is pushed: %s", image.Name, known.pushed)
}

// checkAll looks at every image.
func (m *model) checkAll() {
	for i := range m.bases {
		m.checkOne(&m.bases[i])
	}
}

func (m *model) check() { m.checkOne(&m.bases[m.random.IntN(len(m.bases))]) }

// checkOne is what RecordBaseImageChecks does.
func (m *model) checkOne(image *v1alpha1.BaseImage) {
	known := m.rows[key(image.Name)]
	if image.Spec.Suspend {
		return
	}
	known.checkedAt = m.now
	if known.digest == known.pushed {
		return
	}
	known.digest, known.earlier = known.pushed, known.digest
	m.tell("%s changes to %s", image.Name, known.digest)
	maps.Copy(known.unwaved, known.pushedBy)
	if due := m.now.Add(known.settle); known.dueAt.IsZero() || due.Before(known.dueAt) {
		known.dueAt = due
	}
	m.comesBefore(image, known.pushedBy)
}

// comesBefore judges that nothing was built on an image before it changed in the same course.
func (m *model) comesBefore(image *v1alpha1.BaseImage, by course) {
	if m.stirred || image.Spec.From == nil {
		return
	}
	for _, one := range m.builds {
		item := one.of.items[one.item]
		if !m.rebuilds(image.Name, item.Pipeline) {
			continue
		}
		for number := range by {
			if one.made[number] {
				m.fail("%s was built for change %d before %s changed because of it", item.Pipeline.Name, number, image.Name)
			}
		}
	}
}

// rebuilds tells whether a wave of the image builds the pipeline: it is no ring.
func (m *model) rebuilds(image string, pipeline types.NamespacedName) bool {
	for _, item := range wave.Begin(m.graph, key(image), "", 1) {
		if item.Pipeline == pipeline {
			return item.State != wave.Skipped
		}
	}
	return false
}
