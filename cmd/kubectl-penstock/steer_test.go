package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/trigger"
	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/given"
)

func TestATriggererRunsAPipelineForABuild(t *testing.T) {
	t.Parallel()
	d := newDesk(t, office, "shop", given.CdPipeline("shop-web", given.Manual), given.CdPipeline("shop-off", given.Suspended))
	d.built("shop-1", v1alpha1.BuildSucceeded)
	d.built("shop-2", v1alpha1.BuildFailed)
	d.built("shop-3", "")
	d.create(given.CiPipeline("elsewhere"), given.CdPipeline("elsewhere-web", given.BelowCi("elsewhere")))
	ann := d.person("ann", "penstock-triggerer")
	d.able("ann", "create", "runrequests.penstock.dev")
	d.able("ann", "list", "cibuilds.penstock.dev")

	for sentence, test := range map[string]struct {
		args []string
		want string
	}{
		"the pipeline's name is mistyped": {[]string{"shop-wbe", "--build", "shop-1"}, `there is no CdPipeline "shop-wbe" in namespace office: did you mean "shop-web"?`},
		"no such pipeline exists":         {[]string{"another-thing", "--build", "shop-1"}, `there is no CdPipeline "another-thing" in namespace office: kubectl get cdpipelines -n office lists them`},
		"the build's name is mistyped":    {[]string{"shop-web", "--build", "shop-l"}, `refused: CiBuild shop-l does not exist in namespace office: did you mean "shop-`},
		"no such build exists":            {[]string{"shop-web", "--build", "of-another-namespace"}, "refused: CiBuild of-another-namespace does not exist in namespace office: kubectl get cibuilds -n office lists those that do"},
		"the build has failed":            {[]string{"shop-web", "--build", "shop-2"}, "refused: CiBuild shop-2 ended as Failed: only a build that Succeeded can be deployed"},
		"the build has not ended":         {[]string{"shop-web", "--build", "cibuild/shop-3"}, "refused: CiBuild shop-3 has not ended"},
		"the pipeline is not below it":    {[]string{"elsewhere-web", "--build", "shop-1"}, "refused: CdPipeline elsewhere-web is not below CiPipeline shop, of which CiBuild shop-1 is a build"},
		"the pipeline is suspended": {[]string{"shop-off", "--build", "shop-1"}, "refused: CdPipeline shop-off is suspended: set spec.suspend to false first, " +
			`by kubectl -n office patch cdpipeline shop-off --type merge -p '{"spec":{"suspend":false}}'`},
		"nothing was deployed before": {nil, "refused: CdPipeline shop-web has deployed nothing"},
	} {
		args := append([]string{"trigger"}, test.args...)
		if test.args == nil {
			args = []string{"rollback", "shop-web"}
		}
		code, out, errOut := ann.run(t, args...)
		require.Equal(t, exitFailed, code, sentence)
		require.Contains(t, errOut, test.want, sentence)
		require.Empty(t, out, sentence)
	}

	code, out, errOut := ann.run(t, "trigger", "cdpipeline/shop-web", "--build", "shop-1", "--reason", "once more")
	require.Zero(t, code, errOut)
	run := d.reaches("shop-web", "DEPLOY", "Submitted")
	require.Equal(t, fmt.Sprintf("run %d was made of build shop-1\n", run), out)
	require.Contains(t, errOut, "See: kubectl penstock runs shop-web -n office\n")
	made := d.requests("shop-web")
	require.Equal(t, v1alpha1.RunRequestSpec{
		Action: v1alpha1.ActionTrigger, PipelineRef: &v1alpha1.PipelineReference{Name: "shop-web"}, BuildRef: &v1alpha1.PipelineReference{Name: "shop-1"},
		Reason: "once more", By: d.user("ann"),
	}, find(t, made, "once more").Spec)

	workflow := &wfv1.Workflow{}
	require.NoError(t, d.admin.Get(t.Context(), client.ObjectKey{Namespace: office, Name: d.pipeline("shop-web").Status.LastRun.WorkflowName}, workflow))
	require.Equal(t, []string{d.user("ann"), "once more"}, []string{workflow.Annotations[v1alpha1.AnnotationBy], workflow.Annotations[v1alpha1.AnnotationReason]})

	code, _, errOut = ann.run(t, "trigger", "shop-web", "--build", "shop-1")
	require.Equal(t, exitFailed, code)
	require.Contains(t, errOut, "refused: build shop-1 is under way in CdPipeline shop-web already: cancel that first, or wait for its end")
	code, _, errOut = ann.run(t, "retry", fmt.Sprint(run))
	require.Equal(t, exitFailed, code)
	require.Contains(t, errOut, fmt.Sprintf("refused: run %d has not ended: cancel it first, or wait for its end", run))

	code, out, errOut = ann.run(t, "cancel", "run", fmt.Sprint(run), "--reason", "wrong build")
	require.Zero(t, code, errOut)
	require.Equal(t, fmt.Sprintf("run %d was cancelled; a Workflow is being stopped\n", run), out)
	d.end("shop-web", wfv1.WorkflowFailed)
	d.reaches("shop-web", "DEPLOY", "Cancelled")
	code, _, errOut = ann.run(t, "cancel", "cdpipeline/shop-web")
	require.Equal(t, exitFailed, code)
	require.Contains(t, errOut, "refused: there is nothing to cancel: every run of build shop-1 in CdPipeline shop-web has ended")

	code, out, errOut = ann.run(t, "retry", fmt.Sprintf("run/%d", run), "-o", "json")
	require.Zero(t, code, errOut)
	var answered v1alpha1.RunRequest
	require.NoError(t, json.Unmarshal([]byte(out), &answered))
	require.Equal(t, "RunRequest", answered.Kind)
	require.Greater(t, answered.Status.Run, run)
	code, out, errOut = ann.run(t, "cancel", "cdpipeline/shop-web", "--build", "shop-1", "-o", "name")
	require.Zero(t, code, errOut)
	require.Regexp(t, `^runrequest/shop-web-cancel-\w+\n$`, out)
}

