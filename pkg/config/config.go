// Package config turns the process environment into one validated struct.
package config

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"

	"github.com/penstock-cd/penstock/pkg/outbound"
)

// Config is everything an operator can set. Each field is one environment
// variable; its tags are the only place that states the default (envDefault), the
// bounds (min, max, oneof, format) and the meaning that Describe prints.
//
// A variable that is unset or empty takes its default. White space around a value
// is ignored, so that a secret file's last line feed does no harm.
type Config struct {
	// BatchSize is how many triggers are in flight at once, in the whole process and
	// over all builds. It bounds the sliding window of dispatch, not the claims.
	// Zero or less means 1, which Load reports as a warning.
	BatchSize BatchSize `env:"CI_SUCCESS_AUTO_TRIGGER_BATCH_SIZE" envDefault:"5" max:"10000" live:"true" meaning:"triggers in flight at once, in the whole process, over all builds; 0 or less means 1, auto finds it"`

	// BatchSizeCeiling is the most that an automatic batch size grows to.
	BatchSizeCeiling int `env:"CI_SUCCESS_AUTO_TRIGGER_BATCH_SIZE_CEILING" envDefault:"50" min:"1" max:"10000" live:"true" meaning:"most triggers in flight at once where the batch size is auto"`

	// CiBatchSize is how many builds are triggered at once. They have a pool of their own,
	// so that stages of runs do not wait for them, nor they for stages.
	CiBatchSize int `env:"CI_BATCH_SIZE" envDefault:"5" min:"1" max:"10000" live:"true" meaning:"builds in flight at once: CI Workflows that are being created"`

	// KubeAPIQPS is the refill rate, in requests per second, of the one token bucket
	// that every request waits for which no cache answers. Leases and watches have a
	// client of their own.
	KubeAPIQPS int `env:"KUBE_API_QPS" envDefault:"50" min:"1" max:"10000" live:"true" meaning:"requests per second to the Kubernetes API, triggers and status writes together"`

	// KubeAPIBurst is the size of that bucket: the requests that may go at once after
	// a quiet time.
	KubeAPIBurst int `env:"KUBE_API_BURST" envDefault:"10" min:"1" max:"10000" live:"true" meaning:"requests to the Kubernetes API that may go at once after a quiet time"`

	// DatabaseURL is where Postgres is and how to log in there: a URL or libpq's
	// keyword=value form. It has no default, and it is never printed.
	DatabaseURL Secret `env:"DATABASE_URL" format:"postgres" required:"true" meaning:"Postgres to connect to, user and password included; never printed"`

	// DatabasePasswordFile holds the password, such as a mounted Secret. It is read for
	// each new connection, so that a changed password needs no restart, and goes before
	// the password in DatabaseURL.
	DatabasePasswordFile string `env:"DATABASE_PASSWORD_FILE" format:"path" meaning:"file that holds the password, read for each new connection to Postgres; empty is the one in DATABASE_URL"`

	// DatabaseMaxConns bounds the connections of this process, all loops together.
	// Dispatch needs at most two whatever the batch size; each other loop needs one.
	DatabaseMaxConns int `env:"DATABASE_MAX_CONNS" envDefault:"10" min:"4" max:"1000" meaning:"connections to Postgres, never exceeded"`

	// DatabaseSchema is the Postgres schema that holds every table of Penstock, so
	// that several installations can share one database.
	DatabaseSchema string `env:"DATABASE_SCHEMA" envDefault:"penstock" format:"identifier" meaning:"Postgres schema that holds the tables"`

	// MaxActiveWorkflows is the backlog gate: nothing is claimed while this many of
	// our Workflows are unfinished. Zero turns the gate off.
	MaxActiveWorkflows int `env:"MAX_ACTIVE_WORKFLOWS" envDefault:"0" min:"0" max:"1000000" live:"true" meaning:"stop triggering while this many Workflows are unfinished; 0 is off"`

	// MaxActivePerNamespace is the share of one namespace: none of its tasks is claimed while
	// this many of our Workflows there are unfinished. Zero turns it off.
	MaxActivePerNamespace int `env:"MAX_ACTIVE_WORKFLOWS_PER_NAMESPACE" envDefault:"0" min:"0" max:"1000000" live:"true" meaning:"stop triggering in a namespace while this many Workflows are unfinished there; 0 is off"`

	// Freeze stops all triggering of CD pipelines at once, in all namespaces or in some.
	// What would start is held, and goes on when the freeze is over. Builds go on.
	Freeze Freeze `env:"FREEZE" live:"true" meaning:"stop all CD triggers and hold what comes: the reason; empty is off"`

	// LeaderElect makes one replica of several do the work. Without it every replica
	// works; the database keeps them apart either way.
	LeaderElect bool `env:"LEADER_ELECT" envDefault:"true" meaning:"let one replica work and the others stand by"`

	// PodNamespace is where Penstock itself lives, with its Lease and its settings.
	// Empty means the namespace of the pod, which is known only inside a cluster.
	PodNamespace string `env:"POD_NAMESPACE" format:"namespace" meaning:"namespace of the leader's Lease and of the settings; empty is the pod's own"`

	// PodUID names this replica in the leader's Lease and in the database. A container
	// that restarts in the same pod takes back at once what it had. It must differ between
	// replicas. Empty means a new name for each process.
	PodUID string `env:"POD_UID" format:"name" meaning:"name of this replica, kept over restarts: the pod's UID; empty is a new one for each process"`

	// WatchNamespaces are the only namespaces that are watched and triggered in.
	// Empty means all of them.
	WatchNamespaces []string `env:"WATCH_NAMESPACES" format:"namespace" meaning:"namespaces to watch, separated by commas; empty is all"`

	// ClusterScopedKinds tells whether TargetClusters and ClusterWorkflowTemplates are read,
	// which needs rights in the whole cluster. Without them Penstock needs nothing but Roles in
	// WatchNamespaces and in its own namespace.
	ClusterScopedKinds bool `env:"CLUSTER_SCOPED_KINDS" envDefault:"true" meaning:"read TargetClusters and ClusterWorkflowTemplates, which needs rights in the whole cluster"`

	// MetricsBindAddress serves /metrics. "0" serves none; port 0 takes any free one.
	MetricsBindAddress string `env:"METRICS_BIND_ADDRESS" envDefault:":8080" format:"address" meaning:"where /metrics is served; 0 is nowhere"`

	// HealthProbeBindAddress serves /healthz and /readyz. "0" serves none; port 0
	// takes any free one.
	HealthProbeBindAddress string `env:"HEALTH_PROBE_BIND_ADDRESS" envDefault:":8081" format:"address" meaning:"where /healthz and /readyz are served; 0 is nowhere"`

	// LogLevel is the least severe level that is written.
	LogLevel string `env:"LOG_LEVEL" envDefault:"info" oneof:"debug info warn error" meaning:"least severe level that is logged"`

	// LogFormat is json for machines or console for people.
	LogFormat string `env:"LOG_FORMAT" envDefault:"json" oneof:"json console" meaning:"form of a log line"`

	// ShutdownGracePeriod is how long triggers in flight may take to finish after
	// SIGTERM before they are released. Keep it 15 s below the pod's
	// terminationGracePeriodSeconds: what became of them is recorded after it.
	ShutdownGracePeriod time.Duration `env:"SHUTDOWN_GRACE_PERIOD" envDefault:"30s" min:"1s" max:"10m" meaning:"time for triggers in flight to finish after SIGTERM"`

	// TriggerLease is how long a claimed task belongs to this process, by the
	// database's clock, before another may take it. After a crash that is the longest
	// wait of the tasks that were in flight.
	TriggerLease time.Duration `env:"TRIGGER_LEASE" envDefault:"20s" min:"5s" max:"10m" meaning:"time a claimed task belongs to this process before another may take it"`

	// TemplateWait is how long a stage waits for a template that does not exist, by the
	// database's clock, before it ends as Error.
	TemplateWait time.Duration `env:"TEMPLATE_WAIT" envDefault:"10m" min:"1s" max:"168h" meaning:"time a stage waits for its WorkflowTemplate before it ends as Error"`

	// WorkflowLabels are put on every Workflow that Penstock creates, such as the instanceID
	// of the Argo controller that is to run it. A stage's own labels go before them.
	WorkflowLabels []string `env:"WORKFLOW_LABELS" format:"label" meaning:"labels of all Workflows, such as workflows.argoproj.io/controller-instanceid=ci, separated by commas; a stage's own go first"`

	// PickupTimeout is how long a Workflow may have no phase before the run says that no
	// Argo controller takes it up.
	PickupTimeout time.Duration `env:"PICKUP_TIMEOUT" envDefault:"2m" min:"1s" max:"24h" meaning:"time for an Argo controller to take a Workflow up before the run says that none does"`

	// SweepInterval is the pause between two sweeps. The first sweep runs at start.
	SweepInterval time.Duration `env:"SWEEP_INTERVAL" envDefault:"2m" min:"5s" max:"1h" meaning:"time between two repairs of what a crash or a lost event left open"`

	// HistoryRetention is how long the rows of builds that are gone, and events, are kept.
	// Those of a pipeline's last run, and of what it deployed last and before that, stay.
	HistoryRetention Retention `env:"HISTORY_RETENTION" envDefault:"90d" min:"1h" live:"true" meaning:"how long rows of builds that are gone, and events, are kept; 0 keeps them"`

	// WorkflowTTL is how long after its end Argo deletes a Workflow of ours, where its
	// template sets no ttlStrategy. Zero leaves that to the template and to Argo's defaults.
	WorkflowTTL Retention `env:"WORKFLOW_TTL" envDefault:"0" min:"1s" example:"7d" meaning:"time after its end that Argo deletes a Workflow of ours, where its template sets no ttlStrategy; 0 is off"`

	// ClusterProbeInterval is the time between two probes of one TargetCluster.
	ClusterProbeInterval time.Duration `env:"CLUSTER_PROBE_INTERVAL" envDefault:"1m" min:"5s" max:"1h" meaning:"time between two probes of one TargetCluster"`

	// ClusterProbeParallelism is how many TargetClusters are probed at once.
	ClusterProbeParallelism int `env:"CLUSTER_PROBE_PARALLELISM" envDefault:"100" min:"1" max:"1000" meaning:"TargetClusters that are probed at once"`

	// ResourceKinds are the kinds of TargetClusters that may be shown to people. Secrets
	// are refused.
	ResourceKinds []string `env:"RESOURCE_KINDS" envDefault:"pods,services,nodes,namespaces,events,persistentvolumeclaims,deployments.apps,statefulsets.apps,daemonsets.apps,replicasets.apps,jobs.batch,cronjobs.batch,ingresses.networking.k8s.io" format:"kind" meaning:"kinds of TargetClusters that may be shown, separated by commas; never secrets"`

	// ResourceBatchSize is how many objects are got by reference from one TargetCluster at
	// once.
	ResourceBatchSize int `env:"RESOURCE_BATCH_SIZE" envDefault:"5" min:"1" max:"100" meaning:"objects that are got from one TargetCluster at once"`

	// NotificationWorkers is how many notifications are sent at once, one of each channel.
	NotificationWorkers int `env:"NOTIFICATION_WORKERS" envDefault:"8" min:"2" max:"100" meaning:"notifications that are sent at once, one of each channel"`

	// OutboundAllowedNetworks are networks that notifications may be sent to although their
	// addresses are not public, such as those of a mail relay.
	OutboundAllowedNetworks []string `env:"OUTBOUND_ALLOWED_NETWORKS" format:"network" meaning:"networks that are not public and may be sent to all the same, such as 10.1.0.0/16, separated by commas; empty is none"`

	// OutboundProxy takes every request that Penstock sends out over HTTP. The variables
	// HTTP_PROXY and HTTPS_PROXY are not read.
	OutboundProxy string `env:"OUTBOUND_PROXY" format:"proxy" meaning:"URL of a proxy for all that is sent out over HTTP; empty is none"`

	// ServerBindAddress is where `penstock server` answers, with TLS.
	ServerBindAddress string `env:"SERVER_BIND_ADDRESS" envDefault:":8443" format:"listener" meaning:"penstock server: where it answers, with TLS"`

	// WebhookBindAddress is where `penstock server` receives webhooks, with TLS and the same
	// certificate. "0" receives none.
	WebhookBindAddress string `env:"WEBHOOK_BIND_ADDRESS" envDefault:":9444" format:"address" meaning:"penstock server: where webhooks are received, with TLS; 0 is nowhere"`

	// ServerURL is how users reach `penstock server`. It is published, and a self-signed
	// certificate is for its host too. Empty means the Service inside the cluster.
	ServerURL string `env:"SERVER_URL" format:"https" meaning:"penstock server: URL at which users reach it; empty is its Service"`

	// ServerTLSDir is the mounted Secret with the certificate of `penstock server`. It is
	// read again when it changes. Empty means a self-signed certificate.
	ServerTLSDir string `env:"SERVER_TLS_DIR" format:"path" meaning:"penstock server: folder with tls.crt, tls.key and perhaps ca.crt; empty is a self-signed certificate"`

	// ServerTokenAudiences are those of which a bearer token must have one. Empty means the
	// API server's own, which is what a kubeconfig's token has.
	ServerTokenAudiences []string `env:"SERVER_TOKEN_AUDIENCES" format:"word" meaning:"penstock server: audiences of which a token must have one; empty is the API server's own"`

	// Dashboard has the server serve pages for people beside the API.
	Dashboard bool `env:"DASHBOARD" envDefault:"true" meaning:"penstock server: serve the dashboard beside the API"`

	// DashboardBasePath is the path under which a proxy publishes the dashboard. The proxy
	// may strip it or not.
	DashboardBasePath string `env:"DASHBOARD_BASE_PATH" envDefault:"/" format:"path" meaning:"penstock server: path under which a proxy publishes the dashboard and the API, which the proxy may strip or not"`

	// DashboardSessionKey encrypts the sessions of the dashboard. Empty derives the key from
	// that of the server's certificate or CA, which all replicas have, and which ends all
	// sessions when it changes.
	DashboardSessionKey Secret `env:"DASHBOARD_SESSION_KEY" format:"key" meaning:"penstock server: encrypts the sessions of the dashboard; empty derives it from the key of the certificate; never printed"`

	// DashboardSessionLifetime is how long somebody stays signed in. A token that ends
	// earlier ends the session.
	DashboardSessionLifetime time.Duration `env:"DASHBOARD_SESSION_LIFETIME" envDefault:"12h" min:"1m" max:"168h" meaning:"penstock server: time after which somebody has to sign in to the dashboard again"`

	// DashboardAnonymous shows the dashboard to those who have not signed in, with the
	// rights of system:anonymous and without any action.
	DashboardAnonymous bool `env:"DASHBOARD_ANONYMOUS" envDefault:"false" meaning:"penstock server: show the dashboard without sign-in, read-only, with the rights of the user system:anonymous"`

	// DashboardURL is how browsers reach the dashboard, base path included. The identity
	// provider sends them back there.
	DashboardURL string `env:"DASHBOARD_URL" format:"https" meaning:"penstock server: URL at which browsers reach the dashboard, DASHBOARD_BASE_PATH included; empty is SERVER_URL"`

	// OIDCIssuerURL is the identity provider at which people sign in to the dashboard, exactly
	// as the provider names itself.
	OIDCIssuerURL string `env:"OIDC_ISSUER_URL" format:"https" meaning:"penstock server: identity provider at which people sign in to the dashboard; empty is none"`

	// OIDCClientID is what the provider knows the dashboard by. ID tokens must be for it.
	OIDCClientID string `env:"OIDC_CLIENT_ID" format:"word" meaning:"penstock server: what the identity provider knows the dashboard by"`

	// OIDCClientSecret proves to the provider that it is the dashboard who asks. A public
	// client has none: PKCE protects its sign-ins, as all others.
	OIDCClientSecret Secret `env:"OIDC_CLIENT_SECRET" format:"word" meaning:"penstock server: secret that belongs to OIDC_CLIENT_ID; empty is a public client; never printed"`

	// OIDCCAFile is a mounted file with the CA that signed the provider's certificate.
	OIDCCAFile string `env:"OIDC_CA_FILE" format:"path" meaning:"penstock server: file with the CA of the identity provider's certificate; empty trusts what the system does"`

	// OIDCScopes are what the provider is asked for. Some send groups only where a scope for
	// them is asked for, and some refuse scopes that they do not know.
	OIDCScopes []string `env:"OIDC_SCOPES" envDefault:"openid,profile,email" format:"word" meaning:"penstock server: scopes that the identity provider is asked for, separated by commas; many need groups"`

	// OIDCUsernameClaim means what kube-apiserver's flag --oidc-username-claim means, as the
	// three that follow mean what the flags of their names do: RBAC can name the same people.
	OIDCUsernameClaim string `env:"OIDC_USERNAME_CLAIM" envDefault:"sub" format:"word" meaning:"penstock server: claim of the ID token that is the user's name"`

	// OIDCUsernamePrefix comes before the user's name.
	OIDCUsernamePrefix string `env:"OIDC_USERNAME_PREFIX" format:"prefix" meaning:"penstock server: what comes before the user's name; empty is the issuer and # unless the claim is email, - is nothing"`

	// OIDCGroupsClaim is a text or a list of texts.
	OIDCGroupsClaim string `env:"OIDC_GROUPS_CLAIM" format:"word" meaning:"penstock server: claim of the ID token with the user's groups; empty is no groups"`

	// OIDCGroupsPrefix comes before the name of each group.
	OIDCGroupsPrefix string `env:"OIDC_GROUPS_PREFIX" format:"prefix" meaning:"penstock server: what comes before the name of each group; empty is nothing"`
}

