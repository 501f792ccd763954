// Package mirror observes builds and pipelines, and writes into the tables which of them
// exist, so that whoever answers questions reads Postgres alone.
package mirror

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/batch"
	"github.com/penstock-cd/penstock/pkg/crash"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/trigger"
)

const (
	// commitInterval is the least time between two writes.
	commitInterval = time.Second
	// maxWaiting bounds the objects that wait to be written.
	maxWaiting = 1_000_000
	// groupSize is how many objects are written together.
	groupSize = 200
	// pageSize is how many rows are read at once.
	pageSize = 5000
)

// Rows is what a Mirror writes.
type Rows interface {
	MirrorBuilds(ctx context.Context, builds []store.MirroredBuild) error
	MirrorCdPipelines(ctx context.Context, pipelines []store.MirroredCdPipeline) error
	MirrorCiPipelines(ctx context.Context, pipelines []store.MirroredCiPipeline) error
	// ForgetMirrored notes that objects are gone.
	ForgetMirrored(ctx context.Context, uids []string) error
	// Mirrored returns a page of the UIDs of what is believed to exist.
	Mirrored(ctx context.Context, after string, most int) ([]string, error)
}

// Config is what a Mirror needs.
type Config struct {
	// Cache reads the objects from memory.
	Cache client.Reader
	Rows  Rows
	Log   logr.Logger
}

// kind says which of the three kinds an object is of.
type kind byte

const (
	ciBuild kind = iota
	ciPipeline
	cdPipeline
)

// sighting is an object that came, changed or went. It is read from the cache when it is
// written: there may be tens of thousands at once.
type sighting struct {
	kind kind
	uid  types.UID
	key  types.NamespacedName
}

// Mirror writes rows.
type Mirror struct {
	Config
	seen      *batch.Committer[sighting]
	informers map[kind]cache.Informer
}

// New returns a mirror that does nothing until it is started.
func New(config Config) *Mirror {
	m := &Mirror{Config: config, informers: map[kind]cache.Informer{}}
	m.seen = batch.NewCoalescing(batch.Config[sighting]{
		Flush: m.write, FlushTimeout: 4 * store.WriteTimeout, MinInterval: commitInterval, MaxSize: groupSize, MaxWaiting: maxWaiting,
		OnError: func(err error, items int, retryIn time.Duration) {
			crash.Tell(m.Log, "mirror", err)
			m.Log.Error(err, "objects not mirrored, will retry", "objects", items, "retryIn", retryIn.String())
		},
	}, func(seen sighting) types.UID { return seen.uid })
	return m
}

// Watch makes the mirror see, once it is started, the objects that the informers see.
func (m *Mirror) Watch(ctx context.Context, informers cache.Informers) error {
	for kind, object := range map[kind]client.Object{
		ciBuild: &v1alpha1.CiBuild{}, ciPipeline: &v1alpha1.CiPipeline{}, cdPipeline: &v1alpha1.CdPipeline{},
	} {
		informer, err := informers.GetInformer(ctx, object)
		if err != nil {
			return fmt.Errorf("watch %T: %w", object, err)
		}
		m.informers[kind] = informer
	}
	return nil
}

// NeedLeaderElection keeps two replicas from writing the same.
func (m *Mirror) NeedLeaderElection() bool { return true }

// Start writes until the context ends, beginning with all that exists and all that is
// gone since the last time.
func (m *Mirror) Start(ctx context.Context) error {
	stop, err := m.listen()
	defer stop()
	if err != nil {
		return err
	}
	m.forgetDeleted(ctx)
	if err := m.seen.Run(ctx); err != nil {
		m.Log.Info("objects not mirrored, the next start does it", "error", err.Error())
	}
	return nil
}

