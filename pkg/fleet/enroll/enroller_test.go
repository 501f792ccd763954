package enroll

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// interrupted is a cluster in which nothing is, and where the person interrupts the command
// between the Secret and the TargetCluster.
type interrupted struct {
	client.Client
	interrupt func()
	secrets   int
}

func (i *interrupted) Get(context.Context, client.ObjectKey, client.Object, ...client.GetOption) error {
	return apierrors.NewNotFound(schema.GroupResource{}, "")
}

func (i *interrupted) Create(ctx context.Context, object client.Object, _ ...client.CreateOption) error {
	if _, isSecret := object.(*corev1.Secret); isSecret {
		i.secrets++
		return nil
	}
	i.interrupt()
	return ctx.Err()
}

func (i *interrupted) Delete(ctx context.Context, _ client.Object, _ ...client.DeleteOption) error {
	if ctx.Err() == nil {
		i.secrets--
	}
	return ctx.Err()
}

func TestNoCredentialsAreLeftBehindByACommandThatIsInterrupted(t *testing.T) {
	t.Parallel()
	ctx, interrupt := context.WithCancel(t.Context())
	cluster := &interrupted{interrupt: interrupt}
	_, err := (&Enroller{Client: cluster, Namespace: "penstock-system"}).Enroll(ctx, Candidate{Name: "eu", From: "context eu"})
	require.ErrorIs(t, err, context.Canceled)
	require.Zero(t, cluster.secrets)
}
