package request

import (
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/trigger"
	"github.com/penstock-cd/penstock/test/given"
)

func TestARefusalSaysWhyAndChangesNothing(t *testing.T) {
	t.Parallel()
	ask := given.RunRequest
	web, b1 := given.OfPipeline("web"), given.OfBuild("b1")
	shared := refusing(t) // by those that change nothing before
	for sentence, tc := range map[string]struct {
		before  func(*scene) // b1 has succeeded, and PRE of its run in web
		request *v1alpha1.RunRequest
		want    string
	}{
		"a pipeline that does not exist": {
			request: ask("r", v1alpha1.ActionTrigger, given.OfPipeline("nowhere"), b1),
			want:    "CdPipeline nowhere does not exist in namespace default",
		},
		"a target, which comes later": {
			request: ask("r", v1alpha1.ActionCancel, given.OfTarget("BaseImage", "golang")),
			want:    "BaseImage golang: this version of Penstock knows no request for this kind",
		},
		"a build that does not exist": {
			request: ask("r", v1alpha1.ActionTrigger, web, given.OfBuild("nothing")),
			want:    "CiBuild nothing does not exist in namespace default",
		},
		"a build that runs": {
			before:  func(s *scene) { s.build("running") },
			request: ask("r", v1alpha1.ActionTrigger, web, given.OfBuild("running")),
			want:    "CiBuild running has not ended",
		},
		"a build that is being deleted before its plan": {
			before: func(s *scene) {
				s.build("going")
				s.finish("going", v1alpha1.BuildSucceeded, given.Artifacts(1)...)
				going := &v1alpha1.CiBuild{}
				require.NoError(s.t, s.cluster.Get(s.t.Context(), key("going"), going))
				going.Finalizers = []string{"example.com/held"}
				require.NoError(s.t, s.cluster.Update(s.t.Context(), going))
				require.NoError(s.t, s.cluster.Delete(s.t.Context(), going))
			},
			request: ask("r", v1alpha1.ActionTrigger, web, given.OfBuild("going")),
			want:    "CiBuild going is being deleted",
		},
		"a build that failed": {
			before: func(s *scene) {
				s.build("bad")
				s.finish("bad", v1alpha1.BuildFailed)
				s.plan("bad")
			},
			request: ask("r", v1alpha1.ActionTrigger, web, given.OfBuild("bad")),
			want:    "CiBuild bad ended as Failed: only a build that Succeeded can be deployed",
		},
		"a build without artifacts": {
			before: func(s *scene) {
				s.build("empty")
				s.finish("empty", v1alpha1.BuildSucceeded)
				s.plan("empty")
			},
			request: ask("r", v1alpha1.ActionTrigger, web, given.OfBuild("empty")),
			want:    "CiBuild empty has no artifacts",
		},
		"a build of another CiPipeline": {
			request: ask("r", v1alpha1.ActionTrigger, given.OfPipeline("elsewhere"), b1),
			want:    "CdPipeline elsewhere is not below CiPipeline ci, of which CiBuild b1 is a build",
		},
		"a pipeline that hangs below nothing": {
			request: ask("r", v1alpha1.ActionTrigger, given.OfPipeline("orphan"), b1),
			want:    "CdPipeline orphan is not below CiPipeline ci, of which CiBuild b1 is a build",
		},
		"pipelines in a ring": {
			request: ask("r", v1alpha1.ActionTrigger, given.OfPipeline("ring-a"), b1),
			want:    "CdPipeline ring-a is not below CiPipeline ci, of which CiBuild b1 is a build",
		},
		"a filter that no artifact passes": {
			request: ask("r", v1alpha1.ActionTrigger, given.OfPipeline("filtered"), b1),
			want:    `no artifact of build b1 passes the filter of CdPipeline filtered: spec.filter is false: artifact.image == "none"`,
		},
		"a trigger of a pipeline that is suspended": {
			before:  func(s *scene) { s.change("web", given.Suspended) },
			request: ask("r", v1alpha1.ActionTrigger, web, b1),
			want:    "CdPipeline web is suspended: set spec.suspend to false first",
		},
		"a retry in a pipeline that is suspended": {
			before:  func(s *scene) { s.change("web", given.Suspended) },
			request: ask("r", v1alpha1.ActionRetry, web, b1),
			want:    "CdPipeline web is suspended: set spec.suspend to false first",
		},
		"a resume in a pipeline that is suspended": {
			before:  func(s *scene) { s.change("web", given.Suspended) },
			request: ask("r", v1alpha1.ActionResume, web, b1),
			want:    "CdPipeline web is suspended: set spec.suspend to false first",
		},
		"a rollback in a pipeline that is suspended": {
			before:  func(s *scene) { s.change("web", given.Suspended) },
			request: ask("r", v1alpha1.ActionRollback, web),
			want:    "CdPipeline web is suspended: set spec.suspend to false first",
		},
		"a pipeline that is being deleted": {
			before:  (*scene).deleteWeb,
			request: ask("r", v1alpha1.ActionTrigger, web, b1),
			want:    "CdPipeline web is being deleted",
		},
		"a resume in a pipeline that is being deleted": {
			before:  (*scene).deleteWeb,
			request: ask("r", v1alpha1.ActionResume, web, b1),
			want:    "CdPipeline web is being deleted",
		},
		"a build that is under way": {
			request: ask("r", v1alpha1.ActionTrigger, web, b1),
			want:    "build b1 is under way in CdPipeline web already: cancel that first, or wait for its end",
		},
		"a retry of a run that is under way": {
			request: ask("r", v1alpha1.ActionRetry, web, given.OfRun(1)),
			want:    "run 1 has not ended: cancel it first, or wait for its end",
		},
		"a retry of a build that is under way": {
			request: ask("r", v1alpha1.ActionRetry, web, b1),
			want:    "run 1 has not ended: cancel it first, or wait for its end",
		},
		"a retry of a build that never ran": {
			request: ask("r", v1alpha1.ActionRetry, given.OfPipeline("manual"), b1),
			want:    "CdPipeline manual does not have a run of build b1",
		},
		"a retry of a run of another pipeline": {
			request: ask("r", v1alpha1.ActionRetry, given.OfPipeline("manual"), given.OfRun(1)),
			want:    "CdPipeline manual does not have run 1",
		},
		"a retry from a stage that is gone": {
			before:  func(s *scene) { s.failed("pre") },
			request: ask("r", v1alpha1.ActionRetry, web, given.OfRun(1)),
			want:    "CdPipeline web has no stage PRE any more",
		},
		"a retry from a stage that never was": {
			before:  func(s *scene) { s.failed("") },
			request: ask("r", v1alpha1.ActionRetry, web, given.OfRun(1), given.AtStage("POST")),
			want:    "CdPipeline web has no stage POST any more",
		},
		"a retry of a build that was made again under its name": {
			before: func(s *scene) {
				s.failed("")
				build := given.CiBuild("b1")
				require.NoError(s.t, s.cluster.Delete(s.t.Context(), build))
				build = given.CiBuild("b1")
				build.UID, build.CreationTimestamp = "another", metav1.Now()
				require.NoError(s.t, s.cluster.Create(s.t.Context(), build))
				s.finish("b1", v1alpha1.BuildFailed)
				s.plan("b1")
			},
			request: ask("r", v1alpha1.ActionRetry, web, given.OfRun(1)),
			want:    "the build of run 1 is not known any more, or was made again under its name",
		},
		"a resume where nothing waits for a person": {
			request: ask("r", v1alpha1.ActionResume, web, given.OfRun(1)),
			want:    "no stage of run 1 in CdPipeline web waits for a person",
		},
		"a resume of what waits for its turn": {
			before:  func(s *scene) { s.built("b2") },
			request: ask("r", v1alpha1.ActionResume, web, given.OfBuild("b2")),
			want:    "no stage of a run of build b2 in CdPipeline web waits for a person; stage PRE of run 3 waits for Turn",
		},
		"a resume of what is on hold": {
			request: ask("r", v1alpha1.ActionResume, given.OfPipeline("held"), b1),
			want:    "no stage of a run of build b1 in CdPipeline held waits for a person; stage DEPLOY of run 2 waits for Hold",
		},
		"a resume of another stage than the one that waits": {
			before: func(s *scene) {
				s.change("manual", given.ManualStage(trigger.StageDeploy))
				s.done(ask("r0", v1alpha1.ActionTrigger, given.OfPipeline("manual"), b1))
			},
			request: ask("r", v1alpha1.ActionResume, given.OfPipeline("manual"), b1, given.AtStage("POST")),
			want:    "stage POST of a run of build b1 in CdPipeline manual does not wait for a person; stage DEPLOY of run 3 waits for Person",
		},
		"a resume of a run of another pipeline": {
			request: ask("r", v1alpha1.ActionResume, given.OfPipeline("held"), given.OfRun(1)),
			want:    "CdPipeline held does not have run 1",
		},
		"a cancel where nothing ever ran": {
			request: ask("r", v1alpha1.ActionCancel, given.OfPipeline("manual"), b1),
			want:    "CdPipeline manual does not have a run of build b1",
		},
		"a cancel of a run of another pipeline": {
			request: ask("r", v1alpha1.ActionCancel, given.OfPipeline("held"), given.OfRun(1)),
			want:    "CdPipeline held does not have run 1",
		},
		"a cancel of a run that has ended": {
			before:  func(s *scene) { s.failed("") },
			request: ask("r", v1alpha1.ActionCancel, web, given.OfRun(1)),
			want:    "there is nothing to cancel: run 1 in CdPipeline web has ended",
		},
		"a rollback where nothing is deployed": {
			request: ask("r", v1alpha1.ActionRollback, web),
			want:    "CdPipeline web has deployed nothing",
		},
		"a rollback where nothing was deployed before": {
			before:  func(s *scene) { s.endAll(store.StatusSucceeded) },
			request: ask("r", v1alpha1.ActionRollback, web),
			want:    "CdPipeline web has deployed nothing before build b1",
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			s := shared
			if tc.before != nil {
				s = refusing(t)
				tc.before(s)
			}
			shared.refusing.Lock()
			defer shared.refusing.Unlock()
			s.told()
			woken := s.woken
			tc.request.Name = "r" + message("%d", len(s.recorded()))
			require.Equal(t, tc.want, s.refused(tc.request))
			require.Equal(t, []string{"Warning Refused " + tc.want}, s.told())
			require.Equal(t, []string{tc.want}, s.table(`SELECT message FROM event WHERE kind = 'Request' AND state = 'Refused' ORDER BY id DESC LIMIT 1`))
			require.Equal(t, woken+1, s.woken, "who reads the events is woken")
			require.False(t, s.status(tc.request.Name).At.IsZero())
		})
	}
}