// find is the request with a reason.
func find(t *testing.T, requests []v1alpha1.RunRequest, reason string) v1alpha1.RunRequest {
	t.Helper()
	for _, request := range requests {
		if request.Spec.Reason == reason {
			return request
		}
	}
	require.Fail(t, "no request with the reason "+reason)
	return v1alpha1.RunRequest{}
}

func TestARunIsWatchedUntilItHasEnded(t *testing.T) {
	t.Parallel()
	d := newDesk(t, office, "seen", given.CdPipeline("seen-web", given.Manual, given.WithPost))
	d.built("seen-1", v1alpha1.BuildSucceeded)
	ann := d.person("ann", "penstock-triggerer")
	d.able("ann", "create", "runrequests.penstock.dev")
	watched, finish := d.watch(ann, "trigger", "seen-web", "--build", "seen-1")
	d.end("seen-web", wfv1.WorkflowSucceeded)
	number := d.reaches("seen-web", "POST", "Submitted")
	d.end("seen-web", wfv1.WorkflowFailed)
	code, errOut := finish()
	require.Equal(t, exitFailed, code, errOut)
	lines := strings.Split(strings.TrimSpace(watched.String()), "\n")
	require.Equal(t, fmt.Sprintf("run %d was made of build seen-1", number), lines[0])
	require.Contains(t, lines[len(lines)-1], fmt.Sprintf("run %d of build seen-1: POST Failed", number))
	require.Contains(t, errOut, fmt.Sprintf("run %d of build seen-1 ended as Failed", number))

	watched, finish = d.watch(ann, "retry", "cdpipeline/seen-web", "--stage", "post")
	d.end("seen-web", wfv1.WorkflowSucceeded)
	code, errOut = finish()
	require.Zero(t, code, errOut)
	require.Contains(t, watched.String(), "of build seen-1: POST Succeeded")
}