// listen has the informers tell the mirror until stop is called.
func (m *Mirror) listen() (stop func(), err error) {
	var stops []func()
	stop = func() {
		for _, one := range stops {
			one()
		}
	}
	for kind, informer := range m.informers {
		registered, err := informer.AddEventHandler(m.handler(kind))
		if err != nil {
			return stop, fmt.Errorf("watch for the mirror: %w", err)
		}
		stops = append(stops, func() { _ = informer.RemoveEventHandler(registered) }) // fails only where it is not registered
	}
	return stop, nil
}

func (m *Mirror) handler(kind kind) toolscache.ResourceEventHandler {
	return toolscache.ResourceEventHandlerFuncs{
		AddFunc: func(object any) { m.note(kind, object) },
		UpdateFunc: func(before, after any) {
			if isAnother(before, after) {
				m.note(kind, before) // which is gone, and nobody says so
			}
			if isNews(before, after) {
				m.note(kind, after)
			}
		},
		DeleteFunc: func(object any) {
			if unknown, ok := object.(toolscache.DeletedFinalStateUnknown); ok {
				object = unknown.Obj
			}
			m.note(kind, object)
		},
	}
}

// isNews ignores what is not mirrored, such as our own status writes.
func isNews(before, after any) bool {
	if isAnother(before, after) {
		return true
	}
	if build, ok := after.(*v1alpha1.CiBuild); ok {
		return before.(*v1alpha1.CiBuild).Status.Phase != build.Status.Phase
	}
	old, isOld := before.(client.Object)
	current, isCurrent := after.(client.Object)
	return isOld && isCurrent && old.GetGeneration() != current.GetGeneration()
}

// isAnother tells whether an object was deleted and created again under its name while the
// watch was interrupted: the informer then tells of an update alone.
func isAnother(before, after any) bool {
	old, isOld := before.(client.Object)
	current, isCurrent := after.(client.Object)
	return isOld && isCurrent && old.GetUID() != current.GetUID()
}

func (m *Mirror) note(kind kind, object any) {
	known, ok := object.(client.Object)
	if !ok {
		return
	}
	// One that is not taken is written after the next start.
	_ = m.seen.Add(sighting{kind: kind, uid: known.GetUID(), key: client.ObjectKeyFromObject(known)})
}

// write writes a group as the cache has it now.
func (m *Mirror) write(ctx context.Context, group []sighting) error {
	var builds []store.MirroredBuild
	var cis []store.MirroredCiPipeline
	var cds []store.MirroredCdPipeline
	var gone []string
	for _, seen := range group {
		object, err := m.read(ctx, seen)
		if err != nil {
			return err
		}
		switch object := object.(type) {
		case *v1alpha1.CiBuild:
			builds = append(builds, mirroredBuild(object))
		case *v1alpha1.CiPipeline:
			cis = append(cis, mirroredCiPipeline(object))
		case *v1alpha1.CdPipeline:
			cds = append(cds, mirroredCdPipeline(object))
		default:
			gone = append(gone, string(seen.uid))
		}
	}
	if len(builds) > 0 {
		if err := m.Rows.MirrorBuilds(ctx, builds); err != nil {
			return err
		}
	}
	if len(cis) > 0 {
		if err := m.Rows.MirrorCiPipelines(ctx, cis); err != nil {
			return err
		}
	}
	if len(cds) > 0 {
		if err := m.Rows.MirrorCdPipelines(ctx, cds); err != nil {
			return err
		}
	}
	if len(gone) == 0 {
		return nil
	}
	return m.Rows.ForgetMirrored(ctx, gone)
}

// read returns the object, which it shares with the cache, or nil where it is gone; one of
// the same name that was created later is another.
func (m *Mirror) read(ctx context.Context, seen sighting) (client.Object, error) {
	object := newObject(seen.kind)
	err := m.Cache.Get(ctx, seen.key, object, client.UnsafeDisableDeepCopy)
	if apierrors.IsNotFound(err) || (err == nil && object.GetUID() != seen.uid) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read %T: %w", object, err)
	}
	return object, nil
}