// refusing is pipelines, of which web has a run of the build b1.
func refusing(t *testing.T) *scene {
	t.Helper()
	s := newScene(t,
		given.CdPipeline("web", given.WithPre, given.Priority(1)), // which makes its run the first
		given.CdPipeline("manual", given.Manual),
		given.CdPipeline("held", given.Held),
		given.CdPipeline("filtered", given.Manual, given.Filter(`artifact.image == "none"`)),
		given.CiPipeline("other"), given.CdPipeline("elsewhere", given.BelowCi("other")),
		given.CdPipeline("orphan", given.BelowCd("nobody")),
		given.CdPipeline("ring-a", given.BelowCd("ring-b")), given.CdPipeline("ring-b", given.BelowCd("ring-a")))
	s.built("b1")
	return s
}

// failed ends the run in web badly, and then takes a stage from the pipeline.
func (s *scene) failed(stage string) {
	s.t.Helper()
	s.end(store.StatusFailed)
	s.change("web", func(web *v1alpha1.CdPipeline) {
		if stage == "pre" {
			web.Spec.PreDeploy = nil
		}
	})
}

// deleteWeb deletes a pipeline that somebody's finalizer keeps.
func (s *scene) deleteWeb() {
	s.t.Helper()
	s.change("web", func(web *v1alpha1.CdPipeline) { web.Finalizers = []string{"example.com/held"} })
	require.NoError(s.t, s.cluster.Delete(s.t.Context(), given.CdPipeline("web")))
}
