package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	authorizationv1 "k8s.io/api/authorization/v1"

	"github.com/penstock-cd/penstock/pkg/doctor"
	"github.com/penstock-cd/penstock/pkg/fleet"
	"github.com/penstock-cd/penstock/pkg/preflight"
)

// neededRights are what config/target/runs grants in a namespace.
var neededRights = []preflight.Right{
	{Group: "argoproj.io", Resource: "workflows", Verb: "get"}, {Group: "argoproj.io", Resource: "workflows", Verb: "list"},
	{Group: "argoproj.io", Resource: "workflows", Verb: "watch"}, {Group: "argoproj.io", Resource: "workflows", Verb: "create"},
	{Group: "argoproj.io", Resource: "workflows", Verb: "patch"}, {Group: "argoproj.io", Resource: "workflowtemplates", Verb: "get"},
}

// presence is what a cluster says of an object.
type presence int

const (
	exists presence = iota
	isMissing
	isHidden // Penstock's account may not read it
)

func (r *runsThere) look(ctx context.Context, path string) (presence, error) {
	err := r.reached.Read(ctx, http.MethodGet, path, nil, maxAnswer, nil)
	var failure *fleet.Failure
	switch {
	case err == nil:
		return exists, nil
	case errors.As(err, &failure) && failure.Status == http.StatusNotFound:
		return isMissing, nil
	case errors.As(err, &failure) && failure.Status == http.StatusForbidden:
		return isHidden, nil
	}
	return exists, err
}

// lookAll asks for many objects, by their paths and names, and judges what is not there.
func (r *runsThere) lookAll(ctx context.Context, paths map[string]string, what, create string) doctor.Finding {
	var missing, hidden []string
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		found, err := r.look(ctx, path)
		if err != nil {
			return notAsked(err)
		}
		switch found {
		case isMissing:
			missing = append(missing, paths[path])
		case isHidden:
			hidden = append(hidden, paths[path])
		}
	}
	switch {
	case len(missing) > 0:
		return doctor.Bad(create, "%s does not exist in %s: %s", what, r.cluster, someOf(missing))
	case len(hidden) > 0:
		return doctor.Odd("look there yourself, or grant Penstock's account the right to get them", "Penstock may not read whether %s exists in %s: %s", what, r.cluster, someOf(hidden))
	}
	return doctor.Good("%s", strings.Join(slices.Sorted(maps.Values(paths)), ", "))
}

func namespacesForRuns(ctx context.Context, r *runsThere) doctor.Finding {
	paths := map[string]string{}
	for namespace := range r.namespaces {
		paths["/api/v1/namespaces/"+url.PathEscape(namespace)] = namespace
	}
	return r.lookAll(ctx, paths, "a namespace of its pipelines", "create the namespace there: kubectl create namespace NAME")
}

func templatesForRuns(ctx context.Context, r *runsThere) doctor.Finding {
	const argo = "/apis/argoproj.io/v1alpha1/"
	paths := map[string]string{}
	for namespace, needed := range r.namespaces {
		for template := range needed.templates {
			if template.ClusterScope {
				paths[argo+"clusterworkflowtemplates/"+url.PathEscape(template.Name)] = "ClusterWorkflowTemplate " + template.Name
				continue
			}
			paths[argo+"namespaces/"+url.PathEscape(namespace)+"/workflowtemplates/"+url.PathEscape(template.Name)] = "WorkflowTemplate " + namespace + "/" + template.Name
		}
	}
	return r.lookAll(ctx, paths, "a template of its pipelines", "create the template there: those at home do not count")
}

func accountsForRuns(ctx context.Context, r *runsThere) doctor.Finding {
	paths := map[string]string{}
	for namespace, needed := range r.namespaces {
		for account := range needed.accounts {
			paths["/api/v1/namespaces/"+url.PathEscape(namespace)+"/serviceaccounts/"+url.PathEscape(account)] = namespace + "/" + account
		}
	}
	if len(paths) == 0 {
		return doctor.Good("no pipeline names one: Workflows run as the account that Argo gives")
	}
	return r.lookAll(ctx, paths, "a service account of its pipelines", "create the service account there, with the rights that Argo needs")
}

// rightsForRuns asks the cluster what Penstock's account may do in each namespace.
func rightsForRuns(ctx context.Context, r *runsThere) doctor.Finding {
	var lacks []string
	for _, namespace := range slices.Sorted(maps.Keys(r.namespaces)) {
		for _, right := range neededRights {
			allowed, err := r.may(ctx, right, namespace)
			if err != nil {
				return notAsked(err)
			}
			if !allowed {
				lacks = append(lacks, fmt.Sprintf("%s in namespace %s", right, namespace))
			}
		}
	}
	if len(lacks) > 0 {
		return doctor.Bad("apply config/target/runs there, and bind penstock-target-runs in the namespace: docs/clusters.md#run-pipelines-there", "Penstock may not %s", someOf(lacks))
	}
	return doctor.Good("Penstock may create and follow Workflows in %s", strings.Join(slices.Sorted(maps.Keys(r.namespaces)), ", "))
}

func (r *runsThere) may(ctx context.Context, right preflight.Right, namespace string) (bool, error) {
	review := authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: right.Attributes(namespace)}}
	review.APIVersion, review.Kind = authorizationv1.SchemeGroupVersion.String(), "SelfSubjectAccessReview"
	body, err := json.Marshal(review)
	if err != nil {
		return false, err
	}
	err = r.reached.Read(ctx, http.MethodPost, "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body, maxAnswer, &review)
	return review.Status.Allowed, err
}
