package env

import (
	"fmt"
	"testing"
	"time"

	workflowv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	workflows "github.com/argoproj/argo-workflows/v3/pkg/client/clientset/versioned/typed/workflow/v1alpha1"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
)

// finishTimeout is for a machine that builds something else meanwhile.
const finishTimeout = time.Minute

func TestArgoEndsAWorkflow(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		template workflowv1.Template
		phase    workflowv1.WorkflowPhase
		message  string
	}{
		"a suspended step ends by itself": {
			template: workflowv1.Template{Suspend: &workflowv1.SuspendTemplate{Duration: "1s"}},
			phase:    workflowv1.WorkflowSucceeded,
		},
		"a container succeeds on kwok's node": {
			template: container(workflowv1.Metadata{}),
			phase:    workflowv1.WorkflowSucceeded,
		},
		"a container with an exit code fails": {
			template: container(workflowv1.Metadata{Labels: map[string]string{ExitCodeLabel: "3"}}),
			phase:    workflowv1.WorkflowFailed,
			message:  "main: Error (exit code 3)",
		},
		"a container runs as long as it is told to": {
			template: container(workflowv1.Metadata{Annotations: map[string]string{DurationAnnotation: "2s"}}),
			phase:    workflowv1.WorkflowSucceeded,
		},
		"a template that does not exist fails": {
			phase:   workflowv1.WorkflowFailed,
			message: "template name 'missing' undefined",
		},
	}
	client := workflows.NewForConfigOrDie(local.Config)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			namespace := client.Workflows(local.NewNamespace(t))
			workflow := newWorkflow(test.template)
			created, err := namespace.Create(t.Context(), workflow, metav1.CreateOptions{})
			require.NoError(t, err)
			ended := awaitEnd(t, namespace, created.Name)
			require.Equal(t, test.phase, ended.Status.Phase, ended.Status.Message)
			require.Contains(t, ended.Status.Message, test.message)
			require.GreaterOrEqual(t, ended.Status.FinishedAt.Sub(ended.Status.StartedAt.Time), wanted(test.template))
		})
	}
}

func TestArgoEndsFiftyWorkflowsOfPodsTogether(t *testing.T) {
	t.Parallel()
	namespace := workflows.NewForConfigOrDie(local.Config).Workflows(local.NewNamespace(t))
	began := time.Now()
	for i := range 50 {
		workflow := newWorkflow(container(workflowv1.Metadata{}))
		workflow.Name = fmt.Sprintf("one-of-fifty-%d", i)
		_, err := namespace.Create(t.Context(), workflow, metav1.CreateOptions{})
		require.NoError(t, err)
	}
	for i := range 50 {
		ended := awaitEnd(t, namespace, fmt.Sprintf("one-of-fifty-%d", i))
		require.Equal(t, workflowv1.WorkflowSucceeded, ended.Status.Phase, ended.Status.Message)
	}
	t.Logf("50 workflows ended after %s", time.Since(began))
}

func TestGarbageCollectionFollowsADeletedWorkflow(t *testing.T) {
	t.Parallel()
	name := local.NewNamespace(t)
	namespace := workflows.NewForConfigOrDie(local.Config).Workflows(name)
	created, err := namespace.Create(t.Context(), newWorkflow(container(workflowv1.Metadata{})), metav1.CreateOptions{})
	require.NoError(t, err)
	awaitEnd(t, namespace, created.Name)
	require.NotZero(t, countPods(t, name))
	require.NoError(t, namespace.Delete(t.Context(), created.Name, metav1.DeleteOptions{}))
	require.Eventually(t, func() bool { return countPods(t, name) == 0 }, finishTimeout, 100*time.Millisecond)
}

func countPods(t *testing.T, namespace string) int {
	t.Helper()
	pods, err := clientset(t, Admin).CoreV1().Pods(namespace).List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	return len(pods.Items)
}

// container is a template with a pod; its command is given because Argo would
// ask an image registry for it otherwise.
func container(metadata workflowv1.Metadata) workflowv1.Template {
	return workflowv1.Template{
		Metadata:  metadata,
		Container: &corev1.Container{Image: "any", Command: []string{"deploy"}},
	}
}

func newWorkflow(template workflowv1.Template) *workflowv1.Workflow {
	workflow := &workflowv1.Workflow{
		ObjectMeta: metav1.ObjectMeta{Name: "one"},
		Spec:       workflowv1.WorkflowSpec{Entrypoint: "missing"},
	}
	if template.Container != nil || template.Suspend != nil {
		template.Name, workflow.Spec.Entrypoint = "main", "main"
		workflow.Spec.Templates = []workflowv1.Template{template}
	}
	return workflow
}

// wanted is how long the template should take at least.
func wanted(template workflowv1.Template) time.Duration {
	duration := template.Metadata.Annotations[DurationAnnotation]
	if template.Suspend != nil {
		duration = template.Suspend.Duration
	}
	parsed, _ := time.ParseDuration(duration)
	return parsed
}

func awaitEnd(t *testing.T, client workflows.WorkflowInterface, name string) *workflowv1.Workflow {
	t.Helper()
	watch, err := client.Watch(t.Context(), metav1.ListOptions{
		FieldSelector: fields.OneTermEqualSelector("metadata.name", name).String(),
	})
	require.NoError(t, err)
	defer watch.Stop()
	timeout := time.After(finishTimeout)
	for {
		select {
		case event := <-watch.ResultChan():
			if workflow, ok := event.Object.(*workflowv1.Workflow); ok && workflow.Status.Fulfilled() {
				return workflow
			}
		case <-timeout:
			require.FailNow(t, "workflow is not finished", name)
		}
	}
}
