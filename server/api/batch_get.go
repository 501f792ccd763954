package api

import (
	"context"
	"fmt"
	"slices"

	"github.com/danielgtaylor/huma/v2"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/pkg/fleet"
	"github.com/penstock-cd/penstock/pkg/fleet/batchget"
	"github.com/penstock-cd/penstock/server/rights"
)

// notAllowed is the reason of a reference that the caller may not read.
const notAllowed = "NotAllowed"

// BatchGetInput names objects of many clusters.
type BatchGetInput struct {
	Body rest.BatchGet

	refused map[rights.Need]*rights.RefusedError
}

func needOf(reference rest.Reference) rights.Need {
	return resourcesOf("get", reference.Cluster, reference.Namespace)
}

// maxField is how many bytes a name, a namespace or a kind has at most.
const maxField = 253

// malformed tells what is wrong with a reference before anybody is asked about it; empty where
// nothing is.
func malformed(reference rest.Reference) string {
	for _, field := range []struct {
		name, value string
		isNeeded    bool
	}{
		{"cluster", reference.Cluster, true}, {"kind", reference.Kind, true}, {"namespace", reference.Namespace, false}, {"name", reference.Name, true},
	} {
		switch {
		case field.isNeeded && field.value == "":
			return "the field " + field.name + " is missing: set it"
		case len(field.value) > maxField:
			return fmt.Sprintf("the field %s has %d bytes, and at most %d are allowed: correct it", field.name, len(field.value), maxField)
		}
	}
	return ""
}

// allow reviews each pair of cluster and namespace. Those who may read none of them are
// refused; else what they may not read is refused by its index.
func (in *BatchGetInput) allow(ctx context.Context, gate gate) error {
	if len(in.Body.References) > batchget.MaxReferences {
		return batchget.ErrTooMany
	}
	everywhere, err := gate.Rights.Among(ctx, gate.user, resourcesOf("get", "", ""))
	if err != nil || everywhere[0] {
		return err
	}
	var needs []rights.Need
	for _, reference := range in.Body.References {
		if need := needOf(reference); malformed(reference) == "" && !slices.Contains(needs, need) {
			needs = append(needs, need)
		}
	}
	allowed, err := gate.Rights.Among(ctx, gate.user, needs...)
	if err != nil {
		return err
	}
	in.refused = map[rights.Need]*rights.RefusedError{}
	for i, need := range needs {
		if !allowed[i] {
			in.refused[need] = &rights.RefusedError{User: gate.user, Need: need}
		}
	}
	switch {
	case len(needs) == 0:
		return &rights.RefusedError{User: gate.user, Need: resourcesOf("get", "", "")}
	case len(in.refused) == len(needs):
		return in.refused[needs[0]]
	}
	for _, refused := range in.refused {
		gate.refuse(ctx, refused)
	}
	return nil
}

func batchGet(api huma.API, b *Backend) {
	post(api, b, names{
		id: "batch-get-resources", path: "/api/v1/resources:batchGet", summary: "Get many objects of many clusters",
		description: "An answer for each of up to 500 references, by its index: the object, or why there is none. One that is late or fails costs no other. " +
			"Needs `get` on `targetclusters/resources`, by the cluster's name and the namespace, or for all.",
	}, answerBatchGet)
}

func answerBatchGet(ctx context.Context, b *Backend, in *BatchGetInput) (*rest.BatchAnswers, error) {
	all, err := b.Clusters.All(ctx, labels.Everything())
	if err != nil {
		return nil, err
	}
	targets := map[string]fleet.Target{} // each once: equal references are read once
	for i := range all {
		targets[all[i].Name] = fleet.TargetOf(&all[i])
	}
	answers := &rest.BatchAnswers{Items: make([]rest.BatchAnswer, len(in.Body.References)), Complete: true}
	var asked []batchget.Reference
	var indexes []int
	for i, reference := range in.Body.References {
		one, refusal := in.resolve(reference, b.Clusters.Kinds, targets)
		if refusal != nil {
			answers.Items[i].Error, answers.Complete = refusal, false
			continue
		}
		asked, indexes = append(asked, one), append(indexes, i)
	}
	got, err := b.Clusters.Objects.Get(ctx, asked)
	if err != nil {
		return nil, err
	}
	for i, answer := range got {
		item := rest.BatchAnswer{Object: answer.Object}
		if answer.Err != nil {
			item.Error, answers.Complete = &rest.BatchError{Reason: answer.Err.Reason, Message: answer.Err.Message}, false
		}
		answers.Items[indexes[i]] = item
	}
	return answers, nil
}

// resolve returns what is asked for, or why it is not.
func (in *BatchGetInput) resolve(reference rest.Reference, shown fleet.AllowList, targets map[string]fleet.Target) (batchget.Reference, *rest.BatchError) {
	if why := malformed(reference); why != "" {
		return batchget.Reference{}, &rest.BatchError{Reason: batchget.Invalid, Message: why}
	}
	if refused := in.refused[needOf(reference)]; refused != nil {
		return batchget.Reference{}, &rest.BatchError{Reason: notAllowed, Message: refused.Error()}
	}
	kind, err := shown.Find(reference.Kind)
	if err != nil {
		return batchget.Reference{}, &rest.BatchError{Reason: batchget.Invalid, Message: err.Error()}
	}
	target, ok := targets[reference.Cluster]
	if !ok {
		return batchget.Reference{}, &rest.BatchError{
			Reason: batchget.NotFound, Message: fmt.Sprintf("there is no TargetCluster %q: GET /api/v1/clusters lists them", reference.Cluster),
		}
	}
	return batchget.Reference{Target: target, Kind: kind, Namespace: reference.Namespace, Name: reference.Name}, nil
}
