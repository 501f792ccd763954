package browser

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/given"
	"github.com/penstock-cd/penstock/test/target"
)

func TestRowsAppearAsClustersAnswer(t *testing.T) {
	s := theStage(t)
	slow, answers := target.New(t), make(chan struct{})
	slow.List("/api/v1/pods", target.List{Kind: "Pod", Objects: target.Objects("warehouse", 2)})
	slow.Instead(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-answers:
			slow.Config.Handler.ServeHTTP(w, r)
		case <-r.Context().Done():
		}
	})
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: env.ControllerNamespace, Name: "slow"}, Data: map[string][]byte{"kubeconfig": slow.Kubeconfig(t)}}
	require.NoError(t, s.cluster.Create(t.Context(), secret))
	cluster := given.TargetCluster("slow")
	cluster.UID = ""
	require.NoError(t, s.cluster.Create(t.Context(), cluster))
	t.Cleanup(func() { require.NoError(t, s.cluster.Delete(context.WithoutCancel(t.Context()), cluster)) })

	b := s.open(t).signIn(s.reader)
	require.Eventually(t, func() bool {
		return !contains(b.visit("/resources?clusters=home%2Cslow").text(), "There is nothing here")
	}, patience, 100*time.Millisecond, "the server has not heard of the cluster")
	b.sees("is missing or old of 1 of 2 clusters").accessible()
	require.NotContains(t, b.text(), "object-0000")
	slow.Instead(nil)
	close(answers)
	b.sees("object-0000").sees("All clusters were read").accessible().fits()
}
