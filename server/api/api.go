// Package api answers the requests under /api/v1 from Postgres, and from the target
// clusters. Each endpoint has a file of its own, which states the rights that it needs
// beside its parameters. It writes nothing, but that a notification is to be sent,
// a delivery to be worked off again, a RunRequest, that a CdPipeline is held, or a live limit.
package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/holding"
	"github.com/penstock-cd/penstock/pkg/limiting"
	"github.com/penstock-cd/penstock/pkg/notify/route"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/view"
	"github.com/penstock-cd/penstock/server/clusters"
	"github.com/penstock-cd/penstock/server/identity"
	"github.com/penstock-cd/penstock/server/namespaces"
	"github.com/penstock-cd/penstock/server/requests"
	"github.com/penstock-cd/penstock/server/rights"
	"github.com/penstock-cd/penstock/server/stream"
)

// Backend is what the endpoints work with. Every field is required.
type Backend struct {
	View   *view.View
	Rights *rights.Reviewer
	// Namespaces are looked at where a user may not see all.
	Namespaces *namespaces.Known
	Streams    *stream.Hub
	// Clusters are the TargetClusters, and what reads them.
	Clusters *clusters.Clusters
	// Outbox holds the notifications, and Expressions evaluates what their policies say. Up to
	// MaxPreviews policies are tried at once.
	Outbox      Outbox
	Expressions *route.Expressions
	MaxPreviews int
	// Deliveries are what webhooks brought.
	Deliveries Deliveries
	// Requests creates RunRequests. ForeignTokens tells that callers may have tokens which the
	// API server does not take, since they are for the server's own audiences.
	Requests      Requests
	ForeignTokens bool
	// SettingsNamespace is where the ConfigMap with the live limits is.
	SettingsNamespace string
	// Identify tells again who sends a request, while a stream is open.
	Identify func(*http.Request) (identity.User, error)
	// OnRefused is told of every refusal. It must not block.
	OnRefused func(r *http.Request, user identity.User, err error)
	// RetryAfter is what callers are told while Postgres or the API server is away.
	RetryAfter time.Duration
	Log        logr.Logger
}

// Outbox is what the API asks of the notifications beside reading them.
type Outbox interface {
	// AskResend has a notification sent again, where it has not changed since then; zero is
	// whenever. It returns store.ErrNoNotification where there is none, or
	// store.ErrNotificationChanged, or store.ErrMayNotWrite.
	AskResend(ctx context.Context, namespace string, id int64, unchanged time.Time) error
	// AskTest has a channel tested, and returns the id of the notification. token is unique.
	AskTest(ctx context.Context, namespace, channel, token string) (int64, error)
	// ToldOfBuild reads up to most events of a build that a policy may tell of.
	ToldOfBuild(ctx context.Context, namespace, build, buildUID string, most int) (store.ToldOfBuild, error)
}

// Deliveries is what the API asks of the deliveries beside reading them.
type Deliveries interface {
	// AskRedelivery has a delivery worked off again, and returns the id of the new one. token is
	// unique. It returns store.ErrNoDelivery where there is none, or store.ErrMayNotWrite.
	AskRedelivery(ctx context.Context, namespace string, id int64, token string) (int64, error)
}

// Requests is what the API asks of the API server in a caller's name.
type Requests interface {
	// Create creates a RunRequest as the caller, once for its name and spec. Its errors are the
	// API server's, or requests.ErrOther.
	Create(ctx context.Context, as requests.Caller, request *v1alpha1.RunRequest) (*v1alpha1.RunRequest, error)
	// Get reads a RunRequest as the caller. Its errors are the API server's.
	Get(ctx context.Context, as requests.Caller, namespace, name string) (*v1alpha1.RunRequest, error)
	// Pipeline reads a CdPipeline as the caller. Its errors are the API server's, or
	// requests.ErrNoToken.
	Pipeline(ctx context.Context, as requests.Caller, namespace, name string) (*v1alpha1.CdPipeline, error)
	// Hold holds or releases a CdPipeline as the caller, of this generation where that is not 0. Its
	// errors are the API server's, requests.ErrNoToken or requests.ErrChanged.
	Hold(ctx context.Context, as requests.Caller, namespace, name string, seen int64, change holding.Change) (*v1alpha1.CdPipeline, error)
	// Settings reads the ConfigMap with the live limits as the caller. Its errors are the API
	// server's, or requests.ErrNoToken.
	Settings(ctx context.Context, as requests.Caller, namespace string) (*corev1.ConfigMap, error)
	// ChangeSetting changes it as the caller, of this version where that is not empty. Its errors are
	// the API server's, requests.ErrNoToken, requests.ErrChanged or a *limiting.RefusedError.
	ChangeSetting(ctx context.Context, as requests.Caller, namespace, seen string, change limiting.Change) (*corev1.ConfigMap, error)
}

