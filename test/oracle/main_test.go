package oracle_test

import (
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	"github.com/stretchr/testify/require"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/argo"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/trigger"
	"github.com/penstock-cd/penstock/test/audit"
	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/given"
	"github.com/penstock-cd/penstock/test/oracle"
)

var postgres *env.Postgres

func TestMain(m *testing.M) {
	os.Exit(env.RunTestsWithPostgres(m, env.PostgresOptions{MaxConnections: 300}, &postgres))
}

// scene is a world in order, until a test breaks it. Of one build's three runs
// one is Submitted, with its Workflow, one has Succeeded, and one is Pending.
type scene struct {
	*testing.T
	store     *store.Store
	submitted int64
	succeeded int64
	pending   int64
	workflow  *wfv1.Workflow
	build     *v1alpha1.CiBuild
	// more are objects of a second API server.
	more        []client.Object
	audit       audit.Log
	limits      *oracle.Limits
	connections int
	restored    bool
}

func newScene(t *testing.T) *scene {
	t.Helper()
	config := store.Config{URL: postgres.NewTestDatabase(t), Schema: "penstock", MaxConns: 4}
	require.NoError(t, store.Migrate(t.Context(), config))
	opened, err := store.Open(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(opened.Close)
	s := &scene{T: t, store: opened}
	for range 2 {
		require.NoError(t, oracle.RecordTransitions(t.Context(), opened.Pool()))
	}
	s.plan()
	s.run()
	return s
}

func (s *scene) plan() {
	s.planBuild("b1", given.CdPipelines(3, "web"), given.Artifacts(1)...)
	s.build = given.CiBuild("b1", func(build *v1alpha1.CiBuild) {
		build.UID = given.UID("b1")
		build.Status = truth()
	})
}

// planBuild commits what follows a build that succeeded.
func (s *scene) planBuild(name string, family given.Family, artifacts ...v1alpha1.Artifact) {
	s.Helper()
	filters, err := trigger.NewFilters()
	require.NoError(s, err)
	decisions := trigger.Decider{Filters: filters}.Build(given.Build(name), given.CiPipeline(given.CI), artifacts, family)
	_, err = s.store.Plan(s.Context(), store.BuildPlan{Build: given.Build(name), Artifacts: artifacts, Decisions: decisions})
	require.NoError(s, err)
}

// truth is the status that the scene's build must have.
func truth() v1alpha1.CiBuildStatus {
	is := func(kind string, status metav1.ConditionStatus) metav1.Condition {
		return metav1.Condition{Type: kind, Status: status}
	}
	return v1alpha1.CiBuildStatus{
		Phase: v1alpha1.BuildSucceeded, Artifacts: given.Artifacts(1),
		Triggers: &v1alpha1.TriggerSummary{Total: 3, Pending: 1, Submitted: 1, Succeeded: 1, Waiting: 1, Active: 1, Progress: "2/3"},
		Conditions: []metav1.Condition{
			is(v1alpha1.ConditionComplete, metav1.ConditionTrue), is(v1alpha1.ConditionPlanned, metav1.ConditionTrue),
			is(v1alpha1.ConditionTriggered, metav1.ConditionFalse),
			{Type: v1alpha1.ConditionFinished, Status: metav1.ConditionFalse, Reason: string(v1alpha1.ReasonRunning)},
		},
	}
}

func (s *scene) run() {
	const worker = "w"
	uid := string(given.UID("workflow"))
	claims, err := s.store.Claim(s.Context(), cd, worker, 3, time.Hour)
	require.NoError(s, err)
	require.Len(s, claims, 3)
	s.submitted, s.succeeded, s.pending = claims[0].ID, claims[1].ID, claims[2].ID
	_, err = s.store.Complete(s.Context(), worker, []store.Completion{
		{ID: s.submitted, Attempt: 1, Status: store.StatusSubmitted, WorkflowUID: uid},
		{ID: s.pending, Attempt: 1, Status: store.StatusPending},
	})
	require.NoError(s, err)
	_, err = s.store.Observe(s.Context(), []store.Observation{
		{Namespace: claims[1].Namespace, WorkflowName: claims[1].WorkflowName, Identity: claims[1].Identity, WorkflowUID: "ended", Status: store.StatusSucceeded},
	})
	require.NoError(s, err)
	ended, err := s.store.Unfollowed(s.Context(), 1, nil)
	require.NoError(s, err)
	require.NoError(s, s.store.Follow(s.Context(), []store.Consequence{{Ended: ended[0], Outcome: store.StatusSucceeded}}))
	reader := s.cluster(given.CdPipeline(claims[0].Owner.Name), given.WorkflowTemplate(given.Template, time.Second))
	s.workflow, err = argo.Stages{}.Build(s.Context(), reader, claims[0])
	require.NoError(s, err)
	s.workflow.UID = given.UID("workflow")
}

// cd is where the stages of runs are queued.
var cd = store.Lane{Kind: store.KindCd}

// execute breaks the tables.
func (s *scene) execute(statement string, args ...any) {
	s.Helper()
	_, err := s.store.Pool().Exec(s.Context(), statement, args...)
	require.NoError(s, err)
}

// dropConstraint takes away what keeps a table from being broken.
func (s *scene) dropConstraint(table, constraint string) {
	s.Helper()
	s.execute(fmt.Sprintf("ALTER TABLE %s DROP CONSTRAINT %s CASCADE", table, constraint))
}

func (s *scene) world() oracle.World {
	s.Helper()
	return oracle.World{
		Database: s.store.Pool(),
		Clusters: []client.Reader{s.cluster(s.build, s.workflow), s.cluster(s.more...)},
		Log:      s.audit, Limits: s.limits, Connections: s.connections, Restored: s.restored,
	}
}

func (s *scene) cluster(objects ...client.Object) client.Client {
	s.Helper()
	scheme := runtime.NewScheme()
	require.NoError(s, errors.Join(eventsv1.AddToScheme(scheme), v1alpha1.AddToScheme(scheme), wfv1.AddToScheme(scheme)))
	return fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).Build()
}

// log gives the world an audit log of creates of one Workflow by Penstock,
// answered with these codes, one after the other.
func (s *scene) log(name string, codes ...int) {
	for _, code := range codes {
		s.audit = append(s.audit, env.AuditEvent{
			Verb: "create", User: string(env.Penstock), Resource: "workflows", Namespace: given.Namespace, Name: name, Code: code,
		})
	}
}