// FromProcess is Load on the environment of this process.
func FromProcess() (Config, []string, error) {
	return Load(env.ToMap(os.Environ()))
}

// Load reads a Config from an environment, variable name to value, and changes
// nothing. The strings are warnings for the caller to log: values that were
// accepted but not taken literally.
//
// The error has one line for each variable that is missing or bad, with its name,
// its value unless it is a secret, and what is allowed. The Config is then zero.
func Load(environ map[string]string) (Config, []string, error) {
	environ = trimmed(environ)
	var loaded Config
	unparsed, err := parse(&loaded, environ)
	if err != nil {
		return Config{}, nil, err
	}
	for _, list := range [][]string{loaded.WatchNamespaces, loaded.WorkflowLabels, loaded.ResourceKinds, loaded.OutboundAllowedNetworks, loaded.OIDCScopes} {
		for index, item := range list {
			list[index] = strings.TrimSpace(item)
		}
	}
	if err := validate(loaded, environ, unparsed); err != nil {
		return Config{}, nil, fmt.Errorf("invalid configuration:\n%w", err)
	}
	if err := errors.Join(loaded.oidcProblems()...); err != nil {
		return Config{}, nil, fmt.Errorf("invalid configuration:\n%w", err)
	}
	warnings := loaded.raiseBatchSize()
	return loaded, warnings, nil
}

