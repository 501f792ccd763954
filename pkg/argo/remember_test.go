package argo_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/argo"
	"github.com/penstock-cd/penstock/test/given"
)

func TestATemplateIsRememberedForAMinuteAndAMissingOneIsNot(t *testing.T) {
	t.Parallel()
	scheme := runtime.NewScheme()
	require.NoError(t, wfv1.AddToScheme(scheme))
	there := fake.NewClientBuilder().WithScheme(scheme).Build()
	now := time.Now()
	templates := &argo.Templates{Reader: there, Now: func() time.Time { return now }}
	get := func() error {
		return templates.Get(t.Context(), types.NamespacedName{Namespace: given.Namespace, Name: "t"}, argo.Template(argo.KindTemplate))
	}
	require.True(t, apierrors.IsNotFound(get()))
	require.NoError(t, there.Create(t.Context(), given.WorkflowTemplate("t", 0)))
	require.NoError(t, get(), "it is looked for each time")
	require.NoError(t, there.DeleteAllOf(t.Context(), given.WorkflowTemplate("t", 0), client.InNamespace(given.Namespace)))
	require.NoError(t, get())
	now = now.Add(time.Minute)
	require.True(t, apierrors.IsNotFound(get()))
}

// slowly counts reads, which take until release is closed.
type slowly struct {
	client.Reader
	began   chan struct{}
	release chan struct{}
	reads   atomic.Int64
}

func (s *slowly) Get(ctx context.Context, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
	s.reads.Add(1)
	s.began <- struct{}{}
	<-s.release
	return s.Reader.Get(ctx, key, object, options...)
}

func TestTriggersThatNeedATemplateAtTheSameTimeReadItOnce(t *testing.T) {
	t.Parallel()
	scheme := runtime.NewScheme()
	require.NoError(t, wfv1.AddToScheme(scheme))
	there := &slowly{
		Reader: fake.NewClientBuilder().WithScheme(scheme).WithObjects(given.WorkflowTemplate("t", 0)).Build(),
		began:  make(chan struct{}, 10), release: make(chan struct{}),
	}
	templates := &argo.Templates{Reader: there}
	get := func(ctx context.Context) error {
		template := argo.Template(argo.KindTemplate)
		err := templates.Get(ctx, types.NamespacedName{Namespace: given.Namespace, Name: "t"}, template)
		if err == nil && template.GetName() != "t" {
			err = errors.New("it has no name")
		}
		return err
	}
	var group sync.WaitGroup
	for range 5 {
		group.Go(func() { require.NoError(t, get(t.Context())) })
	}
	<-there.began
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, get(ended), context.Canceled, "nobody waits longer than its context")
	close(there.release)
	group.Wait()
	require.Equal(t, int64(1), there.reads.Load())
}

func TestPenstocksKindsAreReadAtHomeAndArgosElsewhere(t *testing.T) {
	t.Parallel()
	scheme := runtime.NewScheme()
	require.NoError(t, wfv1.AddToScheme(scheme))
	require.NoError(t, v1alpha1.AddToScheme(scheme))
	home := fake.NewClientBuilder().WithScheme(scheme).WithObjects(given.CdPipeline("both"), given.WorkflowTemplate("home", 0)).Build()
	there := fake.NewClientBuilder().WithScheme(scheme).WithObjects(given.WorkflowTemplate("there", 0)).Build()
	split := argo.Elsewhere(home, there)
	key := func(name string) types.NamespacedName {
		return types.NamespacedName{Namespace: given.Namespace, Name: name}
	}
	require.NoError(t, split.Get(t.Context(), key("both"), &v1alpha1.CdPipeline{}))
	require.NoError(t, split.Get(t.Context(), key("there"), argo.Template(argo.KindTemplate)))
	require.True(t, apierrors.IsNotFound(split.Get(t.Context(), key("home"), argo.Template(argo.KindTemplate))))
	var workflows wfv1.WorkflowTemplateList
	require.NoError(t, split.List(t.Context(), &workflows))
	require.Len(t, workflows.Items, 1)
}
