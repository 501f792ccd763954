package resources

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/fleet"
	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/given"
	"github.com/penstock-cd/penstock/test/target"
	"github.com/penstock-cd/penstock/test/target/clients"
)

var (
	pods        = fleet.Kind{Resource: "pods"}
	services    = fleet.Kind{Resource: "services"}
	deployments = fleet.Kind{Group: "apps", Resource: "deployments"}
)

// scene is a lister over clusters of a test.
type scene struct {
	*Lister
	t       *testing.T
	clients *clients.Set
	targets []Target
}

func newScene(t *testing.T, changes ...func(*Config)) *scene {
	t.Helper()
	s := &scene{t: t, clients: clients.New(t)}
	config := Config{Clients: s.clients, Deadline: 10 * time.Second}
	for _, change := range changes {
		change(&config)
	}
	s.Lister = New(config)
	t.Cleanup(s.Close)
	return s
}

// add adds a cluster in miniature with so many pods.
func (s *scene) add(name string, podCount int) *target.Server {
	s.t.Helper()
	server := target.New(s.t)
	server.List("/api/v1/pods", target.List{Kind: "Pod", Objects: target.Objects("shop", podCount)})
	s.targets = append(s.targets, Target{Target: s.clients.AddServer(s.t, name, server)})
	return server
}

// list lists pods of all clusters, with changes.
func (s *scene) list(changes ...func(*Query)) Answer {
	s.t.Helper()
	answer, err := s.List(s.t.Context(), s.query(changes...))
	require.NoError(s.t, err)
	return answer
}

func (s *scene) query(changes ...func(*Query)) Query {
	query := Query{Kinds: []fleet.Kind{pods}, Targets: s.targets}
	for _, change := range changes {
		change(&query)
	}
	return query
}

func fresh(query *Query) { query.Fresh = true }

// states are the clusters' states, such as "a=Fresh/3".
func states(answer Answer) string {
	var all []string
	for _, cluster := range answer.Clusters {
		all = append(all, fmt.Sprintf("%s=%s/%d", cluster.Name, cluster.State, cluster.Count))
	}
	return strings.Join(all, " ")
}

func TestRealClustersAnswerWithTheColumnsThatKubectlPrints(t *testing.T) {
	t.Parallel()
	other, err := env.Start(t.Context(), env.Options{WithoutPostgres: true, WithoutCRDs: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, other.Stop()) })
	s := newScene(t)
	namespace := local.NewNamespace(t)
	for name, cluster := range map[string]*env.Environment{"one": local, "two": other} {
		admin, err := cluster.NewClient(env.Admin)
		require.NoError(t, err)
		if name == "two" {
			require.NoError(t, admin.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}))
		}
		for i := range 2 {
			require.NoError(t, admin.Create(t.Context(), &corev1.Pod{
				ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: fmt.Sprintf("web-%d", i), Labels: map[string]string{"app": "web"}},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "web", Image: "web"}}},
			}))
		}
		s.targets = append(s.targets, Target{Target: s.clients.Add(t, name, cluster.ConfigFor(env.Admin)), Namespaces: []string{namespace}})
	}
	admin, err := local.NewClient(env.Admin)
	require.NoError(t, err)
	pipeline := given.CdPipeline("web")
	pipeline.Namespace = namespace
	require.NoError(t, admin.Create(t.Context(), pipeline))

	cdPipelines := fleet.Kind{Group: v1alpha1.GroupVersion.Group, Resource: "cdpipelines"}
	answer := s.list(func(q *Query) { q.Kinds = []fleet.Kind{pods, deployments, cdPipelines} })
	require.Equal(t, []string{"Name", "Ready", "Status", "Restarts", "Age"}, shown(answer.Kinds[0]))
	require.Len(t, answer.Kinds[0].Items, 4)
	first := answer.Kinds[0].Items[0]
	require.Equal(t, "one "+namespace+" web-0", first.Cluster+" "+first.Namespace+" "+first.Name)
	require.Equal(t, "0/1", first.Cells[1])
	require.Equal(t, "Pending", first.Cells[2])
	require.Regexp(t, `^\d+s$`, first.Cells[4])
	require.Empty(t, answer.Kinds[1].Items)
	require.Len(t, answer.Kinds[2].Items, 1, "a kind of a CRD is found where it is served")
	require.Contains(t, shown(answer.Kinds[2]), "Environment")
	require.Equal(t, "one=Fresh/3 two=Failed/2", states(answer), "and named where it is not")
	require.Contains(t, answer.Clusters[1].Error, "cdpipelines.penstock.dev: the cluster does not serve this kind")
	require.False(t, answer.Complete)

	answer = s.list(func(q *Query) { q.LabelSelector = "app=other" })
	require.Empty(t, answer.Kinds[0].Items)
	require.True(t, answer.Complete)
	answer = s.list(func(q *Query) { q.Kinds = []fleet.Kind{{Resource: "nodes"}} })
	require.Contains(t, answer.Clusters[0].Error, "nodes are in no namespace", "who may see one namespace sees no nodes")
}

