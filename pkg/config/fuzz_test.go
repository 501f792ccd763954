package config

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzLoad looks for a panic, a secret in an error, an error of more lines than
// variables, and a Config that breaks its own bounds.
func FuzzLoad(f *testing.F) {
	f.Add("5", "50", "postgres://user@host/db", "penstock", "team-a,team-b", ":8080", "info", "20s")
	f.Add("", "", "", "", "", "", "", "")
	f.Add("0", "0", "host=/run/postgresql", "pg_toast", ",", "0", "INFO", "1h")
	f.Add("-9223372036854775808", "1e3", "postgres://%zz", "Ünïcode", "a, b ,", "[::1]:80", "info\n", "-5s")
	f.Add("99999999999999999999", "+7", "mysql://user@host", strings.Repeat("x", 64), "*", ":99999", "\x00", "9999999h")
	f.Add("\xff\xfe", "0x10", "$DATABASE_URL", "${HOME}", "a\nb", "host", strings.Repeat("é", 100), "5")

	const marker = "s3cr3t-marker"
	f.Fuzz(func(t *testing.T, batch, qps, url, schema, namespaces, address, level, lease string) {
		loaded, warnings, err := Load(map[string]string{
			"CI_SUCCESS_AUTO_TRIGGER_BATCH_SIZE": batch, "KUBE_API_QPS": qps, "DATABASE_URL": url + marker,
			"DATABASE_SCHEMA": schema, "WATCH_NAMESPACES": namespaces, "METRICS_BIND_ADDRESS": address,
			"LOG_LEVEL": level, "TRIGGER_LEASE": lease,
		})
		printed := fmt.Sprintf("%v %+v %#v %v", err, loaded, loaded, warnings)
		require.NotContains(t, printed, marker)
		if err != nil {
			require.Zero(t, loaded)
			require.LessOrEqual(t, strings.Count(err.Error(), "\n"), len(variables()))
			return
		}
		require.True(t, loaded.BatchSize.Auto || loaded.BatchSize.Size >= 1)
		require.Positive(t, loaded.KubeAPIQPS)
		require.Regexp(t, identifier, loaded.DatabaseSchema)
		require.Positive(t, loaded.TriggerLease)
		require.NotContains(t, loaded.WatchNamespaces, "")
	})
}