func newObject(kind kind) client.Object {
	switch kind {
	case ciBuild:
		return &v1alpha1.CiBuild{}
	case ciPipeline:
		return &v1alpha1.CiPipeline{}
	default:
		return &v1alpha1.CdPipeline{}
	}
}

func mirroredBuild(build *v1alpha1.CiBuild) store.MirroredBuild {
	return store.MirroredBuild{
		UID: string(build.UID), Namespace: build.Namespace, Name: build.Name, CiPipeline: build.Spec.PipelineRef.Name,
		Revision: build.Spec.Revision, Ref: build.Spec.Ref, Cause: string(build.Cause()), Phase: string(build.Status.Phase),
		CreatedAt: build.CreationTimestamp.Time, SpecHash: hash(build.Spec),
	}
}

func mirroredCiPipeline(pipeline *v1alpha1.CiPipeline) store.MirroredCiPipeline {
	return store.MirroredCiPipeline{
		UID: string(pipeline.UID), Namespace: pipeline.Namespace, Name: pipeline.Name, Application: pipeline.Spec.Application,
		Suspended: pipeline.Spec.Suspend, SpecHash: hash(pipeline.Spec),
	}
}

func mirroredCdPipeline(pipeline *v1alpha1.CdPipeline) store.MirroredCdPipeline {
	return store.MirroredCdPipeline{
		UID: string(pipeline.UID), Namespace: pipeline.Namespace, Name: pipeline.Name,
		Application: trigger.Application(pipeline), Environment: pipeline.Spec.Environment,
		ParentKind: string(pipeline.Spec.ParentRef.Kind), ParentName: pipeline.Spec.ParentRef.Name,
		Policy: string(pipeline.Spec.ConcurrencyPolicy), Suspended: pipeline.Spec.Suspend, Held: pipeline.Spec.Hold, SpecHash: hash(pipeline.Spec),
	}
}

// hash is that of a spec, whatever its form.
func hash(spec any) string {
	encoded, err := json.Marshal(spec)
	if err != nil {
		panic(fmt.Sprintf("mirror: encode %T: %v", spec, err)) // specs come from JSON
	}
	sum := sha256.Sum256(encoded)
	return hex.EncodeToString(sum[:])
}

// forgetDeleted notes objects that have gone while nobody looked. What fails is done after
// the next start.
func (m *Mirror) forgetDeleted(ctx context.Context) {
	existing, err := m.existing(ctx)
	if err != nil {
		m.tellForget(ctx, err)
		return
	}
	for after := ""; ; {
		uids, err := m.Rows.Mirrored(ctx, after, pageSize)
		if err != nil {
			m.tellForget(ctx, err)
			return
		}
		var gone []string
		for _, uid := range uids {
			after = uid
			if !existing[types.UID(uid)] {
				gone = append(gone, uid)
			}
		}
		if len(gone) > 0 {
			if err := m.Rows.ForgetMirrored(ctx, gone); err != nil {
				m.tellForget(ctx, err)
				return
			}
		}
		if len(uids) < pageSize {
			return
		}
	}
}

func (m *Mirror) tellForget(ctx context.Context, err error) {
	if ctx.Err() == nil { // a shutdown is no error
		m.Log.Error(err, "deleted objects not looked for, the next start does it")
	}
}

// existing returns the UIDs of all that exists.
func (m *Mirror) existing(ctx context.Context) (map[types.UID]bool, error) {
	uids := map[types.UID]bool{}
	for _, list := range []client.ObjectList{&v1alpha1.CiBuildList{}, &v1alpha1.CiPipelineList{}, &v1alpha1.CdPipelineList{}} {
		if err := m.Cache.List(ctx, list, client.UnsafeDisableDeepCopy); err != nil {
			return nil, fmt.Errorf("list %T: %w", list, err)
		}
		err := meta.EachListItem(list, func(object runtime.Object) error {
			uids[object.(client.Object).GetUID()] = true
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("read %T: %w", list, err)
		}
	}
	return uids, nil
}