// shown are the columns that are printed without -o wide.
func shown(kind Kind) (names []string) {
	for _, column := range kind.Columns {
		if column.Priority == 0 {
			names = append(names, column.Name)
		}
	}
	return names
}

func TestOneClusterThatFailsCostsNoOther(t *testing.T) {
	t.Parallel()
	const deadline = time.Second
	for sentence, tc := range map[string]struct {
		breaks func(*target.Server)
		state  State
		says   string
	}{
		"one that never answers":        {func(s *target.Server) { s.Instead(s.Hang) }, Pending, "no answer yet"},
		"one that hangs in the middle":  {func(s *target.Server) { s.Instead(s.HangInside) }, Pending, "no answer yet"},
		"one that is cut in the middle": {func(s *target.Server) { s.Instead(target.Cut) }, Failed, "broke the connection off"},
		"one that refuses the token":    {func(s *target.Server) { s.Accept("another") }, Failed, "refuses the credentials"},
		"one that forbids it":           {func(s *target.Server) { s.Instead(target.Status(http.StatusForbidden)) }, Failed, "apply config/target"},
		"one that is overloaded":        {func(s *target.Server) { s.Instead(target.Status(http.StatusTooManyRequests)) }, Failed, "overloaded (429)"},
		"one that is down":              {func(s *target.Server) { s.Instead(target.Status(http.StatusInternalServerError)) }, Failed, "status 500"},
		"one that answers nonsense":     {func(s *target.Server) { s.Instead(target.JSON("hello")) }, Failed, "not understood"},
		"one that gives no rows":        {func(s *target.Server) { s.Instead(target.JSON(map[string]string{"kind": "Table"})) }, Failed, "not understood"},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, func(c *Config) { c.Deadline = deadline })
			s.add("a", 3)
			broken := s.add("b", 3)
			s.add("c", 3)
			tc.breaks(broken)
			began := time.Now()
			answer := s.list()
			require.Less(t, time.Since(began), deadline+4*time.Second, "not the time that a fetch may take")
			require.Equal(t, fmt.Sprintf("a=Fresh/3 b=%s/0 c=Fresh/3", tc.state), states(answer))
			require.Contains(t, answer.Clusters[1].Error, tc.says)
			require.NotContains(t, answer.Clusters[1].Error, target.Token)
			require.Len(t, answer.Kinds[0].Items, 6)
			require.False(t, answer.Complete)
		})
	}
}

