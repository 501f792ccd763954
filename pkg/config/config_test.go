package config

import (
	"maps"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/pkg/outbound"
)

const goodURL = "postgres://penstock:hunter2@db.example:5432/penstock"

// with returns a minimal good environment, changed by pairs of name and value.
func with(pairs ...string) map[string]string {
	environ := map[string]string{"DATABASE_URL": goodURL}
	for index := 0; index < len(pairs); index += 2 {
		environ[pairs[index]] = pairs[index+1]
	}
	return environ
}

func defaults() Config {
	return Config{
		BatchSize:              BatchSize{Size: 5},
		BatchSizeCeiling:       50,
		CiBatchSize:            5,
		KubeAPIQPS:             50,
		KubeAPIBurst:           10,
		DatabaseURL:            goodURL,
		DatabaseMaxConns:       10,
		DatabaseSchema:         "penstock",
		LeaderElect:            true,
		MetricsBindAddress:     ":8080",
		HealthProbeBindAddress: ":8081",
		LogLevel:               "info",
		LogFormat:              "json",
		ShutdownGracePeriod:    30 * time.Second,
		TriggerLease:           20 * time.Second,
		TemplateWait:           10 * time.Minute,
		PickupTimeout:          2 * time.Minute,
		SweepInterval:          2 * time.Minute,
		HistoryRetention:       Retention(90 * day),

		ClusterScopedKinds: true, ClusterProbeInterval: time.Minute, ClusterProbeParallelism: 100,
		ResourceKinds: []string{
			"pods", "services", "nodes", "namespaces", "events", "persistentvolumeclaims", "deployments.apps", "statefulsets.apps",
			"daemonsets.apps", "replicasets.apps", "jobs.batch", "cronjobs.batch", "ingresses.networking.k8s.io",
		},
		ResourceBatchSize: 5, NotificationWorkers: 8,
		ServerBindAddress: ":8443", WebhookBindAddress: ":9444",
		Dashboard: true, DashboardBasePath: "/", DashboardSessionLifetime: 12 * time.Hour,
		OIDCScopes: []string{"openid", "profile", "email"}, OIDCUsernameClaim: "sub",
	}
}

