package server_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/given"
	"github.com/penstock-cd/penstock/test/target"
)

// fleetScene is a scene with two clusters, one and two, which have two pods each in the
// same namespace. TargetClusters are not namespaced: the test's own have a label.
type fleetScene struct {
	*scene
	admin     client.WithWatch
	namespace string
	one, two  *target.Server
}

func newFleet(t *testing.T) *fleetScene {
	t.Helper()
	admin, err := local.NewClient(env.Admin)
	require.NoError(t, err)
	s := &fleetScene{scene: newScene(t, options{}), admin: admin, namespace: local.NewNamespace(t)}
	s.one, s.two = s.add(t, "one"), s.add(t, "two")
	all := s.everybody(t)
	require.Eventually(t, func() bool {
		var list rest.ClusterList
		got := s.get(t, all, "/api/v1/clusters?clusterSelector=test="+s.namespace)
		return got.status == http.StatusOK && json.Unmarshal(got.body, &list) == nil && len(list.Items) == 2
	}, patience, look, s.log)
	return s
}

// name is that of one of the test's clusters.
func (s *fleetScene) name(cluster string) string { return s.namespace + "-" + cluster }

func (s *fleetScene) add(t *testing.T, cluster string) *target.Server {
	t.Helper()
	server := target.New(t)
	list := target.List{Kind: "Pod", Objects: target.Objects(s.namespace, 2)}
	server.List("/api/v1/pods", list)
	server.List("/api/v1/namespaces/"+s.namespace+"/pods", list)
	objects := []client.Object{
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: env.ControllerNamespace, Name: s.name(cluster)}, Data: map[string][]byte{"kubeconfig": server.Kubeconfig(t)}},
		given.TargetCluster(s.name(cluster), given.Labelled("test", s.namespace)),
	}
	for _, object := range objects {
		require.NoError(t, s.admin.Create(t.Context(), object))
		t.Cleanup(func() { require.NoError(t, s.admin.Delete(context.WithoutCancel(t.Context()), object)) })
	}
	return server
}

// everybody returns the token of somebody who may read all clusters.
func (s *fleetScene) everybody(t *testing.T) string {
	t.Helper()
	home, name := s.person(t)
	s.bind(t, rbacv1.Subject{Kind: "ServiceAccount", Namespace: home, Name: name}, "penstock-cluster-reader")
	s.awaitResources(t, home, name, "", "")
	return s.token(home, name)
}

// single returns the token of somebody who may read the scene's namespace of cluster one.
func (s *fleetScene) single(t *testing.T) string {
	t.Helper()
	home, name := s.person(t)
	_, err := local.Kubectl(t.Context(), "create", "clusterrole", s.name("reader"), "--verb=get,list", "--resource=targetclusters.penstock.dev/resources", "--resource-name="+s.name("one"))
	require.NoError(t, err)
	s.bind(t, rbacv1.Subject{Kind: "ServiceAccount", Namespace: home, Name: name}, s.name("reader"), s.namespace)
	s.awaitResources(t, home, name, s.name("one"), s.namespace)
	return s.token(home, name)
}

func (s *fleetScene) awaitResources(t *testing.T, home, name, cluster, namespace string) {
	t.Helper()
	s.awaitRight(t, "system:serviceaccount:"+home+":"+name, authorizationv1.ResourceAttributes{
		Group: v1alpha1.GroupVersion.Group, Verb: "list", Resource: "targetclusters", Subresource: "resources", Name: cluster, Namespace: namespace,
	})
}

// resources is the path of the pods of the test's clusters.
func (s *fleetScene) resources(parameters ...string) string {
	return "/api/v1/clusters/resources?" + strings.Join(append([]string{"kinds=pods", "clusterSelector=test=" + s.namespace}, parameters...), "&")
}

func (s *fleetScene) batch(t *testing.T, token string, references ...rest.Reference) answer {
	t.Helper()
	text, err := json.Marshal(rest.BatchGet{References: references})
	require.NoError(t, err)
	return s.send(t, s.client, http.MethodPost, "/api/v1/resources:batchGet", strings.NewReader(string(text)), "Authorization", "Bearer "+token, "Content-Type", "application/json")
}

