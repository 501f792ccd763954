// Package restored compares, once at start, what Kubernetes tells of builds and runs with the
// tables, and notes there what the database has lost since it was restored.
//
// Until then nothing is planned: what the tables have forgotten would be triggered again.
package restored

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/pause"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/trigger"
)

const (
	// again is the pause after an error.
	again = time.Second
	// pageSize is how many objects are compared at once.
	pageSize = 500
	// maxRun is the greatest run number that is taken from a status: new runs are numbered from
	// there on, so that a number near the end of bigint would leave none. It is the greatest
	// integer that every JSON reader keeps exactly (RFC 8259, section 6).
	maxRun = 1<<53 - 1
)

var lost = prometheus.NewCounterVec(prometheus.CounterOpts{
	Name: "penstock_records_lost_total",
	Help: "Builds and runs that Kubernetes tells of and the database knew nothing of at a start, by kind.",
}, []string{"kind"})

func init() {
	metrics.Registry.MustRegister(lost)
	for _, kind := range []string{"build", "run"} {
		lost.WithLabelValues(kind) // from 0 on: a rate sees no growth in a series that begins with it
	}
}

// Rows is what is compared, and where it is noted.
type Rows interface {
	// Planned returns those of the builds whose plan is committed.
	Planned(ctx context.Context, buildUIDs []string) ([]string, error)
	// LostRuns returns those of the runs that are not known, nor noted as lost.
	LostRuns(ctx context.Context, told []store.LostRun) ([]store.LostRun, error)
	// NoteLost records that a run was made, and that nobody knows more.
	NoteLost(ctx context.Context, lost store.LostRun) error
}

// Config is what a Comparer needs.
type Config struct {
	// Cache reads the objects from memory.
	Cache client.Reader
	Rows  Rows
	// Events records events on CdPipelines.
	Events events.EventRecorder
	Log    logr.Logger
}

// Comparer compares once.
type Comparer struct {
	Config
	mu   sync.Mutex
	done bool
}

// New returns a comparer.
func New(config Config) *Comparer { return &Comparer{Config: config} }

// Compared returns once it was compared; what fails is tried again until the context ends.
// The caches must be filled.
func (c *Comparer) Compared(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for !c.done {
		err := c.compare(ctx)
		if err == nil {
			c.done = true
			return nil
		}
		if ctx.Err() == nil {
			c.Log.Error(err, "not compared with the database, will retry; nothing is planned meanwhile")
		}
		if !pause.For(ctx, again) {
			return ctx.Err()
		}
	}
	return nil
}

func (c *Comparer) compare(ctx context.Context) error {
	var builds v1alpha1.CiBuildList
	if err := c.Cache.List(ctx, &builds, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("list CiBuilds: %w", err)
	}
	if err := c.compareBuilds(ctx, builds.Items); err != nil {
		return err
	}
	pipelines, err := c.pipelines(ctx)
	if err != nil {
		return err
	}
	known := byName(builds.Items)
	for page := range slices.Chunk(pipelines, pageSize) {
		if err := c.compareRuns(ctx, page, known); err != nil {
			return err
		}
	}
	return nil
}

func byName(builds []v1alpha1.CiBuild) map[types.NamespacedName]*v1alpha1.CiBuild {
	known := make(map[types.NamespacedName]*v1alpha1.CiBuild, len(builds))
	for i := range builds {
		known[client.ObjectKeyFromObject(&builds[i])] = &builds[i]
	}
	return known
}

// pipelines returns the names of all CdPipelines. The list itself is as large as a part of the
// cache, and is not kept while the database is asked.
func (c *Comparer) pipelines(ctx context.Context) ([]types.NamespacedName, error) {
	var list v1alpha1.CdPipelineList
	if err := c.Cache.List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("list CdPipelines: %w", err)
	}
	names := make([]types.NamespacedName, len(list.Items))
	for i := range list.Items {
		names[i] = client.ObjectKeyFromObject(&list.Items[i])
	}
	return names, nil
}

// compareRuns notes those of the pipelines' last runs of which nothing is known.
func (c *Comparer) compareRuns(ctx context.Context, pipelines []types.NamespacedName, builds map[types.NamespacedName]*v1alpha1.CiBuild) error {
	told := make([]store.LostRun, 0, len(pipelines))
	for _, name := range pipelines {
		run, err := c.toldRun(ctx, name, builds)
		if err != nil {
			return err
		}
		if run != nil {
			told = append(told, *run)
		}
	}
	if len(told) == 0 {
		return nil
	}
	unknown, err := c.Rows.LostRuns(ctx, told)
	if err != nil {
		return err
	}
	for _, run := range unknown {
		if err := c.note(ctx, run); err != nil {
			return err
		}
	}
	return nil
}