// Labels are those of WorkflowLabels, by key; of equal keys the last counts.
func (c Config) Labels() map[string]string {
	labels := make(map[string]string, len(c.WorkflowLabels))
	for _, label := range c.WorkflowLabels {
		key, value, _ := strings.Cut(label, "=")
		labels[key] = value
	}
	return labels
}

// Outbound is what may be reached outside of the cluster.
func (c Config) Outbound() outbound.Config {
	var config outbound.Config
	for _, network := range c.OutboundAllowedNetworks {
		if prefix, err := netip.ParsePrefix(network); err == nil { // Load has looked at it
			config.AllowedNetworks = append(config.AllowedNetworks, prefix)
		}
	}
	if proxy, err := url.Parse(c.OutboundProxy); err == nil && c.OutboundProxy != "" {
		config.Proxy = proxy
	}
	return config
}

func trimmed(environ map[string]string) map[string]string {
	// Never nil: the library would read the environment of the process instead.
	result := make(map[string]string, len(environ))
	maps.Copy(result, environ)
	for name, value := range result {
		result[name] = strings.TrimSpace(value)
	}
	return result
}

// parse fills the Config and returns the names of the fields whose value does not
// have the field's type. The library's own message for them is dropped, because it
// repeats the value and says nothing of the bounds.
func parse(target *Config, environ map[string]string) (map[string]bool, error) {
	err := env.ParseWithOptions(target, env.Options{Environment: environ})
	if err == nil {
		return nil, nil
	}
	var all env.AggregateError
	if !errors.As(err, &all) {
		return nil, errors.New("read environment: unexpected kind of error")
	}
	unparsed := make(map[string]bool)
	for _, one := range all.Errors {
		var bad env.ParseError
		if !errors.As(one, &bad) {
			return nil, fmt.Errorf("read environment: unexpected %T", one)
		}
		unparsed[bad.Name] = true
	}
	return unparsed, nil
}