func TestClustersThatCantBeAskedAreNot(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	dead, virtual, suspended := s.add("dead", 1), s.add("virtual", 1), s.add("suspended", 1)
	since := metav1.NewTime(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	for i, cluster := range []*v1alpha1.TargetCluster{
		given.TargetCluster("dead", func(c *v1alpha1.TargetCluster) {
			c.Status = v1alpha1.TargetClusterStatus{Phase: v1alpha1.ClusterUnreachable, Reason: "DNS", Message: "the name is not known", Since: &since}
		}),
		given.TargetCluster("virtual", given.Virtual),
		given.TargetCluster("suspended", func(c *v1alpha1.TargetCluster) { c.Spec.Suspend = true }),
	} {
		s.targets[i].Unavailable = fleet.TargetOf(cluster).Unavailable
	}
	s.targets = append(s.targets, Target{Target: s.clients.Fail("broken", &fleet.Failure{Class: fleet.BadKubeconfig, Message: "the kubeconfig is not used"})})
	s.add("good", 1)
	answer := s.list()
	require.Equal(t, "broken=Failed/0 dead=Unreachable/0 good=Fresh/1 suspended=Skipped/0 virtual=Skipped/0", states(answer))
	require.Equal(t, "Unreachable since 2026-01-01T00:00:00Z: the name is not known", answer.Clusters[1].Error)
	for _, server := range []*target.Server{dead, virtual, suspended} {
		require.Empty(t, server.Requests())
	}
	s.targets = s.targets[1:3]
	require.True(t, s.list().Complete, "nothing is expected of virtual and suspended clusters")
}

func TestWhatIsKnownIsShownAtOnceAndReadAnewBehind(t *testing.T) {
	t.Parallel()
	s := newScene(t, func(c *Config) { c.FreshFor = time.Millisecond })
	server := s.add("a", 2)
	require.Equal(t, "a=Fresh/2", states(s.list()))
	server.List("/api/v1/pods", target.List{Kind: "Pod", Objects: target.Objects("shop", 5)})
	time.Sleep(2 * time.Millisecond)
	require.Equal(t, "a=Stale/2", states(s.list()))
	require.Eventually(t, func() bool { return s.list().Clusters[0].Count == 5 }, 5*time.Second, time.Millisecond)

	server.Instead(server.Hang)
	time.Sleep(2 * time.Millisecond)
	began := time.Now()
	require.Equal(t, "a=Stale/5", states(s.list()))
	require.Less(t, time.Since(began), 5*time.Second)

	server.Instead(target.Status(http.StatusInternalServerError))
	s.Close()
	s.Lister = New(s.config)
	t.Cleanup(s.Close)
	require.Equal(t, "a=Failed/0", states(s.list()))
	server.Reset()
	require.Equal(t, "a=Failed/0", states(s.list()))
	require.Empty(t, server.Requests(), "one that has just failed is left alone")
}

func TestWhatHasFailedBeforeIsToldAtOnceAndReadAnewBehind(t *testing.T) {
	t.Parallel()
	s := newScene(t, func(c *Config) { c.Deadline, c.FreshFor = time.Minute, time.Hour })
	server := s.add("a", 2)
	server.Instead(target.Status(http.StatusInternalServerError))
	require.Equal(t, "a=Failed/0", states(s.list()))
	for of, e := range s.cache.entries {
		s.cache.fail(of, e.err, time.Now().Add(-time.Second), time.Now()) // it is time to try again
	}
	release := make(chan struct{})
	server.Instead(func(w http.ResponseWriter, r *http.Request) {
		<-release
		server.Instead(nil)
		target.Status(http.StatusInternalServerError)(w, r)
	})
	require.Equal(t, "a=Failed/0", states(s.list()), "the cluster has not answered yet")
	close(release)
	require.Eventually(t, func() bool { return s.list(fresh).Clusters[0].State == Fresh }, 5*time.Second, time.Millisecond)
}

func TestFreshWaitsForWhatIsReadAnew(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	server := s.add("a", 2)
	s.list()
	server.List("/api/v1/pods", target.List{Kind: "Pod", Objects: target.Objects("shop", 5)})
	require.Equal(t, "a=Fresh/2", states(s.list()), "it is young enough")
	require.Equal(t, "a=Fresh/5", states(s.list(fresh)))
	require.Equal(t, "a=Fresh/5", states(s.list()))
}

func TestEqualQueriesAreReadOnce(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	server := s.add("a", 2)
	release := make(chan struct{})
	server.Instead(func(w http.ResponseWriter, r *http.Request) {
		<-release
		target.JSON(map[string]any{"kind": "PodList", "items": []any{}})(w, r)
	})
	answers := make(chan Answer, 20)
	for range cap(answers) {
		go func() {
			answer, err := s.List(context.Background(), s.query())
			if err == nil {
				answers <- answer
			}
		}()
	}
	require.Eventually(t, func() bool { return len(server.Requests()) == 1 }, 5*time.Second, time.Millisecond)
	time.Sleep(50 * time.Millisecond) // for the others to come
	close(release)
	for range cap(answers) {
		require.Equal(t, "a=Fresh/0", states(<-answers))
	}
	require.Len(t, server.Requests(), 1)
}

func TestAHugeClusterIsTruncatedAndCrowdsOutNobody(t *testing.T) {
	t.Parallel()
	s := newScene(t, func(c *Config) { c.PerCluster = 1200 })
	huge := s.add("a", 3000)
	s.add("b", 2)
	answer := s.list(func(q *Query) { q.Limit = 5000 })
	require.Equal(t, "a=Fresh/3000 b=Fresh/2", states(answer))
	require.True(t, answer.Clusters[0].Truncated)
	require.False(t, answer.Complete)
	require.Len(t, answer.Kinds[0].Items, 1202)
	require.Equal(t, []string{"/api/v1/pods?limit=500", "/api/v1/pods?continue=500&limit=500", "/api/v1/pods?continue=1000&limit=200"}, huge.Requests())
	require.False(t, s.list(func(q *Query) { q.Limit, q.Targets = 5000, s.targets[1:] }).Clusters[0].Truncated)
}

func TestPagesHoldEveryItemOnceInOrder(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	for _, name := range []string{"c", "a", "b"} {
		server := s.add(name, 0)
		server.List("/api/v1/pods", target.List{Kind: "Pod", Objects: append(target.Objects("shop", 7), target.Objects("bank", 4)...)})
		server.List("/api/v1/services", target.List{Kind: "Service", Objects: target.Objects("shop", 3)})
	}
	whole := s.list(func(q *Query) { q.Kinds = []fleet.Kind{pods, services} })
	require.Empty(t, whole.Continue)
	require.True(t, whole.Complete)
	want := items(whole)
	require.Len(t, want, 3*(7+4+3))
	require.Equal(t, "pods a bank object-0000", want[0])
	for _, limit := range []int{1, 4, 11, 41, 42, 43} {
		var got []string
		next := ""
		for pages := 0; pages == 0 || next != ""; pages++ {
			page := s.list(func(q *Query) { q.Kinds, q.Limit, q.Continue = []fleet.Kind{pods, services}, limit, next })
			require.LessOrEqual(t, len(items(page)), limit)
			require.Equal(t, whole.Kinds[1].Columns, page.Kinds[1].Columns)
			got = append(got, items(page)...)
			next = page.Continue
		}
		require.Equal(t, want, got, "limit %d", limit)
	}
}

func items(answer Answer) (all []string) {
	for _, kind := range answer.Kinds {
		for _, item := range kind.Items {
			all = append(all, kind.Kind+" "+item.Cluster+" "+item.Namespace+" "+item.Name)
		}
	}
	return all
}

func TestQueriesThatCanNeverBeAnsweredAreRefused(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.add("a", 3)
	page := s.list(func(q *Query) { q.Limit = 1 })
	for sentence, tc := range map[string]struct {
		change func(*Query)
		says   string
	}{
		"no kinds":                       {func(q *Query) { q.Kinds = nil }, "name 1 to 16 kinds"},
		"too many kinds":                 {func(q *Query) { q.Kinds = make([]fleet.Kind, 17) }, "name 1 to 16 kinds"},
		"a huge page":                    {func(q *Query) { q.Limit = 5001 }, "from 1 to 5000"},
		"a selector that can't be read":  {func(q *Query) { q.LabelSelector = "a in (" }, "label selector"},
		"a cursor of somebody else":      {func(q *Query) { q.Continue = "e30" }, "not one that Penstock has given"},
		"a cursor that is none":          {func(q *Query) { q.Continue = "%%%" }, "not one that Penstock has given"},
		"a cursor of another query":      {func(q *Query) { q.Continue, q.LabelSelector = page.Continue, "a=b" }, "belongs to another query"},
		"a cursor of one of other kinds": {func(q *Query) { q.Continue, q.Kinds = page.Continue, []fleet.Kind{services} }, "belongs to another query"},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			_, err := s.List(t.Context(), s.query(tc.change))
			require.ErrorIs(t, err, ErrInvalid)
			require.ErrorContains(t, err, tc.says)
		})
	}
}

