package main

import (
	"context"
	"fmt"
	"io"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/pkg/fleet/enroll"
)

// slow is a cluster in which nothing is, which takes a second for each request, and does what
// it was asked for whether or not somebody waits.
type slow struct {
	client.Client
	secrets atomic.Int32
}

func (s *slow) Get(context.Context, client.ObjectKey, client.Object, ...client.GetOption) error {
	return apierrors.NewNotFound(schema.GroupResource{}, "")
}

func (s *slow) Create(ctx context.Context, object client.Object, _ ...client.CreateOption) error {
	time.Sleep(time.Second)
	if _, isSecret := object.(*corev1.Secret); isSecret && ctx.Err() == nil {
		s.secrets.Add(1)
	}
	return ctx.Err()
}

func (s *slow) Delete(ctx context.Context, _ client.Object, _ ...client.DeleteOption) error {
	time.Sleep(time.Second)
	if ctx.Err() == nil {
		s.secrets.Add(-1)
	}
	return ctx.Err()
}

func TestAnImportThatIsInterruptedTakesBackWhatItHasWrittenByHalf(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, interrupt := context.WithTimeout(t.Context(), 1500*time.Millisecond) // between Secret and TargetCluster
		defer interrupt()
		command := &cobra.Command{}
		command.SetContext(ctx)
		command.SetErr(io.Discard)
		candidates := make([]enroll.Candidate, 25)
		for i := range candidates {
			candidates[i] = enroll.Candidate{Name: fmt.Sprint("c-", i), From: fmt.Sprint("context ", i)}
		}
		cluster := &slow{}
		outcomes := attemptAll(command, &enroll.Enroller{Client: cluster, Namespace: "penstock-system"}, candidates)
		require.Zero(t, cluster.secrets.Load())
		for i, one := range outcomes {
			require.Equal(t, candidates[i].From+" "+failed, one.From+" "+one.Result)
			require.ErrorIs(t, one.err, context.DeadlineExceeded)
		}
	})
}