// watch runs a command that watches, and returns what it prints and a function that waits for
// its end.
func (d *desk) watch(by plugin, args ...string) (out *bytes.Buffer, finish func() (code int, errOut string)) {
	d.Helper()
	out = &bytes.Buffer{}
	var stderr bytes.Buffer
	ctx, cancel := context.WithTimeout(d.Context(), 2*patience)
	ended := make(chan int, 1)
	go func() { ended <- run(ctx, append(args, "--watch", "--kubeconfig", by.kubeconfig), out, &stderr) }()
	return out, func() (int, string) {
		defer cancel()
		return <-ended, stderr.String()
	}
}

func TestAnOlderBuildIsDeployedWithAllowOlderAloneAndRolledBackTo(t *testing.T) {
	t.Parallel()
	d := newDesk(t, office, "aged", given.CdPipeline("aged-web", given.Manual))
	d.built("aged-1", v1alpha1.BuildSucceeded)
	d.built("aged-2", v1alpha1.BuildSucceeded)
	ann := d.person("ann", "penstock-triggerer")
	d.able("ann", "create", "runrequests.penstock.dev")
	deploy := func(build string, flags ...string) {
		t.Helper()
		code, _, errOut := ann.run(t, append([]string{"trigger", "aged-web", "--build", build}, flags...)...)
		require.Zero(t, code, errOut)
		d.reaches("aged-web", "DEPLOY", "Submitted")
		d.end("aged-web", wfv1.WorkflowSucceeded)
		d.reaches("aged-web", "DEPLOY", "Succeeded")
	}
	deploy("aged-1")
	deploy("aged-2")
	code, _, errOut := ann.run(t, "trigger", "aged-web", "--build", "aged-1")
	require.Equal(t, exitFailed, code)
	require.Contains(t, errOut, "refused: build aged-1 is older than one that had its turn in CdPipeline aged-web: add --allow-older to deploy it all the same")
	deploy("aged-1", "--allow-older")
	deploy("aged-2")

	code, out, errOut := ann.run(t, "rollback", "aged-web", "--reason", "payments fail")
	require.Zero(t, code, errOut)
	require.Contains(t, out, "was made of build aged-1")
	code, _, errOut = ann.run(t, "retry", "cdpipeline/aged-web", "--build", "aged-2")
	require.Equal(t, exitFailed, code)
	require.Contains(t, errOut, "has succeeded: name a stage by --stage to run it again from there on")
}

func TestAnApproverResumesAStage(t *testing.T) {
	t.Parallel()
	d := newDesk(t, office, "held", given.CdPipeline("held-web", given.ManualStage(trigger.StageDeploy)))
	ann := d.person("ann", "penstock-approver")
	d.able("ann", "create", "runrequests.penstock.dev")
	code, _, errOut := ann.run(t, "resume", "held-web")
	require.Equal(t, exitFailed, code)
	require.Contains(t, errOut, "CdPipeline held-web has no run: kubectl penstock trigger held-web --build BUILD -n office makes one")
	d.built("held-1", v1alpha1.BuildSucceeded)
	run := d.reaches("held-web", "DEPLOY", "Held")
	code, out, errOut := ann.run(t, "resume", "held-web", "--reason", "QA has signed off")
	require.Zero(t, code, errOut)
	require.Equal(t, fmt.Sprintf("stage DEPLOY of run %d was resumed\n", run), out)
	require.Contains(t, errOut, "This is about build held-1, whose run came last: whether others wait is not known, since penstock server does not tell")
	d.reaches("held-web", "DEPLOY", "Submitted")
	code, _, errOut = ann.run(t, "resume", fmt.Sprint(run), "--pipeline", "held-web")
	require.Equal(t, exitFailed, code)
	require.Contains(t, errOut, fmt.Sprintf("refused: no stage of run %d in CdPipeline held-web waits for a person", run))
	code, _, errOut = ann.run(t, "resume", fmt.Sprint(run), "--pipeline", "held-wbe")
	require.Equal(t, exitFailed, code)
	require.Contains(t, errOut, `did you mean "held-web"?`)
}