// shown are the items of the first kind, such as "one/object-0000".
func (s *fleetScene) shown(list rest.ResourceList) string {
	var names []string
	for _, item := range list.Kinds[0].Items {
		names = append(names, strings.TrimPrefix(item.Cluster, s.namespace+"-")+"/"+item.Name)
	}
	return strings.Join(names, " ")
}

func TestAClusterThatIsDownCostsTheOthersNothing(t *testing.T) {
	t.Parallel()
	s := newFleet(t)
	token := s.everybody(t)
	var list rest.ResourceList
	s.get(t, token, s.resources()).into(t, &list)
	require.True(t, list.Complete, list.Clusters)
	require.Equal(t, "one/object-0000 one/object-0001 two/object-0000 two/object-0001", s.shown(list))
	require.Equal(t, "pods pod", list.Kinds[0].Kind+" "+list.Kinds[0].Singular)
	require.Equal(t, rest.ResourceColumn{Name: "Restarts", Type: "integer"}, list.Kinds[0].Columns[2])
	require.Equal(t, []any{"object-0001", "Running", 1.0, "60m"}, list.Kinds[0].Items[1].Cells)
	require.Equal(t, rest.ResourceCluster{Name: s.name("one"), State: "Fresh", Count: 2}, list.Clusters[0])

	var first, second rest.ResourceList
	s.get(t, token, s.resources("limit=3")).into(t, &first)
	s.get(t, token, s.resources("limit=3", "cursor="+first.Next)).into(t, &second)
	require.Equal(t, "one/object-0000 one/object-0001 two/object-0000 + two/object-0001", s.shown(first)+" + "+s.shown(second))
	require.Empty(t, second.Next)

	s.two.Instead(target.Cut)
	s.get(t, token, s.resources("namespace="+s.namespace)).into(t, &list)
	require.False(t, list.Complete)
	require.Equal(t, "one/object-0000 one/object-0001", s.shown(list))
	require.Equal(t, "Failed", list.Clusters[1].State)
	require.Contains(t, list.Clusters[1].Error, "pods: Refused: "+s.two.Host()+" broke the connection off")
}

func TestHowTheClustersDo(t *testing.T) {
	t.Parallel()
	s := newFleet(t)
	token := s.everybody(t)
	var cluster v1alpha1.TargetCluster
	require.NoError(t, s.admin.Get(t.Context(), client.ObjectKey{Name: s.name("two")}, &cluster))
	since := metav1.Now().Rfc3339Copy()
	cluster.Status = v1alpha1.TargetClusterStatus{Phase: v1alpha1.ClusterUnreachable, Reason: "Timeout", Message: "it is away", Version: "v1.37.2", LatencyMillis: 12, Since: &since, Conditions: []metav1.Condition{
		{Type: v1alpha1.ConditionLaneOpen, Status: metav1.ConditionFalse, Reason: "ClusterChanged", Message: "another cluster answers", LastTransitionTime: since},
	}}
	require.NoError(t, s.admin.Status().Update(t.Context(), &cluster))
	require.Eventually(t, func() bool {
		var list rest.ClusterList
		s.get(t, token, "/api/v1/clusters?clusterSelector=test="+s.namespace).into(t, &list)
		require.Len(t, list.Items, 2)
		require.Equal(t, "Unknown", list.Items[0].Phase)
		require.Nil(t, list.Items[0].Lane)
		two := list.Items[1]
		return two.Phase == "Unreachable" && two.Reason == "Timeout" && two.Message == "it is away" && two.Version == "v1.37.2" &&
			two.LatencyMillis == 12 && two.Since.Equal(since.Time) && two.Name == s.name("two") &&
			two.Lane != nil && *two.Lane == rest.ClusterLane{Reason: "ClusterChanged", Message: "another cluster answers", Since: since.UTC()}
	}, patience, look)

	s.two.Reset()
	var resources rest.ResourceList
	s.get(t, token, s.resources()).into(t, &resources)
	require.Equal(t, "Unreachable", resources.Clusters[1].State)
	require.Contains(t, resources.Clusters[1].Error, "Unreachable since ")
	require.Empty(t, s.two.Requests(), "who is known not to answer is not asked")
}