func TestLoadAccepts(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		environ map[string]string
		change  func(*Config)
		warning string
	}{
		"only the database is required, all else has a default": {
			environ: with(), change: func(*Config) {},
		},
		"every variable reaches its field": {
			environ: with(
				"CI_SUCCESS_AUTO_TRIGGER_BATCH_SIZE", "20", "CI_SUCCESS_AUTO_TRIGGER_BATCH_SIZE_CEILING", "30", "CI_BATCH_SIZE", "7", "KUBE_API_QPS", "100", "KUBE_API_BURST", "200",
				"DATABASE_URL", "host=/run/postgresql dbname=penstock", "DATABASE_MAX_CONNS", "4", "DATABASE_SCHEMA", "team_a",
				"MAX_ACTIVE_WORKFLOWS", "500", "MAX_ACTIVE_WORKFLOWS_PER_NAMESPACE", "50", "LEADER_ELECT", "false", "POD_NAMESPACE", "penstock-system",
				"DATABASE_PASSWORD_FILE", "/var/run/penstock/password", "POD_UID", "9f2c1c1e-0c1d-4b53-a2c6-2c3b0a0a7f11",
				"WATCH_NAMESPACES", "team-a,team-b", "METRICS_BIND_ADDRESS", "0", "HEALTH_PROBE_BIND_ADDRESS", "127.0.0.1:0",
				"LOG_LEVEL", "debug", "LOG_FORMAT", "console", "SHUTDOWN_GRACE_PERIOD", "1m", "TRIGGER_LEASE", "5s", "SWEEP_INTERVAL", "1h",
				"HISTORY_RETENTION", "36h", "WORKFLOW_TTL", "7d",
				"TEMPLATE_WAIT", "1m",
				"CLUSTER_SCOPED_KINDS", "false", "CLUSTER_PROBE_INTERVAL", "30s", "CLUSTER_PROBE_PARALLELISM", "7", "RESOURCE_KINDS", "pods, workflows.argoproj.io", "RESOURCE_BATCH_SIZE", "9",
				"NOTIFICATION_WORKERS", "4", "OUTBOUND_ALLOWED_NETWORKS", "10.1.0.0/16, fd00:25::/64", "OUTBOUND_PROXY", "http://proxy.example:3128",
				"SERVER_BIND_ADDRESS", "127.0.0.1:0", "WEBHOOK_BIND_ADDRESS", "127.0.0.1:9", "SERVER_URL", "https://penstock.example.org", "SERVER_TLS_DIR", "/tls", "SERVER_TOKEN_AUDIENCES", "penstock,other",
				"DASHBOARD", "false", "DASHBOARD_BASE_PATH", "/penstock", "DASHBOARD_SESSION_KEY", "0123456789abcdef0123456789abcdef", "DASHBOARD_SESSION_LIFETIME", "1h", "DASHBOARD_ANONYMOUS", "true",
				"DASHBOARD_URL", "https://tools.example.org/penstock/", "OIDC_ISSUER_URL", "https://sso.example.org/realms/main", "OIDC_CLIENT_ID", "penstock", "OIDC_CLIENT_SECRET", "hunter2", "OIDC_CA_FILE", "/ca/ca.crt",
				"OIDC_SCOPES", "openid, groups", "OIDC_USERNAME_CLAIM", "email", "OIDC_USERNAME_PREFIX", "-", "OIDC_GROUPS_CLAIM", "roles", "OIDC_GROUPS_PREFIX", "sso:",
				"WORKFLOW_LABELS", "workflows.argoproj.io/controller-instanceid=ci, team=", "PICKUP_TIMEOUT", "90s",
			),
			change: func(c *Config) {
				*c = Config{
					BatchSize: BatchSize{Size: 20}, BatchSizeCeiling: 30, CiBatchSize: 7, KubeAPIQPS: 100, KubeAPIBurst: 200,
					DatabaseURL: "host=/run/postgresql dbname=penstock", DatabaseMaxConns: 4, DatabaseSchema: "team_a",
					MaxActiveWorkflows: 500, MaxActivePerNamespace: 50, LeaderElect: false, PodNamespace: "penstock-system",
					DatabasePasswordFile: "/var/run/penstock/password", PodUID: "9f2c1c1e-0c1d-4b53-a2c6-2c3b0a0a7f11",
					WatchNamespaces: []string{"team-a", "team-b"}, MetricsBindAddress: "0", HealthProbeBindAddress: "127.0.0.1:0",
					LogLevel: "debug", LogFormat: "console",
					ShutdownGracePeriod: time.Minute, TriggerLease: 5 * time.Second, SweepInterval: time.Hour,
					HistoryRetention:     Retention(36 * time.Hour),
					WorkflowTTL:          Retention(7 * day),
					TemplateWait:         time.Minute,
					ClusterProbeInterval: 30 * time.Second, ClusterProbeParallelism: 7, ResourceKinds: []string{"pods", "workflows.argoproj.io"}, ResourceBatchSize: 9,
					NotificationWorkers: 4, OutboundAllowedNetworks: []string{"10.1.0.0/16", "fd00:25::/64"}, OutboundProxy: "http://proxy.example:3128",
					ServerBindAddress: "127.0.0.1:0", WebhookBindAddress: "127.0.0.1:9", ServerURL: "https://penstock.example.org", ServerTLSDir: "/tls", ServerTokenAudiences: []string{"penstock", "other"},
					Dashboard: false, DashboardBasePath: "/penstock", DashboardSessionKey: "0123456789abcdef0123456789abcdef", DashboardSessionLifetime: time.Hour, DashboardAnonymous: true,
					DashboardURL: "https://tools.example.org/penstock/", OIDCIssuerURL: "https://sso.example.org/realms/main", OIDCClientID: "penstock", OIDCClientSecret: "hunter2", OIDCCAFile: "/ca/ca.crt",
					OIDCScopes: []string{"openid", "groups"}, OIDCUsernameClaim: "email", OIDCUsernamePrefix: "-", OIDCGroupsClaim: "roles", OIDCGroupsPrefix: "sso:",
					WorkflowLabels: []string{"workflows.argoproj.io/controller-instanceid=ci", "team="}, PickupTimeout: 90 * time.Second,
				}
			},
		},
		"a freeze that is only a reason": {
			environ: with("FREEZE", "Black Friday"), change: func(c *Config) { c.Freeze.Reason = "Black Friday" },
		},
		"a freeze of some namespaces until a time": {
			environ: with("FREEZE", `{"reason":"audit","until":"2026-12-27T08:00:00Z","namespaces":["shop","pay"]}`),
			change: func(c *Config) {
				c.Freeze = Freeze{Reason: "audit", Until: time.Date(2026, 12, 27, 8, 0, 0, 0, time.UTC), Namespaces: []string{"shop", "pay"}}
			},
		},
		"a retention of zero, which keeps all": {
			environ: with("HISTORY_RETENTION", "0"), change: func(c *Config) { c.HistoryRetention = 0 },
		},
		"an empty value means the default": {
			environ: with("KUBE_API_QPS", "", "LOG_LEVEL", " "), change: func(*Config) {},
		},
		"white space around a value and a list item is ignored": {
			environ: with("DATABASE_URL", goodURL+"\n", "WATCH_NAMESPACES", " team-a , team-b "),
			change:  func(c *Config) { c.WatchNamespaces = []string{"team-a", "team-b"} },
		},
		"a batch size of 0 becomes 1 and is reported": {
			environ: with("CI_SUCCESS_AUTO_TRIGGER_BATCH_SIZE", "0"),
			change:  func(c *Config) { c.BatchSize = BatchSize{Size: 1} },
			warning: "CI_SUCCESS_AUTO_TRIGGER_BATCH_SIZE=0 is below 1: using 1",
		},
		"a negative batch size becomes 1 and is reported": {
			environ: with("CI_SUCCESS_AUTO_TRIGGER_BATCH_SIZE", "-7"),
			change:  func(c *Config) { c.BatchSize = BatchSize{Size: 1} },
			warning: "CI_SUCCESS_AUTO_TRIGGER_BATCH_SIZE=-7 is below 1: using 1",
		},
		"a batch size can be left to the process": {
			environ: with("CI_SUCCESS_AUTO_TRIGGER_BATCH_SIZE", "auto"),
			change:  func(c *Config) { c.BatchSize = BatchSize{Auto: true} },
		},
		"variables of other programs are ignored": {
			environ: with("KUBE_API_QPSS", "abc"), change: func(*Config) {},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before := maps.Clone(test.environ)
			want := defaults()
			test.change(&want)

			loaded, warnings, err := Load(test.environ)

			require.NoError(t, err)
			require.Equal(t, want, loaded)
			require.Equal(t, test.warning, strings.Join(warnings, "\n"))
			require.Equal(t, before, test.environ, "the environment is only read")
		})
	}
}

