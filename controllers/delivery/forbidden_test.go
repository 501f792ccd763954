package delivery

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/test/env"
)

// as returns who creates builds of these pipelines, such as somebody without the right to.
func as(t *testing.T, user env.User, pipelines ...string) func(client.WithWatch) client.WithWatch {
	t.Helper()
	other, err := local.NewClient(user)
	require.NoError(t, err)
	return func(writer client.WithWatch) client.WithWatch {
		return interceptor.NewClient(writer, interceptor.Funcs{
			Create: func(ctx context.Context, inner client.WithWatch, object client.Object, options ...client.CreateOption) error {
				build := object.(*v1alpha1.CiBuild)
				for _, pipeline := range pipelines {
					if build.Spec.PipelineRef.Name == pipeline {
						return other.Create(ctx, object, options...)
					}
				}
				return inner.Create(ctx, object, options...)
			},
		})
	}
}

// A delivery that a person has to allow does not hold what comes later of its repository for half
// an hour.
func TestWhatIsForbiddenHoldsItsRepositoryForSeconds(t *testing.T) {
	t.Parallel()
	s := newScene(t, github(), pipeline("shop", "https://github.com/team/shop", ""))
	controller, err := local.NewClient(env.Penstock)
	require.NoError(t, err)
	s.config.Writer = as(t, env.PenstockServer, "shop")(controller)
	first, second := s.push("refs/heads/main"), s.push("refs/heads/main")
	worker := s.worker()
	began := time.Now()
	message := s.outcomeBy(worker, first)
	require.Contains(t, message, "Refused|Refused: shop: create CiBuild shop-")
	require.Contains(t, message, "forbidden")
	require.Contains(t, message, ": redeliver it when it is allowed")
	require.Less(t, time.Since(began), 15*time.Second)
	s.config.Writer = controller
	require.Contains(t, s.outcome(second), "Built|Built shop-", "which is worked off then")
	again, err := s.rows.AskRedelivery(t.Context(), s.namespace, first, "token")
	require.NoError(t, err)
	require.Contains(t, s.outcome(again), "Built|Built shop-")
	require.Len(t, s.builds(), 2)
	require.NotContains(t, worker.forbidden, first)
}

func TestPausesAreShortWhereAPersonHasToAct(t *testing.T) {
	t.Parallel()
	forbidden := apierrors.NewForbidden(schema.GroupResource{Resource: "cibuilds"}, "shop", nil)
	for sentence, c := range map[string]struct {
		attempts int32
		before   int
		failure  error
		want     time.Duration
	}{
		"the first attempt":                         {1, 0, errors.New("away"), time.Second},
		"the last attempts":                         {13, 0, errors.New("away"), 5 * time.Minute},
		"it is forbidden":                           {1, 0, forbidden, time.Second},
		"it is forbidden again":                     {2, 1, forbidden, 2 * time.Second},
		"it is forbidden after many other attempts": {13, 0, forbidden, time.Second},
	} {
		require.Equal(t, c.want, pause(store.WebhookDelivery{Attempts: c.attempts}, c.before, c.failure), sentence)
	}
}

func TestWhatIsForbiddenOfOnePipelineIsToldBesideTheBuildsOfOthers(t *testing.T) {
	t.Parallel()
	s := newScene(t, github(), pipeline("shop", "https://github.com/team/shop", ""), pipeline("web", "https://github.com/team/shop", ""))
	controller, err := local.NewClient(env.Penstock)
	require.NoError(t, err)
	s.config.Writer = as(t, env.PenstockServer, "web")(controller)
	require.Regexp(t, `^Built\|Built shop-[a-z2-7]{16}; refused: web: create CiBuild web-.*forbidden`, s.outcomeBy(s.worker(), s.push("refs/heads/main")))
	require.Len(t, s.builds(), 1)
}

// An API server that has just started may forbid for a moment what it allows.
func TestWhatWasForbiddenOnceAfterAnOutageIsTriedAgain(t *testing.T) {
	t.Parallel()
	s := newScene(t, github(), pipeline("shop", "https://github.com/team/shop", ""))
	controller, err := local.NewClient(env.Penstock)
	require.NoError(t, err)
	forbids := as(t, env.PenstockServer, "shop")(controller)
	attempt := 0
	s.config.Writer = interceptor.NewClient(controller, interceptor.Funcs{
		Create: func(ctx context.Context, inner client.WithWatch, object client.Object, options ...client.CreateOption) error {
			attempt++
			switch attempt {
			case 1, 2, 4:
				return errors.New("the API server is away")
			case 3, 5, 6:
				return forbids.Create(ctx, object, options...)
			}
			return inner.Create(ctx, object, options...)
		},
	})
	worker, id := s.worker(), s.push("refs/heads/main")
	require.Contains(t, s.outcomeBy(worker, id), "Built|Built shop-")
	require.Equal(t, 7, attempt)
}