func TestAWrongReferenceCostsNoOther(t *testing.T) {
	t.Parallel()
	s := newFleet(t)
	good := fmt.Sprintf(`{"cluster":%q,"kind":"pods","namespace":%q,"name":"object-0000"}`, s.name("one"), s.namespace)
	wrong := []struct{ reference, want string }{
		{fmt.Sprintf(`{"cluster":%q,"kind":"pods","namespace":%q}`, s.name("one"), s.namespace), "the field name is missing"},
		{`{"kind":"pods","namespace":"a","name":"b"}`, "the field cluster is missing"},
		{fmt.Sprintf(`{"cluster":%q,"kind":"pods","namespace":%q,"name":%q}`, s.name("one"), s.namespace, strings.Repeat("a", 254)), "the field name has 254 bytes"},
		{fmt.Sprintf(`{"cluster":%q,"kind":"pods","name":"object-0000"}`, s.name("one")), "are in a namespace: name it"},
		{fmt.Sprintf(`{"cluster":%q,"kind":"bogus","name":"object-0000"}`, s.name("one")), "bogus"},
	}
	references := []string{good}
	for _, one := range wrong {
		references = append(references, one.reference)
	}
	body := `{"references":[` + strings.Join(references, ",") + `]}`
	var answers rest.BatchAnswers
	s.send(t, s.client, http.MethodPost, "/api/v1/resources:batchGet", strings.NewReader(body), "Authorization", "Bearer "+s.everybody(t), "Content-Type", "application/json").into(t, &answers)
	require.Nil(t, answers.Items[0].Error)
	for i, one := range wrong {
		require.NotNil(t, answers.Items[i+1].Error, one.reference)
		require.Equal(t, "Invalid", answers.Items[i+1].Error.Reason, one.reference)
		require.Contains(t, answers.Items[i+1].Error.Message, one.want)
	}
}

func TestNoClusterIsContactedForWhoIsRefused(t *testing.T) {
	t.Parallel()
	s := newFleet(t)
	none, one := s.nobody(t), s.single(t)
	s.plan(t, s.namespace, "b1", family(s.namespace, "web"))
	reference := func(cluster string) rest.Reference {
		return rest.Reference{Cluster: s.name(cluster), Kind: "pods", Namespace: s.namespace, Name: "object-0000"}
	}
	require.Contains(t, s.get(t, none, "/api/v1/clusters").detail(t, http.StatusForbidden), "may not list targetclusters.penstock.dev")
	for _, path := range []string{s.resources(), s.resources("namespace=" + s.namespace), s.resources("clusters=" + s.name("one")), s.resources("clusters=nothing")} {
		require.Contains(t, s.get(t, none, path).detail(t, http.StatusForbidden), "ClusterRole penstock-cluster-reader has it", path)
	}
	require.Contains(t, s.batch(t, none, reference("one"), reference("two")).detail(t, http.StatusForbidden), "may not get targetclusters.penstock.dev/resources")
	require.Contains(t, s.get(t, one, s.resources("clusters="+s.name("two"))).detail(t, http.StatusForbidden), s.name("two"))
	require.Contains(t, s.get(t, one, s.resources("clusters="+s.name("one"), "namespace=default")).detail(t, http.StatusForbidden), "in namespace default")
	require.Contains(t, s.get(t, one, s.resources("namespace=default")).detail(t, http.StatusForbidden), "in namespace default")
	require.Contains(t, s.get(t, s.everybody(t), s.resources("clusters=nothing")).detail(t, http.StatusNotFound), `no TargetCluster "nothing"`)
	require.Empty(t, s.one.Requests())
	require.Empty(t, s.two.Requests())
	require.Contains(t, s.log.String(), "request refused")

	require.Eventually(t, func() bool { return s.get(t, one, s.resources()).status == http.StatusOK }, patience, 100*time.Millisecond, "the namespace has a pipeline")
	for _, path := range []string{s.resources(), s.resources("clusters=" + s.name("one")), s.resources("namespace=" + s.namespace)} {
		var list rest.ResourceList
		s.get(t, one, path).into(t, &list)
		require.Equal(t, "one/object-0000 one/object-0001", s.shown(list), "one namespace of one cluster is all that they see")
		require.Len(t, list.Clusters, 1)
	}
	stream := s.get(t, one, s.resources("stream=true"))
	require.Equal(t, http.StatusOK, stream.status)
	require.Contains(t, string(stream.body), s.name("one"))
	require.NotContains(t, string(stream.body), s.name("two"))
	elsewhere := rest.Reference{Cluster: s.name("one"), Kind: "pods", Namespace: "default", Name: "object-0000"}
	for _, refused := range [][]rest.Reference{{reference("two")}, {elsewhere}, {reference("two"), elsewhere}} {
		require.Contains(t, s.batch(t, one, refused...).detail(t, http.StatusForbidden), "may not get targetclusters.penstock.dev/resources")
	}
	require.Contains(t, s.get(t, one, "/api/v1/clusters").detail(t, http.StatusForbidden), "may not list targetclusters.penstock.dev", "nor do they learn which others there are")
	for _, asked := range s.one.Requests() {
		require.Contains(t, asked, "/api/v1/namespaces/"+s.namespace+"/pods")
	}
	require.Empty(t, s.two.Requests())
}