const aLabel = "key=value, a label of Kubernetes that is neither Penstock's own nor one in which Argo keeps a Workflow's state"

func TestOfLabelsWithOneKeyTheLastCounts(t *testing.T) {
	t.Parallel()
	require.Equal(t, map[string]string{"team": "b", "empty": ""}, Config{WorkflowLabels: []string{"team=a", "empty=", "team=b"}}.Labels())
}

func TestWhatIsReachedOutsideIsWhatTheSettingsSay(t *testing.T) {
	t.Parallel()
	loaded, _, err := Load(with("OUTBOUND_ALLOWED_NETWORKS", "10.1.0.0/16, fd00:25::/64", "OUTBOUND_PROXY", "http://proxy.example:3128"))
	require.NoError(t, err)
	outside := loaded.Outbound()
	require.Equal(t, []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("fd00:25::/64")}, outside.AllowedNetworks)
	require.Equal(t, "http://proxy.example:3128", outside.Proxy.String())
	require.Equal(t, outbound.Config{}, defaults().Outbound(), "by default there is no proxy, and nothing private is reached")
}

func TestLoadRefuses(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		environ map[string]string
		lines   []string
	}{
		"nothing set at all": {
			environ: nil,
			lines:   []string{"DATABASE_URL is not set: must be a Postgres URL (postgres://user:password@host:5432/database) or keyword=value pairs"},
		},
		"a database URL of blanks": {
			environ: with("DATABASE_URL", " \n"),
			lines:   []string{"DATABASE_URL is not set: must be a Postgres URL (postgres://user:password@host:5432/database) or keyword=value pairs"},
		},
		"a database URL of another database": {
			environ: with("DATABASE_URL", "mysql://root:hunter2@db/penstock"),
			lines:   []string{"DATABASE_URL=[redacted]: must be a Postgres URL (postgres://user:password@host:5432/database) or keyword=value pairs"},
		},
		"a database URL whose port is no number": {
			environ: with("DATABASE_URL", "postgres://penstock:hunter2@db:port/penstock"),
			lines:   []string{"DATABASE_URL=[redacted]: must be a Postgres URL (postgres://user:password@host:5432/database) or keyword=value pairs"},
		},
		"a batch size that is not a number": {
			environ: with("CI_SUCCESS_AUTO_TRIGGER_BATCH_SIZE", "five"),
			lines:   []string{`CI_SUCCESS_AUTO_TRIGGER_BATCH_SIZE="five": must be a whole number up to 10000, or auto`},
		},
		"a batch size that no integer holds": {
			environ: with("CI_SUCCESS_AUTO_TRIGGER_BATCH_SIZE", "99999999999999999999"),
			lines:   []string{`CI_SUCCESS_AUTO_TRIGGER_BATCH_SIZE="99999999999999999999": must be a whole number up to 10000, or auto`},
		},
		"a rate of zero": {
			environ: with("KUBE_API_QPS", "0"),
			lines:   []string{`KUBE_API_QPS="0": must be a whole number from 1 to 10000`},
		},
		"a rate above its bound": {
			environ: with("KUBE_API_QPS", "10001"),
			lines:   []string{`KUBE_API_QPS="10001": must be a whole number from 1 to 10000`},
		},
		"too few connections for the loops": {
			environ: with("DATABASE_MAX_CONNS", "3"),
			lines:   []string{`DATABASE_MAX_CONNS="3": must be a whole number from 4 to 1000`},
		},
		"a schema that would need quotes": {
			environ: with("DATABASE_SCHEMA", `Pen"stock`),
			lines:   []string{`DATABASE_SCHEMA="Pen\"stock": must be a lower-case Postgres identifier of at most 63 characters that does not start with pg_`},
		},
		"a schema of Postgres' own": {
			environ: with("DATABASE_SCHEMA", "pg_catalog"),
			lines:   []string{`DATABASE_SCHEMA="pg_catalog": must be a lower-case Postgres identifier of at most 63 characters that does not start with pg_`},
		},
		"a flag that is neither true nor false": {
			environ: with("LEADER_ELECT", "yes"),
			lines:   []string{`LEADER_ELECT="yes": must be true or false`},
		},
		"secrets among the kinds that may be shown": {
			environ: with("RESOURCE_KINDS", "pods,secrets"),
			lines:   []string{`RESOURCE_KINDS="pods,secrets": must be a comma-separated list, each a plural name and its group, such as pods or deployments.apps, but not secrets`},
		},
		"no worker for notifications": {
			environ: with("NOTIFICATION_WORKERS", "1"),
			lines:   []string{`NOTIFICATION_WORKERS="1": must be a whole number from 2 to 100`},
		},
		"an address that is no network": {
			environ: with("OUTBOUND_ALLOWED_NETWORKS", "10.1.0.25"),
			lines:   []string{`OUTBOUND_ALLOWED_NETWORKS="10.1.0.25": must be a comma-separated list, each a network such as 10.1.0.0/16 or fd00::/8`},
		},
		"a proxy of another scheme": {
			environ: with("OUTBOUND_PROXY", "socks5://proxy:1080"),
			lines:   []string{`OUTBOUND_PROXY="socks5://proxy:1080": must be a URL of the form http://host:port or https://host:port, without a password`},
		},
		"a proxy with a password, which is not repeated": {
			environ: with("OUTBOUND_PROXY", "http://me:hunter2@proxy:3128"),
			lines:   []string{`OUTBOUND_PROXY=[redacted]: must be a URL of the form http://host:port or https://host:port, without a password`},
		},
		"a namespace with a capital": {
			environ: with("POD_NAMESPACE", "Penstock"),
			lines:   []string{`POD_NAMESPACE="Penstock": must be a namespace name: at most 63 lower-case letters, digits and inner dashes`},
		},
		"a list with an empty item": {
			environ: with("WATCH_NAMESPACES", "team-a,,team-b"),
			lines:   []string{`WATCH_NAMESPACES="team-a,,team-b": must be a comma-separated list, each a namespace name: at most 63 lower-case letters, digits and inner dashes`},
		},
		"a label without a value": {
			environ: with("WORKFLOW_LABELS", "team"),
			lines:   []string{`WORKFLOW_LABELS="team": must be a comma-separated list, each ` + aLabel},
		},
		"a label whose value is none": {
			environ: with("WORKFLOW_LABELS", "team=a,team=b c"),
			lines:   []string{`WORKFLOW_LABELS="team=a,team=b c": must be a comma-separated list, each ` + aLabel},
		},
		"a label of Penstock's own": {
			environ: with("WORKFLOW_LABELS", "penstock.dev/identity=x"),
			lines:   []string{`WORKFLOW_LABELS="penstock.dev/identity=x": must be a comma-separated list, each ` + aLabel},
		},
		"a label in which Argo keeps a state": {
			environ: with("WORKFLOW_LABELS", "workflows.argoproj.io/phase=Succeeded"),
			lines:   []string{`WORKFLOW_LABELS="workflows.argoproj.io/phase=Succeeded": must be a comma-separated list, each ` + aLabel},
		},
		"a timeout of nothing": {
			environ: with("PICKUP_TIMEOUT", "0s"),
			lines:   []string{`PICKUP_TIMEOUT="0s": must be a duration from 1s to 24h, such as 2m`},
		},
		"an address without a port": {
			environ: with("METRICS_BIND_ADDRESS", "localhost"),
			lines:   []string{`METRICS_BIND_ADDRESS="localhost": must be host:port or :port, with a port from 0 to 65535, or 0 for none`},
		},
		"a port above 65535": {
			environ: with("HEALTH_PROBE_BIND_ADDRESS", ":65536"),
			lines:   []string{`HEALTH_PROBE_BIND_ADDRESS=":65536": must be host:port or :port, with a port from 0 to 65535, or 0 for none`},
		},
		"a level that does not exist": {
			environ: with("LOG_LEVEL", "trace"),
			lines:   []string{`LOG_LEVEL="trace": must be one of debug, info, warn, error`},
		},
		"a duration without a unit": {
			environ: with("TRIGGER_LEASE", "20"),
			lines:   []string{`TRIGGER_LEASE="20": must be a duration from 5s to 10m, such as 20s`},
		},
		"a lease below its bound": {
			environ: with("TRIGGER_LEASE", "4999ms"),
			lines:   []string{`TRIGGER_LEASE="4999ms": must be a duration from 5s to 10m, such as 20s`},
		},
		"a sweep interval above its bound": {
			environ: with("SWEEP_INTERVAL", "61m"),
			lines:   []string{`SWEEP_INTERVAL="61m": must be a duration from 5s to 1h, such as 2m`},
		},
		"a freeze with a field that there is not": {
			environ: with("FREEZE", `{"reason":"audit","til":"2026"}`),
			lines:   []string{`FREEZE="{\"reason\":\"audit\",\"til\":\"2026\"}": must be a reason, or JSON: {"reason": "…", "until": "2026-12-27T08:00:00Z", "namespaces": ["shop"]}, with a reason of at most 512 bytes, a time in RFC 3339 and names of namespaces`},
		},
		"a freeze without a reason": {
			environ: with("FREEZE", `{"namespaces":["shop"]}`),
			lines:   []string{`FREEZE="{\"namespaces\":[\"shop\"]}": must be a reason, or JSON: {"reason": "…", "until": "2026-12-27T08:00:00Z", "namespaces": ["shop"]}, with a reason of at most 512 bytes, a time in RFC 3339 and names of namespaces`},
		},
		"a freeze of something that is no namespace": {
			environ: with("FREEZE", `{"reason":"x","namespaces":["A b"]}`),
			lines:   []string{`FREEZE="{\"reason\":\"x\",\"namespaces\":[\"A b\"]}": must be a reason, or JSON: {"reason": "…", "until": "2026-12-27T08:00:00Z", "namespaces": ["shop"]}, with a reason of at most 512 bytes, a time in RFC 3339 and names of namespaces`},
		},
		"a retention that is neither days nor a duration": {
			environ: with("HISTORY_RETENTION", "3 months"),
			lines:   []string{`HISTORY_RETENTION="3 months": must be 0, or a time from 1h to 3650d, such as 90d`},
		},
		"a retention of less than an hour": {
			environ: with("HISTORY_RETENTION", "1m"),
			lines:   []string{`HISTORY_RETENTION="1m": must be 0, or a time from 1h to 3650d, such as 90d`},
		},
		"a time to live of less than a second": {
			environ: with("WORKFLOW_TTL", "10ms"),
			lines:   []string{`WORKFLOW_TTL="10ms": must be 0, or a time from 1s to 3650d, such as 7d`},
		},
		"a server without a port": {
			environ: with("SERVER_BIND_ADDRESS", "0"),
			lines:   []string{`SERVER_BIND_ADDRESS="0": must be host:port or :port, with a port from 0 to 65535`},
		},
		"a server's URL without TLS": {
			environ: with("SERVER_URL", "http://penstock.example.org"),
			lines:   []string{`SERVER_URL="http://penstock.example.org": must be a URL of the form https://host, with a port and a path where they are needed`},
		},
		"a folder that is not absolute": {
			environ: with("SERVER_TLS_DIR", "tls"),
			lines:   []string{`SERVER_TLS_DIR="tls": must be an absolute path`},
		},
		"a session key that can be guessed": {
			environ: with("DASHBOARD_SESSION_KEY", "short"),
			lines:   []string{`DASHBOARD_SESSION_KEY=[redacted]: must be a random text of at least 32 characters, such as openssl rand -hex 32 prints`},
		},
		"an audience with a blank": {
			environ: with("SERVER_TOKEN_AUDIENCES", "one two"),
			lines:   []string{`SERVER_TOKEN_AUDIENCES="one two": must be a comma-separated list, each a text without white space`},
		},
		"several bad values are told at once, in the order of the table": {
			environ: with("SWEEP_INTERVAL", "never", "DATABASE_URL", "", "KUBE_API_BURST", "many"),
			lines: []string{
				`KUBE_API_BURST="many": must be a whole number from 1 to 10000`,
				"DATABASE_URL is not set: must be a Postgres URL (postgres://user:password@host:5432/database) or keyword=value pairs",
				`SWEEP_INTERVAL="never": must be a duration from 5s to 1h, such as 2m`,
			},
		},
		"a value of several lines stays on one": {
			environ: with("LOG_FORMAT", "json\nLOG_LEVEL=debug"),
			lines:   []string{`LOG_FORMAT="json\nLOG_LEVEL=debug": must be one of json, console`},
		},
		"a long value is cut between two characters": {
			environ: with("LOG_FORMAT", strings.Repeat("ä", 41)),
			lines:   []string{`LOG_FORMAT="` + strings.Repeat("ä", 40) + `…": must be one of json, console`},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			loaded, warnings, err := Load(test.environ)

			require.EqualError(t, err, "invalid configuration:\n"+strings.Join(test.lines, "\n"))
			require.Zero(t, loaded)
			require.Empty(t, warnings)
			require.NotContains(t, err.Error(), "hunter2")
		})
	}
}

func TestFromProcessReadsTheEnvironmentOfThisProcess(t *testing.T) {
	t.Setenv("DATABASE_URL", goodURL)
	t.Setenv("KUBE_API_QPS", "7")

	loaded, _, err := FromProcess()

	require.NoError(t, err)
	require.Equal(t, 7, loaded.KubeAPIQPS)
}