func TestOfTwoTriggersAtOnceOneIsRefused(t *testing.T) {
	t.Parallel()
	d := newDesk(t, office, "twice", given.CdPipeline("twice-web", given.Manual))
	d.built("twice-1", v1alpha1.BuildSucceeded)
	ann := d.person("ann", "penstock-triggerer")
	d.able("ann", "create", "runrequests.penstock.dev")
	const people = 4
	type answer struct {
		code   int
		errOut string
	}
	answers := make(chan answer, people)
	for range people {
		go func() {
			var out, errOut bytes.Buffer
			code := run(t.Context(), []string{"trigger", "twice-web", "--build", "twice-1", "--kubeconfig", ann.kubeconfig}, &out, &errOut)
			answers <- answer{code, errOut.String()}
		}()
	}
	done := 0
	for range people {
		one := <-answers
		if one.code == 0 {
			done++
			continue
		}
		require.Equal(t, exitFailed, one.code)
		require.Contains(t, one.errOut, "build twice-1 is under way in CdPipeline twice-web already")
	}
	require.Equal(t, 1, done)
}

func TestEachRoleHoldsWhatItsCommandsNeed(t *testing.T) {
	t.Parallel()
	d := newDesk(t, office, "role", given.CdPipeline("role-web", given.Suspended))
	d.built("role-1", v1alpha1.BuildSucceeded)
	people := map[string]plugin{}
	for name, role := range map[string]string{
		"triggerer": "penstock-triggerer", "approver": "penstock-approver", "builder": "penstock-builder", "holder": "penstock-holder",
	} {
		people[name] = d.person(name, role)
	}
	people["nobody"] = d.person("nobody")
	for _, name := range []string{"triggerer", "approver", "builder"} {
		d.able(name, "create", "runrequests.penstock.dev")
	}
	d.able("holder", "patch", "cdpipelines.penstock.dev")
	for command, test := range map[string]struct {
		args []string
		by   string // who may; others are told of the role
		role string
		code int
		says string
	}{
		"trigger":         {[]string{"trigger", "role-web", "--build", "role-1"}, "triggerer", "penstock-triggerer", exitFailed, "is suspended"},
		"retry":           {[]string{"retry", "cdpipeline/role-web", "--build", "role-1"}, "triggerer", "penstock-triggerer", exitFailed, "is suspended"},
		"cancel":          {[]string{"cancel", "7", "--pipeline", "role-web"}, "triggerer", "penstock-triggerer", exitFailed, "does not have run 7"},
		"rollback":        {[]string{"rollback", "role-web"}, "triggerer", "penstock-triggerer", exitFailed, "is suspended"},
		"resume":          {[]string{"resume", "role-web", "--build", "role-1"}, "approver", "penstock-approver", exitFailed, "is suspended"},
		"cancel a build":  {[]string{"cancel", "role-1"}, "builder", "penstock-builder", exitFailed, "refused: "},
		"retry a build":   {[]string{"retry", "build", "role-9"}, "builder", "penstock-builder", exitFailed, "refused: "},
		"hold a pipeline": {[]string{"hold", "role-web"}, "holder", "penstock-holder", 0, ""},
	} {
		for name, person := range people {
			if name == test.by {
				continue
			}
			code, _, errOut := person.run(t, test.args...)
			require.Equal(t, exitRefused, code, "%s by %s: %s", command, name, errOut)
			require.Contains(t, errOut, "(the ClusterRole "+test.role+" has it)", "%s by %s", command, name)
			require.Equal(t, 1, strings.Count(errOut, "\n"), "one sentence: %s", errOut)
		}
		code, _, errOut := people[test.by].run(t, test.args...)
		require.Equal(t, test.code, code, "%s: %s", command, errOut)
		require.Contains(t, errOut, test.says, command)
	}
}

