package chaos

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-cd/penstock/controllers/settings"
	"github.com/penstock-cd/penstock/test/audit"
	"github.com/penstock-cd/penstock/test/cpushare"
	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/given"
	"github.com/penstock-cd/penstock/test/oracle"
	"github.com/penstock-cd/penstock/test/world"
)

// mostSmall is how long a small build may take behind a large one.
const mostSmall = 2 * time.Second

func TestABuildOfThreeIsTriggeredWithinTwoSecondsBehindOneOfFiveThousand(t *testing.T) {
	large := sized(5000, 500)
	const small = 3
	w := newQuietWorld(t, "KUBE_API_QPS=50")
	w.CreateFamily(given.CdPipelines(large, "large"))
	w.CreateFamily(given.CdPipelines(small, "small", given.BelowCi("other")))
	w.Create(given.CiPipeline(given.CI), given.CiBuild("large-1"), given.CiPipeline("other"), given.CiBuild("small-1", given.BuildOf("other")))
	// The detector of races makes everything slower by an order of magnitude.
	w.StartWith(env.ControllerOptions{Binary: "penstock"})
	w.Succeed("large-1")
	w.Eventually("the large build is under way", func(context.Context) bool { return w.Rows("Submitted") >= 20 })

	began, cpu := time.Now(), cpushare.Start()
	w.Succeed("small-1")
	var creates audit.Log
	w.Eventually("the small build's Workflows", func(context.Context) bool {
		creates = createsOf(w, "small-")
		return len(creates) == small
	})
	left, waiting := cpu.Left(), w.Rows("Pending")
	took := creates.Last().Sub(began)
	t.Logf("%d Workflows in %s, while %d others waited", small, took.Round(time.Millisecond), waiting)
	require.LessOrEqual(t, took, cpushare.Scale(mostSmall, left))
	require.Greater(t, waiting, large/2, "nobody was overtaken")

	// Nothing is learned from the rest but that it comes.
	hurry(t, w)
	w.RowsAre(large+small, "Submitted")
	w.Judge()
}

// createsOf are the Workflows of pipelines whose name begins like that.
func createsOf(w *world.World, prefix string) audit.Log {
	var creates audit.Log
	for _, event := range w.Log().Creates() {
		if strings.HasPrefix(event.Name, prefix) {
			creates = append(creates, event)
		}
	}
	return creates
}

// hurry raises the limits of a world that has an environment of its own.
func hurry(t *testing.T, w *world.World) {
	t.Helper()
	require.NoError(t, w.Everywhere.Create(t.Context(), &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: env.ControllerNamespace, Name: settings.ConfigMap},
		Data:       map[string]string{"KUBE_API_QPS": "5000", "CI_SUCCESS_AUTO_TRIGGER_BATCH_SIZE": "20"},
	}))
	w.Limits = oracle.Limits{InFlight: 20, Builds: w.Limits.Builds, Connections: w.Limits.Connections, WritesPerSecond: 5000, WriteBurst: 5000}
}