func TestBadQueriesAreRefused(t *testing.T) {
	t.Parallel()
	s := newFleet(t)
	token := s.everybody(t)
	for query, says := range map[string]string{
		"kinds=secrets":                      `the kind "secrets" is not shown`,
		"kinds=pods,widgets.example.org":     `the kind "widgets.example.org" is not shown`,
		"kinds=pods&namespace=..%2Fsecrets":  "is not the name of a namespace",
		"kinds=pods&clusterSelector=!!":      "clusterSelector can't be read",
		"kinds=pods&labelSelector=!!":        "the label selector can't be read",
		"kinds=pods&cursor=eyJxIjoiYWJjIn0x": "the cursor is not one that Penstock has given",
	} {
		require.Contains(t, s.get(t, token, "/api/v1/clusters/resources?"+query).detail(t, http.StatusBadRequest), says, query)
	}
	require.Equal(t, http.StatusUnprocessableEntity, s.get(t, token, "/api/v1/clusters/resources").status)
	for _, name := range []string{"a%2Fb", "..%2F..%2Fsecrets", "%2F"} {
		require.Contains(t, s.get(t, token, s.resources("clusters="+name)).detail(t, http.StatusNotFound), "there is no TargetCluster", name)
	}
	require.Contains(t, s.batch(t, token, make([]rest.Reference, 501)...).detail(t, http.StatusBadRequest), "more than 500 references")
	require.Equal(t, http.MethodPost, s.get(t, token, "/api/v1/resources:batchGet").header.Get("Allow"))
	require.Empty(t, s.one.Requests())
}

func TestAPageGoesOnInItsOwnQueryAlone(t *testing.T) {
	t.Parallel()
	s := newFleet(t)
	token := s.everybody(t)
	var first rest.ResourceList
	s.get(t, token, s.resources("limit=1")).into(t, &first)
	require.NotEmpty(t, first.Next)
	for _, changed := range []string{
		s.resources("namespace=" + s.namespace), s.resources("clusters=" + s.name("two")), s.resources("labelSelector=a"), "/api/v1/clusters/resources?kinds=services",
		"/api/v1/clusters/resources?kinds=pods&clusterSelector=test",
	} {
		require.Contains(t, s.get(t, token, changed+"&cursor="+first.Next).detail(t, http.StatusBadRequest), "belongs to another query", changed)
	}
	require.Equal(t, http.StatusOK, s.get(t, token, s.resources("limit=1", "cursor="+first.Next)).status)
}

