package evolution

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

func TestLossesAreToldApartByStepAndCause(t *testing.T) {
	t.Parallel()
	for want, err := range map[string]error{
		"insert run: SQLSTATE 53300":       fmt.Errorf("insert run: %w", &pgconn.PgError{Code: "53300"}),
		"create workflow: TooManyRequests": fmt.Errorf("create workflow: %w", apierrors.NewTooManyRequests("later", 1)),
		"insert run: connection refused":   fmt.Errorf("insert run: %w", syscall.ECONNREFUSED),
		"insert stage: connection reset":   fmt.Errorf("insert stage: %w", syscall.ECONNRESET),
		"record workflow: timeout":         fmt.Errorf("record workflow: %w", context.DeadlineExceeded),
		"insert run: other":                errors.New("insert run: of another kind"),
	} {
		require.Equal(t, want, causeOf(err))
	}
}

func TestLossesAreCountedAndTheMostFrequentIsToldFirst(t *testing.T) {
	t.Parallel()
	lost := &losses{}
	lost.add(errors.New("rare: one"))
	for _, text := range []string{"often: one", "often: another"} {
		lost.add(errors.New(text))
	}
	require.Equal(t, "; lost: 2 × often: other, 1 × rare: other", describe(lost.count()))
	require.Empty(t, describe((*losses)(nil).count()))
}