func TestNamesAreCompleted(t *testing.T) {
	t.Parallel()
	d := newDesk(t, office, "tab", given.CdPipeline("tab-web", given.Manual), given.CdPipeline("tab-api", given.Manual))
	d.built("tab-1", v1alpha1.BuildSucceeded)
	ann, nobody := d.person("ann", "penstock-triggerer"), d.person("nobody")
	d.able("ann", "list", "cibuilds.penstock.dev")
	const end = ":4\n" // no names of files
	for words, want := range map[string]string{
		"trigger tab-":                  "tab-api\ntab-web\n" + end,
		"trigger tab-web --build tab":   "tab-1\n" + end,
		"rollback tab-w":                "tab-web\n" + end,
		"cancel tab":                    "tab-1\n" + end,
		"cancel cdpipeline/tab-w":       "cdpipeline/tab-web\n" + end,
		"retry 7 --pipeline tab-w":      "tab-web\n" + end,
		"resume tab-web --stage ":       "PRE\nDEPLOY\nPOST\n" + end,
		"trigger tab-web -o ":           "table\nwide\njson\nyaml\nname\n" + end,
		"trigger --context ":            "main\n" + end,
		"trigger tab-web tab":           end,
		"trigger tab-web --namespace o": end, // ann may not list namespaces
	} {
		typed := strings.Split(words, " ")
		require.Equal(t, want, ann.complete(t, typed...), words)
	}
	require.Equal(t, end, nobody.complete(t, "trigger", "tab"), "who may not list names is offered none")
	require.Equal(t, "shop\n"+end, person(t, true).complete(t, "-n", given.Namespace, "status", "s"), "the server knows applications")
}

func TestAPersonWhomTheAPIServerDoesNotKnowIsRefused(t *testing.T) {
	t.Parallel()
	stranger := plugin{kubeconfig: writeLogin(t, local.Config, "of nobody", "default")}
	for _, args := range [][]string{
		{"trigger", "web", "--build", "b1"}, {"retry", "7"}, {"resume", "web"}, {"cancel", "b1"}, {"rollback", "web"}, {"hold", "web"}, {"release", "web"},
		{"freeze", "--reason", "audit"}, {"unfreeze"}, {"build", "shop"},
	} {
		code, out, errOut := stranger.run(t, args...)
		require.Equal(t, exitRefused, code, "%s: %s", args, errOut)
		require.Contains(t, errOut, "provide credentials", args)
		require.Empty(t, out)
	}
}

func TestTheServerTellsOfWhichPipelineAnOlderRunIs(t *testing.T) {
	t.Parallel()
	p := person(t, true)
	w := &workshop{namespace: given.Namespace}
	var err error
	w.admin, err = local.NewClient(env.Admin)
	require.NoError(t, err)
	for _, args := range [][]string{
		{"create", "role", p.home, "-n", given.Namespace, "--verb=create,get", "--resource=runrequests.penstock.dev"},
		{"create", "rolebinding", p.home, "-n", given.Namespace, "--role=" + p.home, "--serviceaccount=" + p.home + ":person"},
	} {
		_, err := local.Kubectl(t.Context(), args...)
		require.NoError(t, err)
	}
	w.user = "system:serviceaccount:" + p.home + ":person"
	w.await(t, "runrequests")
	seen := w.answers(t, v1alpha1.RequestDone, "run 2 was cancelled")
	code, out, errOut := p.run(t, "cancel", "2", "-n", given.Namespace)
	require.Zero(t, code, errOut)
	require.Equal(t, "run 2 was cancelled\n", out)
	require.Equal(t, "web-001", (<-seen).Spec.PipelineRef.Name)
	code, _, errOut = p.run(t, "cancel", "77", "-n", given.Namespace)
	require.Equal(t, exitFailed, code)
	require.Contains(t, errOut, "there is no run 77 in namespace default: kubectl penstock runs PIPELINE lists those of a pipeline")
	code, _, errOut = p.run(t, "cancel", "77", "-n", given.Namespace, "--server", "https://127.0.0.1:1")
	require.Equal(t, exitFailed, code)
	require.Contains(t, errOut, "name it by --pipeline")
}
