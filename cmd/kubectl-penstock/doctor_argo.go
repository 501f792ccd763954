package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	apiv1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/doctor"
)

const (
	// pickupTime is for how long a Workflow may have no phase: the default of PICKUP_TIMEOUT.
	pickupTime = 2 * time.Minute
	// mostWorkflows bounds what is read of them.
	mostWorkflows = 500
	// argoConfigMap is the name of Argo's own settings.
	argoConfigMap = "workflow-controller-configmap"
	// instanceLabel is the label by which an Argo controller knows its Workflows.
	instanceLabel = "workflows.argoproj.io/controller-instanceid"
	// phaseLabel is the one that Argo puts on a Workflow that it has taken up.
	phaseLabel = "workflows.argoproj.io/phase"
)

// notTakenUp are Workflows of ours on which Argo has put no phase.
func (p *patient) notTakenUp(ctx context.Context) ([]metav1.PartialObjectMetadata, error) {
	selector, err := labels.Parse(v1alpha1.LabelManagedBy + "=" + v1alpha1.ManagedBy + ",!" + phaseLabel)
	if err != nil {
		return nil, err
	}
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(schema.GroupVersionKind{Group: "argoproj.io", Version: "v1alpha1", Kind: "WorkflowList"})
	err = p.cluster.List(ctx, list, client.MatchingLabelsSelector{Selector: selector}, client.Limit(mostWorkflows))
	return list.Items, err
}

func (p *patient) takenUp(ctx context.Context) doctor.Finding {
	workflows, err := p.notTakenUp(ctx)
	if err != nil {
		return unseen(err)
	}
	_, _, now, err := p.ask(ctx, "/version")
	if err != nil || now.IsZero() {
		now = time.Now()
	}
	return takenUpFinding(workflows, now)
}

func takenUpFinding(workflows []metav1.PartialObjectMetadata, now time.Time) doctor.Finding {
	var oldest *metav1.PartialObjectMetadata
	late := 0
	for i := range workflows {
		created := workflows[i].CreationTimestamp
		if now.Sub(created.Time) < pickupTime {
			continue
		}
		late++
		if oldest == nil || created.Before(&oldest.CreationTimestamp) {
			oldest = &workflows[i]
		}
	}
	if oldest == nil {
		return doctor.Good("no Workflow of Penstock has been without a phase for longer than %s", pickupTime)
	}
	return doctor.Bad(fmt.Sprintf("look whether Argo's controller runs, watches namespace %s, and has an instanceID: docs/troubleshooting.md#argo-does-not-take-workflows-up", oldest.Namespace),
		"%d Workflows have no phase, the oldest is %s/%s, since %s", late, oldest.Namespace, oldest.Name, now.Sub(oldest.CreationTimestamp.Time).Round(time.Second))
}

// instanceID compares those of the Argo controllers with the labels of our Workflows.
func (p *patient) instanceID(ctx context.Context) doctor.Finding {
	var published apiv1.ConfigMapList
	if err := p.cluster.List(ctx, &published, client.MatchingFieldsSelector{Selector: fields.OneTermEqualSelector("metadata.name", argoConfigMap)}); err != nil {
		return doctor.Odd("", "Argo's ConfigMap %s can't be looked for: %v", argoConfigMap, err)
	}
	if len(published.Items) == 0 {
		return doctor.Good("there is no ConfigMap %s, so that Argo has no instanceID unless its command line has", argoConfigMap)
	}
	var ids []string
	for i := range published.Items {
		ids = append(ids, instanceIDOf(published.Items[i].Data))
	}
	ours, known := "", false
	found, _, err := p.o.settings(ctx)
	for _, s := range found {
		if s.Key == "WORKFLOW_LABELS" && err == nil && !strings.HasPrefix(s.From, fromUnknown) {
			ours, known = labelIn(s.Value, instanceLabel), true
		}
	}
	return instanceFinding(ids, ours, known)
}

// instanceIDOf reads Argo's settings, in either of their two forms.
func instanceIDOf(data map[string]string) string {
	if id := data["instanceID"]; id != "" {
		return strings.TrimSpace(id)
	}
	var whole struct {
		InstanceID string `json:"instanceID"`
	}
	if yaml.Unmarshal([]byte(data["config"]), &whole) != nil {
		return ""
	}
	return whole.InstanceID
}

func labelIn(list, key string) string {
	for label := range strings.SplitSeq(list, ",") {
		if name, value, found := strings.Cut(strings.TrimSpace(label), "="); found && name == key {
			return value
		}
	}
	return ""
}

// instanceFinding judges the ids of the Argo controllers, empty for none, against the label of
// our Workflows.
func instanceFinding(ids []string, ours string, known bool) doctor.Finding {
	first := slices.IndexFunc(ids, func(id string) bool { return id != "" })
	hasNone := first < 0
	if !known && hasNone {
		return doctor.Good("Argo has no instanceID, so that its Workflows need no label")
	}
	if !known {
		return doctor.Odd("compare it with WORKFLOW_LABELS of the controller, or with the labels of the stages", "Argo's instanceID is %q; which label our Workflows get is not known", strings.Join(ids, ", "))
	}
	for _, id := range ids {
		if id == ours {
			return doctor.Good("Argo's instanceID is %q, and so is the label of our Workflows", id)
		}
	}
	if hasNone {
		return doctor.Bad(fmt.Sprintf("remove %s from WORKFLOW_LABELS in the environment of the controller", instanceLabel),
			"Argo has no instanceID, and the label of our Workflows is %q: it does not take them up", ours)
	}
	return doctor.Bad(fmt.Sprintf("set WORKFLOW_LABELS=%s=%s in the environment of the controller, or that label in the stages", instanceLabel, ids[first]),
		"Argo's instanceID is %q, and the label of our Workflows is %q: it does not take them up", strings.Join(ids, ", "), ours)
}
