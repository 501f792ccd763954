package v1alpha1_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/given"
)

// patience bounds how long the API server may take until new rights and policies are in
// force.
const patience = 30 * time.Second

// office is a place with people who have rights, and with the policy of config/admission.
type office struct{ place }

func TestWhoMayCreateARunRequest(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.bind(t, "approver", "penstock-approver")
	o.bind(t, "triggerer", "penstock-triggerer")
	o.bind(t, "builder", "penstock-builder")
	o.bind(t, "operator", "penstock-wave-operator")
	o.allow(t, "stranger")
	o.allow(t, "editor", verbs("cdpipelines", "", "get", "list", "watch", "create", "update", "patch", "delete"))
	o.allow(t, "owner of web", verbs("cdpipelines", "web", "trigger"))
	o.allow(t, "deputy", verbs("cdpipelines", "web", "resume", "requestforothers"))
	o.allow(t, "spokesman", verbs("cdpipelines", "", "requestforothers"))
	o.allow(t, "keeper of waves", verbs("baseimages", "debian", "cancel"))
	o.allow(t, "local keeper", verbs("targetclusters", "", "resume", "requestforothers"))
	o.allow(t, "keeper of clusters")
	o.allowEverywhere(t, "keeper of clusters", verbs("targetclusters", "eu-1", "resume"))
	o.awaitPolicy(t, "stranger")

	web, shop, b1 := given.OfPipeline("web"), given.OfPipeline("shop"), given.OfBuild("b1")
	build := given.OfTarget("CiBuild", "b1")
	wave, cluster := given.OfTarget("BaseImage", "debian"), given.OfTarget("TargetCluster", "eu-1")
	noRight := func(user, verb, pipeline string) string {
		return user + " has no right to " + verb + " CdPipeline " + pipeline + " in namespace " + o.namespace +
			": ask an administrator to grant " + user + " the verb " + verb + " on cdpipelines.penstock.dev named " + pipeline + " in namespace " + o.namespace
	}
	type changes = []func(*v1alpha1.RunRequest)
	for sentence, tc := range map[string]struct {
		creator env.User
		action  v1alpha1.Action
		with    changes
		refusal string
	}{
		"an approver resumes":                    {"approver", v1alpha1.ActionResume, changes{web, b1}, ""},
		"an approver does not trigger":           {"approver", v1alpha1.ActionTrigger, changes{web, b1}, noRight("approver", "trigger", "web")},
		"an approver does not retry":             {"approver", v1alpha1.ActionRetry, changes{web, b1}, noRight("approver", "retry", "web")},
		"an approver does not cancel":            {"approver", v1alpha1.ActionCancel, changes{web, b1}, noRight("approver", "cancel", "web")},
		"an approver does not roll back":         {"approver", v1alpha1.ActionRollback, changes{web}, noRight("approver", "rollback", "web")},
		"a triggerer triggers":                   {"triggerer", v1alpha1.ActionTrigger, changes{web, b1}, ""},
		"a triggerer retries":                    {"triggerer", v1alpha1.ActionRetry, changes{web, b1}, ""},
		"a triggerer cancels":                    {"triggerer", v1alpha1.ActionCancel, changes{web, b1}, ""},
		"a triggerer rolls back":                 {"triggerer", v1alpha1.ActionRollback, changes{web}, ""},
		"a triggerer does not resume":            {"triggerer", v1alpha1.ActionResume, changes{web, b1}, noRight("triggerer", "resume", "web")},
		"a builder cancels a build":              {"builder", v1alpha1.ActionCancel, changes{build}, ""},
		"a builder retries a build":              {"builder", v1alpha1.ActionRetry, changes{build}, ""},
		"a builder does not trigger":             {"builder", v1alpha1.ActionTrigger, changes{web, b1}, noRight("builder", "trigger", "web")},
		"a builder does not cancel a deployment": {"builder", v1alpha1.ActionCancel, changes{web, b1}, noRight("builder", "cancel", "web")},
		"a triggerer does not cancel a build": {
			"triggerer", v1alpha1.ActionCancel, changes{build}, "triggerer has no right to cancel CiBuild b1 in namespace " + o.namespace,
		},
		"an approver does not retry a build": {
			"approver", v1alpha1.ActionRetry, changes{build}, "grant approver the verb retry on cibuilds.penstock.dev named b1 in namespace " + o.namespace,
		},
		"the right to create requests alone is not enough": {
			"stranger", v1alpha1.ActionTrigger, changes{shop, b1}, noRight("stranger", "trigger", "shop"),
		},
		"the right to edit pipelines does not include triggering them": {
			"editor", v1alpha1.ActionTrigger, changes{web, b1}, noRight("editor", "trigger", "web"),
		},
		"a right on one pipeline is enough for that pipeline": {"owner of web", v1alpha1.ActionTrigger, changes{web, b1}, ""},
		"a right on one pipeline does not cover another": {
			"owner of web", v1alpha1.ActionTrigger, changes{shop, b1}, noRight("owner of web", "trigger", "shop"),
		},
		"everybody may name themselves": {"approver", v1alpha1.ActionResume, changes{web, b1, given.By("approver")}, ""},
		"naming another person is refused": {
			"approver", v1alpha1.ActionResume, changes{web, b1, given.By("ann")},
			"approver has no right to request for others, and spec.by names ann: leave spec.by empty, set it to approver, " +
				"or ask an administrator to grant approver the verb requestforothers on cdpipelines.penstock.dev named web in namespace " + o.namespace,
		},
		"a name in other letters is another person": {
			"approver", v1alpha1.ActionResume, changes{web, b1, given.By("Approver")}, "spec.by names Approver",
		},
		"a deputy may name another person": {"deputy", v1alpha1.ActionResume, changes{web, b1, given.By("ann")}, ""},
		"a deputy for one pipeline is none for another": {
			"deputy", v1alpha1.ActionResume, changes{shop, b1, given.By("ann")}, noRight("deputy", "resume", "shop"),
		},
		"a deputy needs the verb of the action too": {
			"spokesman", v1alpha1.ActionTrigger, changes{web, b1, given.By("triggerer")}, noRight("spokesman", "trigger", "web"),
		},
		"an operator of waves gives one up":        {"operator", v1alpha1.ActionCancel, changes{wave}, ""},
		"an operator of waves lets one go on":      {"operator", v1alpha1.ActionResume, changes{wave}, ""},
		"an operator of waves cancels no pipeline": {"operator", v1alpha1.ActionCancel, changes{web, b1}, noRight("operator", "cancel", "web")},
		"an operator of waves names nobody else": {
			"operator", v1alpha1.ActionCancel, changes{wave, given.By("ann")}, "operator has no right to request for others",
		},
		"an approver resumes no wave": {
			"approver", v1alpha1.ActionResume, changes{wave}, "approver has no right to resume BaseImage debian in namespace " + o.namespace,
		},
		"a right on a base image is enough for its wave": {"keeper of waves", v1alpha1.ActionCancel, changes{wave}, ""},
		"one right on a base image does not include another": {
			"keeper of waves", v1alpha1.ActionResume, changes{wave},
			"keeper of waves has no right to resume BaseImage debian in namespace " + o.namespace,
		},
		"a right on a pipeline does not cover a base image of that name": {
			"triggerer", v1alpha1.ActionCancel, changes{given.OfTarget("BaseImage", "web")},
			"grant triggerer the verb cancel on baseimages.penstock.dev named web in namespace " + o.namespace,
		},
		"a right on a cluster is enough for it": {"keeper of clusters", v1alpha1.ActionResume, changes{cluster}, ""},
		"a right in a namespace does not cover clusters": {
			"local keeper", v1alpha1.ActionResume, changes{cluster},
			"local keeper has no right to resume TargetCluster eu-1: ask an administrator to grant local keeper " +
				"the verb resume on targetclusters.penstock.dev named eu-1",
		},
		"naming another person to a cluster is refused": {
			"keeper of clusters", v1alpha1.ActionResume, changes{cluster, given.By("ann")},
			"grant keeper of clusters the verb requestforothers on targetclusters.penstock.dev named eu-1",
		},
		"an administrator triggers":              {env.Admin, v1alpha1.ActionTrigger, changes{web, b1}, ""},
		"an administrator names another person":  {env.Admin, v1alpha1.ActionResume, changes{web, b1, given.By("ann")}, ""},
		"an administrator resumes for a cluster": {env.Admin, v1alpha1.ActionResume, changes{cluster}, ""},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			request := given.RunRequest("", tc.action, tc.with...)
			request.GenerateName = "request-"
			requireAllowed(t, tc.refusal, o.as(t, tc.creator).create(t, request))
		})
	}
}

