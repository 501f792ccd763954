package wave

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

func TestARefusedBuildIsTriedForTenMinutes(t *testing.T) {
	t.Parallel()
	build, began := types.NamespacedName{Name: "web-w1"}, time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	refused, tries, now := refusals{}, 0, began
	for isOver := false; !isOver; now = now.Add(time.Second) {
		if refused.isDue(build, now) {
			isOver = refused.note(build, now)
			tries++
		}
	}
	require.Equal(t, 10*time.Minute, now.Add(-time.Second).Sub(began).Truncate(time.Minute))
	require.Less(t, tries, 20)
	refused.forget(build)
	require.True(t, refused.isDue(build, began))
}

func TestABuildThatAQuotaRefusesIsCreatedWhenThereIsRoom(t *testing.T) {
	t.Parallel()
	s := newScene(t, "a")
	s.writer.create = func() error {
		return apierrors.NewForbidden(schema.GroupResource{Group: "penstock.dev", Resource: "cibuilds"}, "a-w1", errors.New("exceeded quota: builds"))
	}
	s.look(2)
	require.Contains(t, s.items()[0], "a Building its CiBuild is refused, and tried again: ")
	require.Contains(t, s.items()[0], "exceeded quota: builds")
	s.writer.create = nil
	s.look(1)
	require.Zero(t, s.writer.created.Load(), "it is not tried at once")
	for build, known := range s.refused {
		known.next = time.Time{}
		s.refused[build] = known
	}
	s.look(1)
	require.Equal(t, int64(1), s.writer.created.Load())
	require.Empty(t, s.refused)
}