// compareBuilds counts the builds that were planned, of which nothing is known. Their own
// status tells of it.
func (c *Comparer) compareBuilds(ctx context.Context, builds []v1alpha1.CiBuild) error {
	var uids []string
	for i := range builds {
		if meta.IsStatusConditionTrue(builds[i].Status.Conditions, v1alpha1.ConditionPlanned) {
			uids = append(uids, string(builds[i].UID))
		}
	}
	missing := 0
	for page := range slices.Chunk(uids, pageSize) {
		planned, err := c.Rows.Planned(ctx, page)
		if err != nil {
			return err
		}
		missing += len(page) - len(planned)
	}
	if missing > 0 {
		lost.WithLabelValues("build").Add(float64(missing))
		c.Log.Info("the database knows nothing of builds that were planned; they are not planned again, and their status says how to trigger them", "builds", missing)
	}
	return nil
}

// toldRun is the last run that a pipeline's status tells of, of a build that exists; nil where
// there is none. It shares with the cache.
func (c *Comparer) toldRun(ctx context.Context, name types.NamespacedName, builds map[types.NamespacedName]*v1alpha1.CiBuild) (*store.LostRun, error) {
	pipeline := &v1alpha1.CdPipeline{}
	if err := c.Cache.Get(ctx, name, pipeline, client.UnsafeDisableDeepCopy); apierrors.IsNotFound(err) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("get CdPipeline: %w", err)
	}
	last := pipeline.Status.LastRun
	if last == nil || last.Run == 0 {
		return nil, nil
	}
	if last.Run < 0 || last.Run > maxRun {
		c.Log.Info("status.lastRun.run of the CdPipeline is no valid run number and is ignored",
			"namespace", pipeline.Namespace, "pipeline", pipeline.Name, "run", last.Run)
		return nil, nil
	}
	build := builds[types.NamespacedName{Namespace: pipeline.Namespace, Name: last.BuildName}]
	if build == nil {
		return nil, nil // nothing is planned of it any more
	}
	if build.CreationTimestamp.After(last.At.Time) || !build.Status.Phase.IsTerminal() {
		return nil, nil // it has the name of another one
	}
	return &store.LostRun{
		Run: last.Run, Build: trigger.FactsOf(build), Pipeline: pipeline,
		Artifacts: artifactsOf(build, v1alpha1.Artifact{Image: last.Image, Digest: last.Digest}),
	}, nil
}

// artifactsOf are the run's, and the others of its build: which of these had a run as well is
// not known.
func artifactsOf(build *v1alpha1.CiBuild, own v1alpha1.Artifact) []v1alpha1.Artifact {
	artifacts := []v1alpha1.Artifact{own}
	for _, other := range build.Status.Artifacts {
		if !slices.Contains(artifacts, other) {
			artifacts = append(artifacts, other)
		}
	}
	return artifacts
}

// note passes over what the database refuses, which it always will: one status that nobody
// can store must not keep everything from being planned.
func (c *Comparer) note(ctx context.Context, run store.LostRun) error {
	err := c.Rows.NoteLost(ctx, run)
	if store.IsInvalid(err) {
		c.Log.Error(err, "lost run not noted: the database refuses what the pipeline's status tells of it",
			"namespace", run.Pipeline.Namespace, "pipeline", run.Pipeline.Name, "run", run.Run, "build", run.Build.Name)
		return nil
	}
	if err != nil {
		return err
	}
	lost.WithLabelValues("run").Inc()
	c.Log.Info("the database knows nothing of a pipeline's last run; it is not triggered again",
		"namespace", run.Pipeline.Namespace, "pipeline", run.Pipeline.Name, "run", run.Run, "build", run.Build.Name)
	c.Events.Eventf(run.Pipeline, nil, corev1.EventTypeWarning, string(v1alpha1.ReasonRecordsLost), "Compare",
		"The database knows nothing of run %d of build %s, as after it was restored. Nothing is triggered again by itself: look at what is deployed, "+
			"and create a RunRequest with action Trigger for this build to run it again", run.Run, run.Build.Name)
	return nil
}
