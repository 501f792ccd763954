package env

import (
	"fmt"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

func clientset(t *testing.T, user User) kubernetes.Interface {
	t.Helper()
	client, err := kubernetes.NewForConfig(local.ConfigFor(user))
	require.NoError(t, err)
	return client
}

func TestPenstockHasTheRightsThatRBACGives(t *testing.T) {
	t.Parallel()
	granted, other := local.NewNamespace(t), local.NewNamespace(t)
	_, err := clientset(t, Penstock).CoreV1().ConfigMaps(granted).List(t.Context(), metav1.ListOptions{})
	require.True(t, apierrors.IsForbidden(err), "%v", err)

	_, err = clientset(t, Admin).RbacV1().RoleBindings(granted).Create(t.Context(), viewBinding(), metav1.CreateOptions{})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		_, err := clientset(t, Penstock).CoreV1().ConfigMaps(granted).List(t.Context(), metav1.ListOptions{})
		return err == nil
	}, finishTimeout, readyInterval)
	_, err = clientset(t, Penstock).CoreV1().ConfigMaps(other).List(t.Context(), metav1.ListOptions{})
	require.True(t, apierrors.IsForbidden(err), "%v", err)
}

// viewBinding binds the service account as a chart would, not the user name.
func viewBinding() *rbacv1.RoleBinding {
	return &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "penstock"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "view"},
		Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: "penstock-system", Name: "penstock"}},
	}
}

func TestAnUnknownUserIsUnauthorized(t *testing.T) {
	t.Parallel()
	_, err := clientset(t, "nobody").CoreV1().Namespaces().List(t.Context(), metav1.ListOptions{})
	require.True(t, apierrors.IsUnauthorized(err), "%v", err)
}

func TestAuditCountsEveryRequestOnce(t *testing.T) {
	t.Parallel()
	namespace := local.NewNamespace(t)
	const count = 37
	for i := range count {
		settings := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("n%d", i)}}
		_, err := clientset(t, Admin).CoreV1().ConfigMaps(namespace).Create(t.Context(), settings, metav1.CreateOptions{})
		require.NoError(t, err)
		_, err = clientset(t, Admin).CoreV1().ConfigMaps(namespace).Get(t.Context(), settings.Name, metav1.GetOptions{})
		require.NoError(t, err)
		_, err = clientset(t, Penstock).CoreV1().ConfigMaps(namespace).Get(t.Context(), settings.Name, metav1.GetOptions{})
		require.Error(t, err)
	}
	type request struct {
		user User
		verb string
		code int
	}
	requests := map[request]int{}
	names := map[string]bool{}
	for _, event := range audited(t, namespace, "configmaps") {
		requests[request{User(event.User), event.Verb, event.Code}]++
		names[event.Name] = true
		require.False(t, event.Finished.Before(event.Received))
	}
	require.Equal(t, map[request]int{{Admin, "create", 201}: count, {Penstock, "get", 403}: count}, requests)
	require.Len(t, names, count)
}

func audited(t *testing.T, namespace, resource string) []AuditEvent {
	t.Helper()
	all, err := ReadAudit(local.AuditLog)
	require.NoError(t, err)
	var events []AuditEvent
	for _, event := range all {
		if event.Namespace == namespace && event.Resource == resource {
			events = append(events, event)
		}
	}
	return events
}

func TestAKubeconfigWorksWithKubectl(t *testing.T) {
	t.Parallel()
	kubectl, err := Part("kubectl")
	require.NoError(t, err)
	tests := map[string]struct {
		user User
		can  string
	}{
		"the administrator may do everything": {Admin, "yes"},
		"penstock may do nothing yet":         {Penstock, "no"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kubeconfig, err := local.KubeconfigFor(test.user)
			require.NoError(t, err)
			output, _ := exec.CommandContext(t.Context(), kubectl, "--kubeconfig", kubeconfig, "auth", "can-i", "create", "workflows.argoproj.io").CombinedOutput()
			require.Equal(t, test.can, string(lastLines(output[:len(output)-1])))
		})
	}
}