// endpoints are all that is served under /api/v1, in the order of the documentation.
var endpoints = []func(huma.API, *Backend){
	listOverview,
	listApplications,
	getStatus,
	listBuilds,
	getBuild,
	listRuns,
	getRun,
	listQueue,
	getQueueSummary,
	getQueueTrend,
	listSettings,
	getSetting,
	setSetting,
	listEvents,
	listClusters,
	getClusterHistory,
	listResources,
	batchGet,
	listNotifications,
	getNotification,
	testChannel,
	resendNotification,
	previewNotifications,
	listDeliveries,
	getDelivery,
	redeliver,
	listWaves,
	getWave,
	createRunRequest,
	getRunRequest,
	getHold,
	setHold,
	explainBuild,
	explainPipeline,
	explainRun,
}

// Register adds every endpoint to a mux, and the document at /openapi.json.
func Register(mux humago.Mux, version string, backend *Backend) huma.API {
	config := huma.DefaultConfig("Penstock", version)
	config.DocsPath, config.SchemasPath = "", ""
	config.CreateHooks = nil // no $schema in answers
	config.RejectUnknownQueryParameters = true
	config.Info.Description = "What Penstock does, and why. Every request needs a bearer token that the cluster's API server accepts, " +
		"or a client certificate of the cluster's CA, and sees what its user may see."
	config.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"bearer":      {Type: "http", Scheme: "bearer", Description: "A token that the cluster's API server accepts."},
		"certificate": {Type: "mutualTLS", Description: "A client certificate of the cluster's CA."},
	}
	config.Security = []map[string][]string{{"bearer": {}}, {"certificate": {}}}
	api := humago.New(mux, config)
	for _, register := range endpoints {
		register(api, backend)
	}
	return api
}

// names tells what an endpoint is called, where it is, and what it answers.
type names struct {
	id, path, summary, description string
}

// get registers one endpoint. The answer is a page of JSON with an ETag; an input that is
// a watcher can ask for a stream instead. No answer is made before the input was allowed.
func get[I any, P interface {
	*I
	input
}, O any](api huma.API, b *Backend, n names, answer func(context.Context, *Backend, P) (*O, error)) {
	register(api, b, operationOf[O](api, n, streamOf(any(P(new(I))))), answer)
}

// post is get for a question that does not fit into a URL, and for what is to be done.
func post[I any, P interface {
	*I
	input
}, O any](api huma.API, b *Backend, n names, answer func(context.Context, *Backend, P) (*O, error)) {
	operation := operationOf[O](api, n, "")
	operation.Method = http.MethodPost
	register(api, b, operation, answer)
}

func register[I any, P interface {
	*I
	input
}, O any](api huma.API, b *Backend, operation huma.Operation, answer func(context.Context, *Backend, P) (*O, error)) {
	huma.Register(api, operation, func(ctx context.Context, in *I) (*huma.StreamResponse, error) {
		user, err := identity.From(ctx)
		if err != nil {
			return nil, err
		}
		asked := P(in)
		if err := asked.allow(ctx, gate{Backend: b, user: user}); err != nil {
			return nil, b.failure(ctx, user, err)
		}
		if watching, ok := any(asked).(watcher); ok && watching.wantsStream() {
			return watch[I, P](ctx, b, user, *in)
		}
		if parts, ok := any(asked).(parted); ok && parts.wantsParts() {
			return inParts(ctx, b, user, parts)
		}
		out, err := answer(ctx, b, asked)
		if err != nil {
			return nil, b.failure(ctx, user, err)
		}
		return respond(out)
	})
}

// streamOf describes the stream that an input can be answered with; empty where there is
// none.
func streamOf(input any) string {
	switch input.(type) {
	case watcher:
		return "With ?watch=true: messages `event`, each with an Event as JSON, and at the end `problem`, with an error."
	case parted:
		return "With ?stream=true: messages `part`, each with a ResourcePart as JSON, and at the end `end`, with a ResourceEnd, or `problem`, with an error."
	}
	return ""
}

// operationOf describes an endpoint in the document.
func operationOf[O any](api huma.API, n names, stream string) huma.Operation {
	content := map[string]*huma.MediaType{
		"application/json": {Schema: huma.SchemaFromType(api.OpenAPI().Components.Schemas, typeOf[O]())},
	}
	if stream != "" {
		content["text/event-stream"] = &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString, Description: stream}}
	}
	return huma.Operation{
		OperationID: n.id, Method: http.MethodGet, Path: n.path, Summary: n.summary, Description: n.description,
		Responses: map[string]*huma.Response{"200": {Description: "OK", Content: content}, "304": {Description: "Not Modified: If-None-Match has the answer's ETag."}},
		Errors: []int{
			http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound,
			http.StatusTooManyRequests, http.StatusServiceUnavailable,
		},
	}
}
