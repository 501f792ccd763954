package holding

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAPatchKeepsWhoAndWhy(t *testing.T) {
	t.Parallel()
	for sentence, test := range map[string]struct {
		change Change
		want   string
	}{
		"who and why are kept": {Change{Hold: true, By: "ann", Reason: "stock-taking"},
			`{"metadata":{"annotations":{"penstock.dev/hold-by":"ann","penstock.dev/hold-reason":"stock-taking"}},"spec":{"hold":true}}`},
		"those of the change before are taken away": {Change{},
			`{"metadata":{"annotations":{"penstock.dev/hold-by":null,"penstock.dev/hold-reason":null}},"spec":{"hold":false}}`},
		"only the version that was read is changed": {Change{Hold: true, By: "ann", ResourceVersion: "7"},
			`{"metadata":{"annotations":{"penstock.dev/hold-by":"ann","penstock.dev/hold-reason":null},"resourceVersion":"7"},"spec":{"hold":true}}`},
	} {
		patch, err := test.change.Patch()
		require.NoError(t, err)
		require.JSONEq(t, test.want, string(patch), sentence)
	}
}