func TestColumnsOfServersOfTwoVersionsAreBroughtTogether(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.add("new", 1)
	old := s.add("old", 0)
	old.List("/api/v1/pods", target.List{
		Kind:    "Pod",
		Columns: []metav1.TableColumnDefinition{{Name: "Name", Type: "string"}, {Name: "Age", Type: "string"}, {Name: "Node", Type: "string"}},
		Objects: []target.Object{{Namespace: "shop", Name: "web", Created: time.Now().Add(-2 * time.Hour), Cells: []any{"web", "1h", "n1"}}},
	})
	answer := s.list()
	require.Equal(t, []string{"Name", "Status", "Restarts", "Age", "Node"}, shown(answer.Kinds[0]))
	require.Equal(t, []any{"web", nil, nil, "120m", "n1"}, answer.Kinds[0].Items[1].Cells)
}

func TestAStreamTellsClustersAsTheyAnswer(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	slow, hanging := s.add("a-slow", 1), s.add("b-hanging", 1)
	s.add("c-fast", 1)
	hanging.Instead(hanging.Hang)
	release := make(chan struct{})
	slow.Handle("/api/v1/pods", func(w http.ResponseWriter, r *http.Request) {
		<-release
		target.JSON(map[string]any{"kind": "PodList", "items": []any{}})(w, r)
	})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var told []string
	err := s.Stream(ctx, s.query(), func(part Part) error {
		told = append(told, part.Cluster.Name+"="+string(part.Cluster.State))
		switch len(told) {
		case 1:
			close(release)
		case 2:
			cancel()
		}
		return nil
	})
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, []string{"c-fast=Fresh", "a-slow=Fresh"}, told)

	told = nil
	stop := errors.New("the client is gone")
	err = s.Stream(t.Context(), s.query(func(q *Query) { q.Targets = s.targets[2:] }), func(part Part) error {
		require.Len(t, part.Kind.Items, 1, "what is known comes first")
		return stop
	})
	require.ErrorIs(t, err, stop)
}

