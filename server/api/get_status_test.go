package api

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/pkg/view"
	"github.com/penstock-cd/penstock/server/identity"
	"github.com/penstock-cd/penstock/server/problem"
)

// sides are two halves that take their time.
type sides struct {
	ci, cd       time.Duration
	ciErr, cdErr error
	empty        bool
}

func (s sides) CiHalf(ctx context.Context, _, _ string, _ int) ([]rest.CiPipelineStatus, error) {
	if errors.Is(s.ciErr, errPanic) {
		panic("boom")
	}
	if err := wait(ctx, s.ci); err != nil || s.ciErr != nil || s.empty {
		return nil, errors.Join(err, s.ciErr)
	}
	return []rest.CiPipelineStatus{{Name: "ci"}}, nil
}

func (s sides) CdHalf(ctx context.Context, _, _ string, _ int) ([]rest.CdPipelineStatus, error) {
	if err := wait(ctx, s.cd); err != nil || s.cdErr != nil || s.empty {
		return nil, errors.Join(err, s.cdErr)
	}
	return []rest.CdPipelineStatus{{Name: "web"}}, nil
}

var errPanic = errors.New("panic")

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

func TestTheHalvesOfTheTriggerViewAreReadInParallel(t *testing.T) {
	t.Parallel()
	away := errors.New("connection refused")
	tests := map[string]struct {
		sides     sides
		takes     time.Duration
		ci, cd    int // status of the half that failed
		wholeFail int
	}{
		"two slow halves take as long as the slower":      {sides: sides{ci: 500 * time.Millisecond, cd: 400 * time.Millisecond}, takes: 500 * time.Millisecond},
		"a half that fails is an error in its own field":  {sides: sides{cd: time.Second, ciErr: away}, takes: time.Second, ci: http.StatusServiceUnavailable},
		"a half that hangs is ended":                      {sides: sides{cd: time.Hour}, takes: halfTimeout, cd: http.StatusGatewayTimeout},
		"a half that panics is an error in its own field": {sides: sides{ciErr: errPanic}, ci: http.StatusServiceUnavailable},
		"two halves that fail are a failure":              {sides: sides{ciErr: away, cdErr: away}, wholeFail: http.StatusServiceUnavailable},
		"two halves that hang are a failure":              {sides: sides{ci: time.Hour, cd: time.Hour}, takes: halfTimeout, wholeFail: http.StatusServiceUnavailable},
		"nothing on both sides is not found":              {sides: sides{empty: true}, wholeFail: http.StatusNotFound},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := &Backend{RetryAfter: time.Second, Log: logr.Discard()}
				began := time.Now()
				status, err := b.status(t.Context(), test.sides, &GetStatusInput{Application: "shop"})
				require.Equal(t, test.takes, time.Since(began))
				if test.wholeFail != 0 {
					require.Equal(t, test.wholeFail, problem.Status(b.failure(t.Context(), identity.User{}, err)))
					return
				}
				require.NoError(t, err)
				requireHalf(t, test.ci, status.CI.Error, len(status.CI.Pipelines))
				requireHalf(t, test.cd, status.CD.Error, len(status.CD.Pipelines))
			})
		})
	}
}

func requireHalf(t *testing.T, want int, failure *rest.Failure, pipelines int) {
	t.Helper()
	if want == 0 {
		require.Nil(t, failure)
		require.Equal(t, 1, pipelines)
		return
	}
	require.NotNil(t, failure)
	require.Equal(t, want, failure.Status)
	require.NotContains(t, failure.Detail, "connection refused", "what the database says is for the log")
	require.Zero(t, pipelines)
}

func TestACursorIsReadBackByItsOwnQueryAlone(t *testing.T) {
	t.Parallel()
	text := encodeCursor(view.Place{Kind: "cd", Priority: -5, ID: 7, FairAt: time.Unix(1, 1000)}, "queue", "Pending")
	var place view.Place
	require.NoError(t, decodeCursor(text, &place, "queue", "Pending"))
	require.Equal(t, int32(-5), place.Priority)
	require.True(t, place.FairAt.Equal(time.Unix(1, 1000)))
	require.Equal(t, http.StatusBadRequest, problem.Status(decodeCursor(text, &place, "queue", "Held")))
	require.Equal(t, http.StatusBadRequest, problem.Status(decodeCursor(text+"x", &place, "queue", "Pending")))
	require.Equal(t, http.StatusBadRequest, problem.Status(decodeCursor(encodeCursor("text", "queue"), &place, "queue")))
	require.NoError(t, decodeCursor("", &place, "queue", "Pending"))
}

func FuzzDecodeCursor(f *testing.F) {
	f.Add(encodeCursor(view.Position{XID: 7, ID: 1}, streamQuery))
	f.Add("")
	f.Add("bm9uc2Vuc2U")
	f.Fuzz(func(t *testing.T, text string) {
		var position view.Position
		if err := decodeCursor(text, &position, streamQuery); err != nil && problem.Status(err) != http.StatusBadRequest {
			t.Fatal(err)
		}
	})
}
