package wave

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/stretchr/testify/require"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/given"
)

// scene is a waver before a real API server and a real database. It looks when the test says so.
type scene struct {
	*Waver
	t         *testing.T
	cluster   client.Client
	writer    *writer
	store     *store.Store
	events    *events.FakeRecorder
	namespace string
	image     *v1alpha1.BaseImage
}

// writer fails to create builds, or to write a status, while it is told to.
type writer struct {
	client.Client
	create, status func() error
	created        atomic.Int64
}

func (w *writer) Create(ctx context.Context, object client.Object, options ...client.CreateOption) error {
	if w.create != nil {
		if err := w.create(); err != nil {
			return err
		}
	}
	w.created.Add(1)
	return w.Client.Create(ctx, object, options...)
}

func (w *writer) Status() client.SubResourceWriter { return statusWriter{w.Client.Status(), w} }

type statusWriter struct {
	client.SubResourceWriter
	writer *writer
}

func (s statusWriter) Patch(ctx context.Context, object client.Object, patch client.Patch, options ...client.SubResourcePatchOption) error {
	if s.writer.status != nil {
		if err := s.writer.status(); err != nil {
			return err
		}
	}
	return s.SubResourceWriter.Patch(ctx, object, patch, options...)
}

// within reads some namespaces alone, which are the test's.
type within struct {
	client.Reader
	namespaces []string
}

func (i within) List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	switch all := list.(type) {
	case *v1alpha1.BaseImageList:
		return i.Reader.List(ctx, all, append(options, client.InNamespace(i.namespaces[0]))...)
	case *v1alpha1.CiPipelineList:
		for _, namespace := range i.namespaces {
			var some v1alpha1.CiPipelineList
			if err := i.Reader.List(ctx, &some, append(options, client.InNamespace(namespace))...); err != nil {
				return err
			}
			all.Items = append(all.Items, some.Items...)
		}
	}
	return nil
}

// newScene has the BaseImage go, which has changed; pipelines are built on it.
func newScene(t *testing.T, pipelines ...string) *scene {
	t.Helper()
	admin, err := local.NewClient(env.Admin)
	require.NoError(t, err)
	database := store.Config{URL: local.NewDatabase(t), Schema: "penstock", MaxConns: 4}
	require.NoError(t, store.Migrate(t.Context(), database))
	opened, err := store.Open(t.Context(), database)
	require.NoError(t, err)
	t.Cleanup(opened.Close)
	s := &scene{
		t: t, cluster: admin, writer: &writer{Client: admin}, store: opened, events: events.NewFakeRecorder(1000), namespace: local.NewNamespace(t),
		image: given.BaseImage("go", "registry.example.com/base/go:1", given.AllowedIn("*")),
	}
	s.image.Namespace = s.namespace
	require.NoError(t, admin.Create(t.Context(), s.image))
	for _, name := range pipelines {
		s.pipeline(s.namespace, name)
	}
	s.restart(s.namespace)
	_, err = opened.MirrorBaseImages(t.Context(), []store.MirroredBaseImage{{
		UID: string(s.image.UID), Namespace: s.namespace, Name: "go", Image: s.image.Spec.Image, Repository: "registry.example.com/base/go", Tag: "1", Digest: digest("a"),
	}})
	require.NoError(t, err)
	s.change("a", "b")
	return s
}

func digest(letter string) string { return "sha256:" + strings.Repeat(letter, 64) }

func (s *scene) pipeline(namespace, name string) {
	s.t.Helper()
	pipeline := given.CiPipeline(name, given.Builds("build"))
	pipeline.Namespace = namespace
	pipeline.Spec.BaseImages = []v1alpha1.BaseImageReference{{Name: "go", Namespace: s.namespace}}
	require.NoError(s.t, s.cluster.Create(s.t.Context(), pipeline))
}

// change has the image change, which settles at once.
func (s *scene) change(from, to string) {
	s.t.Helper()
	_, err := s.store.RecordBaseImageChecks(s.t.Context(), []store.BaseImageCheck{
		{UID: string(s.image.UID), Image: s.image.Spec.Image, Before: digest(from), Digest: digest(to), Settle: time.Microsecond},
	})
	require.NoError(s.t, err)
}

// restart is what a new leader is to the old one.
func (s *scene) restart(namespaces ...string) {
	s.Waver = New(Config{Cache: within{s.cluster, namespaces}, Writer: s.writer, Rows: s.store, Events: s.events, Log: logr.Discard()})
}

// looks looks once. What was told is told again at once where it has changed.
func (s *scene) looks() error {
	s.t.Helper()
	s.rings = time.Time{}
	clear(s.reported)
	_, err := s.runOnce(s.t.Context())
	return err
}

func (s *scene) look(times int) {
	s.t.Helper()
	for range times {
		require.NoError(s.t, s.looks())
	}
}

// items are the pipelines with their states, and messages.
func (s *scene) items() []string {
	s.t.Helper()
	rows, err := s.store.Pool().Query(s.t.Context(), `SELECT trim(pipeline || ' ' || state || ' ' || message) FROM wave_item ORDER BY number, pipeline`)
	require.NoError(s.t, err)
	var lines []string
	for rows.Next() {
		var line string
		require.NoError(s.t, rows.Scan(&line))
		lines = append(lines, line)
	}
	require.NoError(s.t, rows.Err())
	return lines
}

// builds are the CiBuilds of a namespace.
func (s *scene) builds() []v1alpha1.CiBuild {
	s.t.Helper()
	var list v1alpha1.CiBuildList
	require.NoError(s.t, s.cluster.List(s.t.Context(), &list, client.InNamespace(s.namespace)))
	return list.Items
}

// mirror has the rows know the builds that there are, in a phase.
func (s *scene) mirror(phase string) {
	s.t.Helper()
	for _, build := range s.builds() {
		_, err := s.store.Pool().Exec(s.t.Context(), `INSERT INTO ci_build (build_uid, namespace, build_name, ci_pipeline, revision, cause, phase)
			VALUES ($1, $2, $3, $4, '', 'BaseImage', $5) ON CONFLICT (build_uid) DO UPDATE SET phase = excluded.phase`,
			string(build.UID), build.Namespace, build.Name, build.Spec.PipelineRef.Name, phase)
		require.NoError(s.t, err)
	}
}

func (s *scene) status() *v1alpha1.BaseImageWave {
	s.t.Helper()
	var image v1alpha1.BaseImage
	require.NoError(s.t, s.cluster.Get(s.t.Context(), client.ObjectKeyFromObject(s.image), &image))
	return image.Status.Wave
}

// told are the events since the last call.
func (s *scene) told() []string {
	var all []string
	for {
		select {
		case event := <-s.events.Events:
			all = append(all, event)
		default:
			return all
		}
	}
}