func TestAnotherClusterOfTheSameNameShowsNothingOfTheFirst(t *testing.T) {
	t.Parallel()
	s := newScene(t, func(c *Config) { c.Deadline = 100 * time.Millisecond })
	server := s.add("a", 3)
	require.Equal(t, "a=Fresh/3", states(s.list()))
	server.Instead(server.Hang)
	s.targets[0].UID = "another"
	require.Equal(t, "a=Pending/0", states(s.list()))
}

func TestTheCacheStaysWithinItsBytes(t *testing.T) {
	t.Parallel()
	const most = 200 << 10
	s := newScene(t, func(c *Config) { c.CacheBytes = most })
	for i := range 10 {
		s.add(fmt.Sprintf("c%d", i), 300)
	}
	for range 3 {
		answer := s.list(func(q *Query) { q.Limit = 5000 })
		require.Len(t, answer.Kinds[0].Items, 3000, "an answer is whole whatever the cache holds")
		require.LessOrEqual(t, s.Stats().Bytes, most)
		require.Positive(t, s.Stats().Entries)
	}
}

func TestNoMoreRequestsAreUnderWayThanAllowed(t *testing.T) {
	t.Parallel()
	s := newScene(t, func(c *Config) { c.Parallelism = 4 })
	server := target.New(t)
	server.Handle("/api/v1/pods", func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(5 * time.Millisecond)
		target.JSON(map[string]any{"kind": "PodList", "items": []any{}})(w, r)
	})
	for i := range 40 {
		s.targets = append(s.targets, Target{Target: s.clients.AddServer(t, fmt.Sprintf("c%02d", i), server)})
	}
	require.True(t, s.list().Complete)
	require.LessOrEqual(t, server.Peak(), 4)
	require.Len(t, server.Requests(), 40)
}
