package wave_test

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/wave"
	"github.com/penstock-cd/penstock/test/given"
)

const parallel, failures = 2, 1

// tick is one look of the controller.
func (m *model) tick() {
	open := slices.DeleteFunc(slices.Clone(m.waves), func(one *run) bool { return one.state != v1alpha1.WaveRunning })
	for i := range m.bases {
		m.begin(&m.bases[i])
	}
	for _, one := range open {
		m.goOn(one)
	}
}

func (m *model) begin(image *v1alpha1.BaseImage) {
	known := m.rows[key(image.Name)]
	if image.Spec.Suspend || known.dueAt.IsZero() || known.dueAt.After(m.now) {
		return
	}
	known.dueAt = time.Time{}
	items := wave.Begin(m.graph, key(image.Name), image.Name, known.number+1)
	if len(items) == 0 {
		return
	}
	begun := &run{base: key(image.Name), state: v1alpha1.WaveRunning, items: items, courses: map[types.NamespacedName]course{}}
	for _, item := range items {
		begun.courses[item.Pipeline] = maps.Clone(known.unwaved)
	}
	for _, older := range m.waves {
		if older.base == key(image.Name) {
			m.giveUp(older, begun)
		}
	}
	known.number++
	m.now = m.now.Add(time.Millisecond) // no two begin at once
	known.began, known.wasCancelled, known.unwaved, begun.began = m.now, false, course{}, m.now
	m.tell("wave %d of %s: %v", known.number, image.Name, states(items))
	m.waves = append(m.waves, begun)
}

// giveUp is what EndOlderWaves and CancelWave do. A newer wave builds what has not begun.
func (m *model) giveUp(one, newer *run) {
	if one.state != v1alpha1.WaveRunning && one.state != v1alpha1.WaveStopped {
		return
	}
	one.state = v1alpha1.WaveCancelled
	for i := range one.items {
		if !one.items[i].State.HasEnded() && one.items[i].State != wave.Building {
			one.items[i].State = wave.Skipped
			if newer != nil && newer.courses[one.items[i].Pipeline] != nil {
				maps.Copy(newer.courses[one.items[i].Pipeline], one.courses[one.items[i].Pipeline])
			}
		}
	}
}

func (m *model) goOn(one *run) {
	look := m.graph.Look(one.base, m.facts(one))
	for i, item := range one.items {
		if item.State == wave.Deferred {
			one.items[i].State, one.items[i].Message = look.Undefer(item)
			if one.items[i].State != wave.Deferred {
				m.tell("%s in the wave of %s: %s %s", item.Pipeline.Name, one.base.Name, one.items[i].State, one.items[i].Message)
			}
		}
	}
	limits := wave.Limits{MaxParallel: parallel, MaxFailures: 100, Forgiven: one.forgiven}
	if m.meddles {
		limits.MaxFailures = failures
	}
	if m.image(one.base).Spec.Suspend {
		limits.MaxParallel = 0
	}
	switch step := wave.Next(one.items, limits); {
	case step.Ends:
		one.state = v1alpha1.WaveSucceeded
	case step.Stops:
		one.state, m.stirred = v1alpha1.WaveStopped, true
	default:
		m.start(one, step.Start)
	}
}

func (m *model) start(one *run, items []wave.Item) {
	for _, item := range items {
		place := slices.IndexFunc(one.items, func(same wave.Item) bool { return same.Pipeline == item.Pipeline })
		one.items[place].State = wave.Building
		begun := &build{of: one, item: place, made: maps.Clone(one.courses[item.Pipeline]), digest: map[types.NamespacedName]string{}}
		for _, base := range m.graph.BasesOf(m.graph.Pipeline(item.Pipeline)) {
			begun.digest[base] = m.rows[base].digest
		}
		m.builds = append(m.builds, begun)
		m.tell("%s begins in the wave of %s for %v", item.Pipeline.Name, one.base.Name, slices.Sorted(maps.Keys(begun.made)))
	}
}

// end ends a build: it makes another image, the same one, or fails.
func (m *model) end() {
	open := slices.DeleteFunc(slices.Clone(m.builds), func(one *build) bool { return one.ended })
	if len(open) == 0 {
		return
	}
	one := open[m.random.IntN(len(open))]
	item := &one.of.items[one.item]
	one.ended, item.EndedAt, item.State = true, m.now, wave.Succeeded
	outcome := m.random.IntN(8)
	m.tell("%s ends in the wave of %s: %d", item.Pipeline.Name, one.of.base.Name, outcome)
	switch outcome {
	case 0:
		item.State, m.hasFailed = wave.Failed, true
	case 1: // what it makes is what there was
	default:
		for i := range m.bases {
			if from := m.bases[i].Spec.From; from != nil && from.PipelineRef.Name == item.Pipeline.Name {
				known := m.rows[key(m.bases[i].Name)]
				if known.pushed != known.digest { // not looked at yet
					maps.Copy(known.pushedBy, one.made)
				} else {
					known.pushedBy = maps.Clone(one.made)
				}
				known.pushed = fmt.Sprint("build ", len(m.log))
			}
		}
	}
}

