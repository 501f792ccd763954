package env

import (
	"context"
	"errors"
	"fmt"
	"time"

	workflowv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	workflows "github.com/argoproj/argo-workflows/v3/pkg/client/clientset/versioned/typed/workflow/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

const argoNamespace = "argo"

// argoSettings is the configuration of Argo's controller. The patch puts pods
// onto kwok's node, since there is no scheduler; a Workflow that brings a
// podSpecPatch of its own has to name the node itself. Without the delay a worker may
// take a new Workflow before Argo's throttler knows it: such a one becomes Pending, is
// never validated, and ends as Error where it should have Failed.
const argoSettings = `
metricsConfig: {enabled: false}
telemetryConfig: {enabled: false}
nodeEvents: {enabled: false}
initialDelay: 50ms
podGCDeleteDelayDuration: 0s
workflowDefaults:
  spec:
    podSpecPatch: '{"nodeName": "` + nodeName + `"}'
`

func (e *Environment) startArgo(ctx context.Context) error {
	return e.timed("workflow-controller", func() error { return e.runArgo(ctx) })
}

// runArgo returns when the controller has finished a Workflow: it has no
// health endpoint on a port of our choice.
func (e *Environment) runArgo(ctx context.Context) error {
	path, err := Part("workflow-controller")
	if err != nil {
		return err
	}
	kubeconfig, err := e.KubeconfigFor(argoUser)
	if err != nil {
		return err
	}
	if err := e.configureArgo(ctx); err != nil {
		return err
	}
	client, err := workflows.NewForConfig(e.Config)
	if err != nil {
		return err
	}
	p, err := e.spawn(tierClients, nicely(argoCommand(path, kubeconfig)))
	if err != nil {
		return err
	}
	return p.until(ctx, probeArgo(client.Workflows(argoNamespace)))
}

func argoCommand(path, kubeconfig string) command {
	return command{
		name: "workflow-controller", path: path,
		args: []string{
			"--kubeconfig=" + kubeconfig,
			"--namespace=" + argoNamespace,
			"--namespaced=false",
			"--executor-image=any",
			"--loglevel=warn",
			// The defaults, 20 and 30 requests, let a burst of 50 Workflows
			// take half a minute.
			"--qps=2000",
			"--burst=4000",
			"--workflow-workers=64",
			"--pod-cleanup-workers=16",
		},
		env: []string{
			"LEADER_ELECTION_DISABLE=true",
			// How long each change of a Workflow waits before it is looked at;
			// the default of 10 s makes a step last that long.
			"DEFAULT_REQUEUE_TIME=100ms",
		},
	}
}

func (e *Environment) configureArgo(ctx context.Context) error {
	client, err := kubernetes.NewForConfig(e.Config)
	if err != nil {
		return err
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: argoNamespace}}
	if _, err := client.CoreV1().Namespaces().Create(ctx, namespace, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("create namespace: %w", err)
	}
	settings := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: "workflow-controller-configmap"},
		Data:       map[string]string{"config": argoSettings},
	}
	if _, err := client.CoreV1().ConfigMaps(argoNamespace).Create(ctx, settings, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("create settings: %w", err)
	}
	return nil
}

// probeArgo returns a check that creates one Workflow without a pod, waits for
// its end, and deletes it.
func probeArgo(client workflows.WorkflowInterface) func(context.Context) error {
	name := ""
	return func(ctx context.Context) error {
		if name == "" {
			created, err := client.Create(ctx, argoProbe(), metav1.CreateOptions{})
			if err != nil {
				return err
			}
			name = created.Name
		}
		probe, err := client.Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if !probe.Status.Fulfilled() {
			return errors.New("its first workflow is not finished")
		}
		return client.Delete(ctx, name, metav1.DeleteOptions{})
	}
}

func argoProbe() *workflowv1.Workflow {
	return &workflowv1.Workflow{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "probe-"},
		Spec: workflowv1.WorkflowSpec{
			Entrypoint: "main",
			Templates: []workflowv1.Template{{
				Name:    "main",
				Suspend: &workflowv1.SuspendTemplate{Duration: time.Millisecond.String()},
			}},
		},
	}
}
