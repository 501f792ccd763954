package hooks_test

import (
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
)

var secrets = schema.GroupResource{Resource: "secrets"}

// looked lets everything that is kept grow old, and looks.
func (s *scene) looked(t *testing.T) (noted []store.SecretProblem) {
	t.Helper()
	time.Sleep(time.Minute)
	_, err := s.Look(t.Context())
	require.NoError(t, err)
	s.mu.Lock()
	defer s.mu.Unlock()
	noted, s.noted = s.noted, nil
	return noted
}

func TestWhatIsWrongWithASecretIsNoted(t *testing.T) {
	t.Parallel()
	for sentence, c := range map[string]struct {
		change  func(*scene)
		reason  v1alpha1.Reason
		message string
	}{
		"nothing is":           {func(*scene) {}, "", ""},
		"it does not exist":    {func(s *scene) { s.secretErr = apierrors.NewNotFound(secrets, "hooks") }, v1alpha1.ReasonSecretNotFound, "Secret hooks does not exist"},
		"it may not be read":   {func(s *scene) { s.secretErr = apierrors.NewForbidden(secrets, "hooks", nil) }, v1alpha1.ReasonForbidden, "ClusterRole penstock-webhooks"},
		"it has no token":      {func(s *scene) { s.secret = map[string][]byte{"tokens": []byte("x")} }, v1alpha1.ReasonInvalidSecret, "has no key token"},
		"it is of another use": {func(s *scene) { s.secretType = corev1.SecretTypeTLS }, v1alpha1.ReasonInvalidSecret, "not of the type Opaque"},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newScene(t)
				c.change(s)
				noted := s.looked(t)
				require.Len(t, noted, 1)
				require.EqualValues(t, 1, noted[0].Generation)
				require.Equal(t, c.reason, noted[0].Reason)
				require.Contains(t, noted[0].Message, c.message)
			})
		})
	}
}

func TestASecretThatCanBeUsedIsNotReadAgainUntilItCannot(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		require.Len(t, s.looked(t), 1)
		require.Empty(t, s.looked(t))
		require.Equal(t, 1, s.reads)

		s.secretErr = apierrors.NewNotFound(secrets, "hooks")
		require.Empty(t, s.looked(t), "nobody has sent anything")
		require.Equal(t, http.StatusNotFound, s.answer(push(path, "new")).Code)
		require.Equal(t, v1alpha1.ReasonSecretNotFound, s.looked(t)[0].Reason)
		require.Equal(t, v1alpha1.ReasonSecretNotFound, s.looked(t)[0].Reason, "it is looked at until it is there")
		s.secretErr = nil
		require.Empty(t, s.looked(t)[0].Reason)
		require.Empty(t, s.looked(t))
	})
}

func TestAReceiverWithoutASecretHasNoneThatIsWrong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, func(spec *v1alpha1.ReceiverSpec) { spec.Type, spec.SecretRef = v1alpha1.ReceiverUnsigned, nil })
		require.Equal(t, []store.SecretProblem{{Generation: 1}}, s.looked(t))
		require.Zero(t, s.reads)
	})
}

func TestAnAPIServerThatIsAwaySaysNothingOfASecret(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		s.secretErr = errors.New("connection refused")
		_, err := s.Look(t.Context())
		require.ErrorContains(t, err, "read Secret shop/hooks: connection refused")
		require.Empty(t, s.noted)
	})
}