// meddle is what a person does.
func (m *model) meddle() {
	m.stirred = true
	switch m.random.IntN(4) {
	case 0:
		image := &m.bases[m.random.IntN(len(m.bases))]
		image.Spec.Suspend = !image.Spec.Suspend
		m.tell("%s is suspended: %v", image.Name, image.Spec.Suspend)
	case 1:
		pipeline := &m.apps[m.random.IntN(len(m.apps))]
		pipeline.Spec.Suspend = !pipeline.Spec.Suspend
		m.tell("%s is suspended: %v", pipeline.Name, pipeline.Spec.Suspend)
	case 2:
		pipeline := &m.apps[m.random.IntN(len(m.apps))]
		pipeline.Spec.BaseImages = nil
		on(m.bases[m.random.IntN(len(m.bases))].Name, m.bases[m.random.IntN(len(m.bases))].Name)(pipeline)
		m.tell("%s is built on %v", pipeline.Name, pipeline.Spec.BaseImages)
	default:
		m.decide(m.random.IntN(2) == 0)
	}
	m.see()
}

// decide resumes every wave that has stopped, or gives it up.
func (m *model) decide(resumes bool) {
	for _, one := range m.waves {
		switch {
		case one.state != v1alpha1.WaveStopped:
		case resumes:
			one.state, one.forgiven = v1alpha1.WaveRunning, 0
			for _, item := range one.items {
				if item.State == wave.Failed {
					one.forgiven++
				}
			}
		default:
			m.giveUp(one, nil)
			known := m.rows[one.base]
			known.wasCancelled = known.wasCancelled || known.began.Equal(one.began)
		}
	}
}

// calm takes back what a person has set.
func (m *model) calm() {
	for i := range m.bases {
		m.bases[i].Spec.Suspend = false
	}
	for i := range m.apps {
		m.apps[i].Spec.Suspend = false
	}
	m.see()
}

func (m *model) image(name types.NamespacedName) *v1alpha1.BaseImage {
	for i := range m.bases {
		if m.bases[i].Name == name.Name {
			return &m.bases[i]
		}
	}
	return nil
}

// facts are what NamedBaseImages and NewestRebuilds tell.
func (m *model) facts(one *run) wave.Facts {
	facts := wave.Facts{Began: one.began, Bases: map[types.NamespacedName]wave.BaseFacts{}, Rebuilds: map[string]wave.Rebuild{}}
	for name, known := range m.rows {
		told := wave.BaseFacts{CheckedAt: known.checkedAt, WaveIsDue: !known.dueAt.IsZero()}
		if !known.wasCancelled {
			told.WaveBegan = known.began
		}
		facts.Bases[name] = told
	}
	for _, other := range m.waves {
		for _, item := range other.items {
			if item.State == wave.Skipped || (other.state != v1alpha1.WaveRunning && (item.State == wave.Pending || item.State == wave.Deferred)) {
				continue
			}
			newest, exists := facts.Rebuilds[item.PipelineUID]
			if !exists || item.EndedAt.IsZero() || (!newest.EndedAt.IsZero() && !item.EndedAt.Before(newest.EndedAt)) {
				facts.Rebuilds[item.PipelineUID] = wave.Rebuild{
					Base: other.base, State: item.State, EndedAt: item.EndedAt, IsOld: m.now.Sub(item.EndedAt) > wave.CheckPatience,
				}
			}
		}
	}
	return facts
}

// judge looks, when nothing more happens, at what has become of it.
func (m *model) judge() {
	for again := 0; again < 30; again++ { // persons let every wave go on
		m.decide(true)
		for range 40 {
			m.tick()
			m.end()
			m.checkAll()
			m.now = m.now.Add(4 * time.Second)
		}
	}
	for _, one := range m.waves {
		if one.state == v1alpha1.WaveRunning || one.state == v1alpha1.WaveStopped {
			m.fail("the wave of %s never ends: %v", one.base.Name, states(one.items))
		}
	}
	built := map[string]bool{}
	last := map[types.NamespacedName]*build{}
	for _, one := range m.builds {
		item := one.of.items[one.item]
		if built[item.BuildName] {
			m.fail("%s is built twice", item.BuildName)
		}
		built[item.BuildName], last[item.Pipeline] = true, one
		for number := range one.made {
			course := fmt.Sprint(item.Pipeline.Name, " for change ", number)
			if built[course] && !m.stirred {
				m.fail("%s is built twice", course)
			}
			built[course] = true
		}
	}
	if !m.stirred && !m.hasFailed {
		m.isCurrent(last)
	}
}

// isCurrent judges that everything was built on the newest of what it is built on.
func (m *model) isCurrent(last map[types.NamespacedName]*build) {
	for i := range m.apps {
		name := types.NamespacedName{Namespace: given.Namespace, Name: m.apps[i].Name}
		for _, base := range m.graph.BasesOf(&m.apps[i]) {
			if !m.rebuilds(base.Name, name) {
				continue
			}
			built, now := "0", m.rows[base].digest
			if last[name] != nil {
				built = last[name].digest[base]
			}
			if built != now {
				m.fail("%s was built on %s of %s, which is %s", name.Name, built, base.Name, now)
			}
		}
	}
}