func TestWhoMayBuild(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	for user, role := range map[env.User]string{"builder": "penstock-builder", "triggerer": "penstock-triggerer", "approver": "penstock-approver"} {
		o.bind(t, user, role)
		build := given.CiBuild("by-" + string(user))
		build.Namespace = o.namespace
		err := o.as(t, user).Create(t.Context(), build)
		require.Equal(t, user != "builder", apierrors.IsForbidden(err), "%s: %v", user, err)
	}
	build := &v1alpha1.CiBuild{}
	require.NoError(t, o.as(t, "builder").Get(t.Context(), client.ObjectKey{Namespace: o.namespace, Name: "by-builder"}, build))
	build.Status.Phase = v1alpha1.BuildFailed
	require.True(t, apierrors.IsForbidden(o.as(t, "builder").Status().Update(t.Context(), build)), "how a build ends is not theirs to say")
}

// requireAllowed checks for the message that a user reads; empty means that the request
// is accepted.
func requireAllowed(t *testing.T, refusal string, err error) {
	t.Helper()
	if refusal == "" {
		require.NoError(t, err)
		return
	}
	require.True(t, apierrors.IsForbidden(err), "%v", err)
	require.Contains(t, err.Error(), "ValidatingAdmissionPolicy 'penstock-runrequests'")
	require.Contains(t, err.Error(), "denied request: ")
	require.Contains(t, err.Error(), refusal)
}