func TestTwoTargetClustersForOneServerAreTwoClusters(t *testing.T) {
	t.Parallel()
	s := newFleet(t)
	token := s.everybody(t)
	twin := given.TargetCluster(s.name("twin"), given.Labelled("test", s.namespace), func(c *v1alpha1.TargetCluster) { c.Spec.KubeconfigSecretRef.Name = s.name("one") })
	require.NoError(t, s.admin.Create(t.Context(), twin))
	t.Cleanup(func() { require.NoError(t, s.admin.Delete(context.WithoutCancel(t.Context()), twin)) })
	require.Eventually(t, func() bool {
		var list rest.ResourceList
		s.get(t, token, s.resources()).into(t, &list)
		return s.shown(list) == "one/object-0000 one/object-0001 twin/object-0000 twin/object-0001 two/object-0000 two/object-0001"
	}, patience, look)
}

func TestObjectsAreAnsweredByTheirIndex(t *testing.T) {
	t.Parallel()
	s := newFleet(t)
	one := func(kind, name string) rest.Reference {
		return rest.Reference{Cluster: s.name("one"), Kind: kind, Namespace: s.namespace, Name: name}
	}
	references := []rest.Reference{
		one("pods", "gone"), {Cluster: s.name("two"), Kind: "pods", Namespace: s.namespace, Name: "object-0000"}, one("po", "object-0001"), one("secrets", "s"),
		{Cluster: s.name("three"), Kind: "pods", Namespace: s.namespace, Name: "web"}, one("pods", "a/b"),
		{Cluster: "../" + s.name("two"), Kind: "pods", Namespace: s.namespace, Name: "web"},
	}
	told := func(token string) string {
		var answers rest.BatchAnswers
		s.batch(t, token, references...).into(t, &answers)
		require.False(t, answers.Complete)
		var all []string
		for _, item := range answers.Items {
			if item.Error != nil {
				require.NotEmpty(t, item.Error.Message)
				all = append(all, item.Error.Reason)
				continue
			}
			var object metav1.PartialObjectMetadata
			require.NoError(t, json.Unmarshal(item.Object, &object))
			all = append(all, fmt.Sprintf("%s %s", object.Kind, object.Name))
		}
		return strings.Join(all, ", ")
	}
	require.Equal(t, "NotFound, NotAllowed, Pod object-0001, Invalid, NotAllowed, Invalid, NotAllowed", told(s.single(t)))
	require.Empty(t, s.two.Requests(), "no right, no request")
	require.Equal(t, "NotFound, Pod object-0000, Pod object-0001, Invalid, NotFound, Invalid, NotFound", told(s.everybody(t)))
}

func TestClustersArriveAsTheyAnswer(t *testing.T) {
	t.Parallel()
	s := newFleet(t)
	token := s.everybody(t)
	hangs := make(chan struct{})
	s.two.Instead(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-hangs:
			target.Status(http.StatusTooManyRequests)(w, r)
		case <-r.Context().Done():
		}
	})
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+s.address+s.resources("stream=true"), nil)
	require.NoError(t, err)
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := s.client.Do(request)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	require.Equal(t, "text/event-stream", response.Header.Get("Content-Type"))
	lines := bufio.NewScanner(response.Body)
	next := func(event string, into any) {
		require.True(t, lines.Scan())
		require.Equal(t, "event: "+event, lines.Text())
		require.True(t, lines.Scan())
		require.NoError(t, json.Unmarshal([]byte(strings.TrimPrefix(lines.Text(), "data: ")), into))
		require.True(t, lines.Scan())
		require.Empty(t, lines.Text())
	}
	var first, second rest.ResourcePart
	next("part", &first)
	require.Equal(t, s.name("one")+" Fresh", first.Cluster.Name+" "+first.Cluster.State)
	require.Len(t, first.Kind.Items, 2)
	require.Equal(t, "pod", first.Kind.Singular)
	close(hangs)
	next("part", &second)
	require.Equal(t, s.name("two")+" Failed", second.Cluster.Name+" "+second.Cluster.State)
	require.Contains(t, second.Cluster.Error, "overloaded (429)")
	var end rest.ResourceEnd
	next("end", &end)
	require.False(t, end.Complete)
	require.False(t, lines.Scan(), "the stream has ended")

	require.Contains(t, s.get(t, token, s.resources("stream=true", "labelSelector=!!")).detail(t, http.StatusBadRequest), "the label selector can't be read")
	require.Contains(t, s.get(t, s.nobody(t), s.resources("stream=true")).detail(t, http.StatusForbidden), "may not list")
}

