// Package preflight asks the cluster whether it has the kinds and grants the rights that
// Penstock needs, and writes nothing.
package preflight

import (
	"fmt"
	"slices"
	"strings"
)

// Right is to be allowed one verb on one resource.
type Right struct {
	// Group and Resource are as in a Role; Resource may name a subresource, such as
	// cibuilds/status.
	Group, Resource, Verb string
	// Name is the only object that it is about; empty means all.
	Name string
	// Own tells that it counts in Penstock's own namespace alone.
	Own bool
}

// String is the right in words, such as "list clusterworkflowtemplates.argoproj.io".
func (r Right) String() string {
	resource, subresource, _ := strings.Cut(r.Resource, "/")
	if r.Group != "" {
		resource += "." + r.Group
	}
	if subresource != "" {
		resource += "/" + subresource
	}
	return r.Verb + " " + resource
}

// The API groups that rights are about.
const (
	groupPenstock = "penstock.dev"
	groupArgo     = "argoproj.io"
	groupEvents   = "events.k8s.io"
	groupLeases   = "coordination.k8s.io"
)

// Rights returns what config/rbac grants. A test compares the two.
func Rights() []Right {
	return slices.Concat(
		verbs(Right{Resource: "events"}, "create", "patch"),
		verbs(Right{Group: groupEvents, Resource: "events"}, "create", "patch"),
		verbs(Right{Group: groupArgo, Resource: "clusterworkflowtemplates"}, "get", "list", "watch"),
		verbs(Right{Group: groupArgo, Resource: "workflowtemplates"}, "get", "list", "watch"),
		verbs(Right{Group: groupArgo, Resource: "workflows"}, "create", "get", "list", "patch", "watch"),
		verbs(Right{Group: groupPenstock, Resource: "cdpipelines"}, "get", "list", "watch"),
		verbs(Right{Group: groupPenstock, Resource: "cipipelines"}, "get", "list", "watch"),
		verbs(Right{Group: groupPenstock, Resource: "cdpipelines/status"}, "patch"),
		verbs(Right{Group: groupPenstock, Resource: "cibuilds/status"}, "patch"),
		verbs(Right{Group: groupPenstock, Resource: "runrequests/status"}, "patch"),
		verbs(Right{Group: groupPenstock, Resource: "cipipelines/status"}, "patch"),
		verbs(Right{Group: groupPenstock, Resource: "cibuilds"}, "create", "delete", "get", "list", "watch"),
		verbs(Right{Group: groupPenstock, Resource: "runrequests"}, "list", "watch"),
		verbs(Right{Group: groupPenstock, Resource: "targetclusters"}, "list", "watch"),
		verbs(Right{Group: groupPenstock, Resource: "targetclusters/status"}, "patch"),
		verbs(Right{Group: groupPenstock, Resource: "notificationchannels"}, "list", "watch"),
		verbs(Right{Group: groupPenstock, Resource: "notificationpolicies"}, "list", "watch"),
		verbs(Right{Group: groupPenstock, Resource: "notificationchannels/status"}, "patch"),
		verbs(Right{Group: groupPenstock, Resource: "notificationpolicies/status"}, "patch"),
		verbs(Right{Group: groupPenstock, Resource: "baseimages"}, "get", "list", "watch"),
		verbs(Right{Group: groupPenstock, Resource: "baseimages/status"}, "patch"),
		verbs(Right{Group: groupPenstock, Resource: "receivers"}, "list", "watch"),
		verbs(Right{Group: groupPenstock, Resource: "receivers/status"}, "patch"),
		verbs(Right{Resource: "secrets", Own: true}, "get", "list", "watch"),
		verbs(Right{Resource: "configmaps", Name: "penstock-settings", Own: true}, "list", "watch"),
		verbs(Right{Resource: "namespaces", Name: "kube-system"}, "get"),
		verbs(Right{Group: groupLeases, Resource: "leases", Own: true}, "create", "get", "update"),
	)
}

func verbs(right Right, verbs ...string) []Right {
	rights := make([]Right, len(verbs))
	for i, verb := range verbs {
		rights[i] = right
		rights[i].Verb = verb
	}
	return rights
}

// Kind is one that Penstock needs, as the API server names it.
type Kind struct {
	Group, Version, Resource, Kind string
	// Install says what brings it.
	Install string
}

// clusterScoped are the resources that have no namespace.
var clusterScoped = []string{"namespaces", "clusterworkflowtemplates", "targetclusters", "targetclusters/status"}

const (
	penstockCRDs = "Penstock's CRDs: kubectl apply -k config/crd"
	argoCRDs     = "Argo Workflows"
)

// Kinds returns the kinds of others than Kubernetes itself.
func Kinds() []Kind {
	const v1alpha1 = "v1alpha1"
	return []Kind{
		{groupPenstock, v1alpha1, "cipipelines", "CiPipeline", penstockCRDs},
		{groupPenstock, v1alpha1, "cibuilds", "CiBuild", penstockCRDs},
		{groupPenstock, v1alpha1, "cdpipelines", "CdPipeline", penstockCRDs},
		{groupPenstock, v1alpha1, "runrequests", "RunRequest", penstockCRDs},
		{groupPenstock, v1alpha1, "targetclusters", "TargetCluster", penstockCRDs},
		{groupPenstock, v1alpha1, "notificationchannels", "NotificationChannel", penstockCRDs},
		{groupPenstock, v1alpha1, "notificationpolicies", "NotificationPolicy", penstockCRDs},
		{groupPenstock, v1alpha1, "baseimages", "BaseImage", penstockCRDs},
		{groupPenstock, v1alpha1, "receivers", "Receiver", penstockCRDs},
		{groupArgo, v1alpha1, "workflows", "Workflow", argoCRDs},
		{groupArgo, v1alpha1, "workflowtemplates", "WorkflowTemplate", argoCRDs},
		{groupArgo, v1alpha1, "clusterworkflowtemplates", "ClusterWorkflowTemplate", argoCRDs},
	}
}

// Missing is the sentence about a kind that the cluster does not have.
func (k Kind) Missing() string {
	return fmt.Sprintf("kind %s of %s/%s is not installed: install %s", k.Kind, k.Group, k.Version, k.Install)
}
