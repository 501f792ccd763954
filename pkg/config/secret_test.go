package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSecretIsNeverPrinted(t *testing.T) {
	t.Parallel()
	loaded, _, err := Load(with())
	require.NoError(t, err)

	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%10.3s"} {
		t.Run(verb, func(t *testing.T) {
			t.Parallel()
			for _, printed := range []string{
				fmt.Sprintf(verb, loaded),
				fmt.Sprintf(verb, &loaded),
				fmt.Sprintf(verb, loaded.DatabaseURL),
				fmt.Errorf("open "+verb+": %w", loaded.DatabaseURL, errors.ErrUnsupported).Error(),
			} {
				require.NotContains(t, printed, "hunter2")
				require.NotContains(t, printed, "68756e74657232", "nor in hexadecimal")
			}
		})
	}
}

func TestSecretIsNeverEncoded(t *testing.T) {
	t.Parallel()
	loaded, _, err := Load(with())
	require.NoError(t, err)

	document, err := json.Marshal(loaded)

	require.NoError(t, err)
	require.Contains(t, string(document), `"DatabaseURL":"[redacted]"`)
}

func TestSecretReveals(t *testing.T) {
	t.Parallel()
	require.Equal(t, "hunter2", Secret("hunter2").Reveal())
	require.Equal(t, "[redacted]", Secret("hunter2").String())
	require.Empty(t, Secret("").String(), "an unset secret looks unset")
}