func TestTheHistoryOfAClusterIsTold(t *testing.T) {
	t.Parallel()
	s := newFleet(t)
	token, name := s.everybody(t), s.name("one")
	began := time.Date(2024, 5, 17, 12, 0, 0, 0, time.UTC)
	require.NoError(t, s.rows.RecordClusterEvents(t.Context(), []store.ClusterEvent{
		{UID: "1", Cluster: name, Phase: "Healthy", Version: "v1.33.0", At: began},
		{UID: "1", Cluster: name, Phase: "Unreachable", Reason: "Timeout", Message: "no answer in 4s", At: began.Add(time.Hour)},
		{UID: "2", Cluster: name, Phase: "Healthy", Version: "v1.34.0", At: began.Add(time.Hour + 90*time.Second)},
		{UID: "3", Cluster: s.name("two"), Phase: "Degraded", At: began},
	}))
	path := "/api/v1/clusters/" + name + "/history"
	var first, second rest.ClusterHistory
	s.get(t, token, path+"?limit=2").into(t, &first)
	require.Len(t, first.Items, 2)
	require.Equal(t, "v1.34.0", first.Items[0].Version, "the newest first")
	require.Equal(t, rest.ClusterChange{ID: first.Items[1].ID, UID: "1", Phase: "Unreachable", Reason: "Timeout", Message: "no answer in 4s", At: began.Add(time.Hour)}, first.Items[1])
	s.get(t, token, path+"?limit=2&cursor="+first.Next).into(t, &second)
	require.Len(t, second.Items, 1)
	require.Equal(t, began, second.Items[0].At)
	require.Empty(t, second.Next)
	require.Contains(t, s.get(t, s.nobody(t), path).detail(t, http.StatusForbidden), "penstock-cluster-reader has it")

	b := s.browser(t, "")
	shown := b.signIn(t, token, "/clusters/"+name)
	require.Contains(t, shown.text, "Timeout: <bdi>no answer in 4s</bdi>")
	require.Contains(t, shown.text, ">1 h 0 min</td>", "how long it was healthy")
	require.Contains(t, b.open(t, "/clusters?clusterSelector=test="+s.namespace).text, `href="/clusters/`+name+`"`)
	missing := b.open(t, "/clusters/nowhere")
	require.Equal(t, http.StatusNotFound, missing.status)
	require.Contains(t, missing.text, "There is no TargetCluster nowhere")
}

func TestThePageOfResourcesFollowsClustersThatHaveNotAnswered(t *testing.T) {
	t.Parallel()
	s := newFleet(t)
	answers := make(chan struct{})
	s.two.Instead(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-answers:
			w.WriteHeader(http.StatusTooManyRequests)
		case <-r.Context().Done():
		}
	})
	b, path := s.browser(t, ""), "/resources?clusters="+s.name("one")+"%2C"+s.name("two")
	shown := b.signIn(t, s.everybody(t), path)
	live := regexp.MustCompile(`data-live="([^"]+)"`).FindStringSubmatch(shown.text)
	require.NotNil(t, live, "cluster two has not answered")
	close(answers)
	stream := b.open(t, html.UnescapeString(live[1]))
	require.Equal(t, "text/event-stream", stream.header.Get("Content-Type"), stream.text)
	require.Contains(t, stream.text, "event: part")
	require.Contains(t, stream.text, s.name("two"))
	require.Contains(t, stream.text, "event: end")
	s.two.Instead(nil)
	require.Eventually(t, func() bool { return !strings.Contains(b.open(t, path).text, "data-live") }, patience, look, "both have answered")
	require.Equal(t, http.StatusNotFound, b.open(t, "/live/clusters").status, "no other path of the API is passed on")
}