func TestTheChartHoldsTheSamePolicyAndRoles(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"policy.yaml", "builds.yaml", "holds.yaml", "people.yaml"} {
		kustomized, err := os.ReadFile(filepath.Join(root, "config", "admission", name))
		require.NoError(t, err)
		charted, err := os.ReadFile(filepath.Join(root, "charts", "penstock", "files", "admission", name))
		require.NoError(t, err)
		require.Equal(t, string(kustomized), string(charted), "copy config/admission/%s to charts/penstock/files/admission", name)
	}
}

func newOffice(t *testing.T) office {
	t.Helper()
	admin, err := local.NewClient(env.Admin)
	require.NoError(t, err)
	o := office{place{Client: admin, namespace: local.NewNamespace(t)}}
	for _, name := range []string{"policy.yaml", "holds.yaml", "people.yaml"} {
		for _, object := range objectsIn(t, filepath.Join(root, "config", "admission", name)) {
			require.NoError(t, client.IgnoreAlreadyExists(o.Create(t.Context(), object)), "offices share them")
		}
	}
	return o
}

// as is the office as the user sees it.
func (o office) as(t *testing.T, user env.User) place {
	t.Helper()
	if user == env.Admin {
		return o.place
	}
	config := rest.CopyConfig(local.Config)
	config.Impersonate.UserName = string(user)
	theirs, err := client.New(config, client.Options{Scheme: o.Scheme()})
	require.NoError(t, err)
	return place{Client: theirs, namespace: o.namespace}
}

// bind gives the user a ClusterRole in the office's namespace.
func (o office) bind(t *testing.T, user env.User, clusterRole string) {
	t.Helper()
	role := &rbacv1.ClusterRole{}
	require.NoError(t, o.Get(t.Context(), client.ObjectKey{Name: clusterRole}, role))
	binding := &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "grant-"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: clusterRole},
		Subjects:   subjects(user),
	}
	require.NoError(t, o.create(t, binding))
	o.await(t, user, o.namespace, role.Rules...)
}

// allow gives the user the rights in the office's namespace, and the right to create
// RunRequests.
func (o office) allow(t *testing.T, user env.User, rules ...rbacv1.PolicyRule) {
	t.Helper()
	rules = append(rules, verbs("runrequests", "", "create"))
	role := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{GenerateName: "grant-"}, Rules: rules}
	require.NoError(t, o.create(t, role))
	binding := &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "grant-"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role.Name},
		Subjects:   subjects(user),
	}
	require.NoError(t, o.create(t, binding))
	o.await(t, user, o.namespace, rules...)
}

// allowEverywhere gives the user the rights in the whole cluster.
func (o office) allowEverywhere(t *testing.T, user env.User, rules ...rbacv1.PolicyRule) {
	t.Helper()
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{GenerateName: "grant-"}, Rules: rules}
	require.NoError(t, o.Create(t.Context(), role))
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "grant-"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name},
		Subjects:   subjects(user),
	}
	require.NoError(t, o.Create(t.Context(), binding))
	o.await(t, user, "", rules...)
}

func subjects(user env.User) []rbacv1.Subject {
	return []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: string(user)}}
}

// verbs are rights on one object of Penstock's kinds, or on all of them where the name
// is empty.
func verbs(resource, name string, list ...string) rbacv1.PolicyRule {
	rule := rbacv1.PolicyRule{APIGroups: []string{v1alpha1.GroupVersion.Group}, Resources: []string{resource}, Verbs: list}
	if name != "" {
		rule.ResourceNames = []string{name}
	}
	return rule
}

// await returns when the API server knows the rights.
func (o office) await(t *testing.T, user env.User, namespace string, rules ...rbacv1.PolicyRule) {
	t.Helper()
	for _, rule := range rules {
		for _, verb := range rule.Verbs {
			asked := &authorizationv1.ResourceAttributes{
				Namespace: namespace, Verb: verb, Group: rule.APIGroups[0], Resource: rule.Resources[0],
				Name: strings.Join(rule.ResourceNames, ""),
			}
			eventually(t, func(ctx context.Context) (bool, error) {
				review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{User: string(user), ResourceAttributes: asked}}
				err := o.Create(ctx, review)
				return review.Status.Allowed, err
			})
		}
	}
}

// awaitPolicy returns when the API server refuses what the user has no right to.
func (o office) awaitPolicy(t *testing.T, user env.User) {
	t.Helper()
	theirs := o.as(t, user)
	eventually(t, func(ctx context.Context) (bool, error) {
		probe := given.RunRequest("probe", v1alpha1.ActionRollback, given.OfPipeline("any"))
		probe.Namespace = o.namespace
		err := theirs.Create(ctx, probe, client.DryRunAll)
		if err == nil || apierrors.IsForbidden(err) {
			return err != nil, nil
		}
		return false, err
	})
}

func eventually(t *testing.T, done wait.ConditionWithContextFunc) {
	t.Helper()
	require.NoError(t, wait.PollUntilContextTimeout(t.Context(), 20*time.Millisecond, patience, true, done))
}
