package server_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/server/rights"
	"github.com/penstock-cd/penstock/test/env/fault"
)

// paths are every endpoint about one namespace.
func paths(namespace string) []string {
	base := "/api/v1/namespaces/" + namespace
	return []string{
		base + "/applications", base + "/applications/shop/status", base + "/builds", base + "/builds/b1", base + "/pipelines/web/runs", base + "/runs/1",
		base + "/builds/b1/explanation", base + "/pipelines/web/explanation", base + "/runs/1/explanation",
		"/api/v1/queue?namespace=" + namespace, "/api/v1/events?namespace=" + namespace,
	}
}

func TestAUserSeesTheNamespacesThatTheyMayRead(t *testing.T) {
	t.Parallel()
	s := newScene(t, options{})
	mine, theirs := local.NewNamespace(t), local.NewNamespace(t)
	s.plan(t, mine, "b1", family(mine, "web"))
	s.plan(t, theirs, "b1", family(theirs, "web", "api"))
	all, one, none := s.reader(t), s.reader(t, mine), s.nobody(t)

	for _, path := range paths(mine) {
		require.Equal(t, http.StatusOK, s.get(t, one, path).status, path)
		require.Contains(t, s.get(t, none, path).detail(t, http.StatusForbidden), "in namespace "+mine, path)
	}
	for _, path := range paths(theirs) {
		require.Contains(t, s.get(t, one, path).detail(t, http.StatusForbidden), "in namespace "+theirs, path)
	}
	require.Equal(t, http.StatusNotFound, s.get(t, one, "/api/v1/namespaces/"+mine+"/runs/2").status, "a run of another namespace is not found")

	for _, path := range []string{"/api/v1/queue", "/api/v1/events"} {
		require.Contains(t, s.get(t, none, path).detail(t, http.StatusForbidden), "may not list", path)
		require.Contains(t, s.get(t, one, path+"?namespace="+mine+","+theirs).detail(t, http.StatusForbidden), theirs, path)
	}
	s.awaitShown(t, one)
	var queue rest.Queue
	s.get(t, one, "/api/v1/queue").into(t, &queue)
	require.Len(t, queue.Items, 1)
	require.EqualValues(t, 1, queue.Counts.Pending)
	require.Equal(t, mine, queue.Items[0].Namespace)
	s.get(t, all, "/api/v1/queue").into(t, &queue)
	require.Len(t, queue.Items, 3)
	s.settled(t, one, mine)
	var events rest.EventList
	s.get(t, one, "/api/v1/events").into(t, &events)
	require.NotEmpty(t, events.Items)
	for _, event := range events.Items {
		require.Equal(t, mine, event.Namespace)
	}
	require.Contains(t, s.log.String(), "request refused")
	require.Contains(t, s.log.String(), `\"status\"=403`)
}

// endpoint is one of the document, with what it needs to be asked for.
type endpoint struct{ method, path, body string }

// endpoints are all of the document, about the namespace default, and about every namespace
// where one need not be named: a new one is tested without being named here.
func (s *scene) endpoints(t *testing.T) (all []endpoint) {
	t.Helper()
	var document struct{ Paths map[string]map[string]any }
	require.NoError(t, json.Unmarshal(s.get(t, "", "/openapi.json").body, &document))
	names := strings.NewReplacer("{namespace}", "default", "{application}", "shop", "{name}", "web", "{id}", "1", "{number}", "0", "{key}", "KUBE_API_QPS")
	for path, methods := range document.Paths {
		for method := range methods {
			one := endpoint{method: strings.ToUpper(method), path: names.Replace(path)}
			switch path {
			case "/api/v1/applications", "/api/v1/queue", "/api/v1/events", "/api/v1/waves":
				all = append(all, one) // about every namespace
				one.path += "?namespace=default"
			case "/api/v1/clusters/resources":
				one.path += "?kinds=pods"
				all = append(all, one)
				one.path += "&namespace=default"
			case "/api/v1/resources:batchGet":
				one.body = `{"references":[{"cluster":"eu","kind":"pods","namespace":"default","name":"web"}]}`
			case "/api/v1/namespaces/{namespace}/notifications/test":
				one.body = `{"channel":"ops"}`
			case "/api/v1/namespaces/{namespace}/runrequests":
				one.body = `{"spec":{"action":"Rollback","pipelineRef":{"name":"web"}}}`
			case "/api/v1/namespaces/{namespace}/pipelines/{name}/hold":
				if method == "post" {
					one.body = `{"hold":true}`
				}
			case "/api/v1/settings/{key}":
				if method == "post" {
					one.body = `{"value":"100"}`
				}
			case "/api/v1/namespaces/{namespace}/notifications/preview":
				one.body = `{"policy":{"on":["RunFailed"],"channels":["ops"]},"build":"web"}`
			}
			require.NotContains(t, one.path, "{", "the test gives every name a value")
			all = append(all, one)
		}
	}
	return all
}

func (s *scene) ask(t *testing.T, one endpoint, token string) answer {
	t.Helper()
	headers := []string{"Content-Type", "application/json"}
	if token != "" {
		headers = append(headers, "Authorization", "Bearer "+token)
	}
	return s.send(t, s.client, one.method, one.path, strings.NewReader(one.body), headers...)
}

// No row is read for who is refused: a database that hangs delays no refusal. That no
// cluster is contacted is tested beside the clusters.
func TestEveryEndpointRefusesWithoutTheDatabase(t *testing.T) {
	t.Parallel()
	s, proxy := newProxied(t)
	all := s.endpoints(t)
	require.GreaterOrEqual(t, len(all), 26)
	none, mine := s.nobody(t), local.NewNamespace(t)
	s.plan(t, mine, "b1", family(mine, "web"))
	reader := s.reader(t, mine)
	s.awaitShown(t, reader)
	s.awaitClusters(t)
	proxy.Stall()
	for _, one := range all {
		require.Contains(t, s.ask(t, one, none).detail(t, http.StatusForbidden), "may not", one.path)
		require.Equal(t, http.StatusUnauthorized, s.ask(t, one, "").status, one.path)
	}
	for _, path := range append(paths("default"), "/api/v1/queue", "/api/v1/events") {
		if !strings.HasSuffix(path, "/applications") && !strings.HasSuffix(path, "/explanation") {
			require.Equal(t, http.StatusForbidden, s.get(t, none, path+sign(path)+"watch=true").status, path)
		}
	}
	require.Contains(t, s.get(t, reader, "/api/v1/queue").detail(t, http.StatusServiceUnavailable), "does not answer", "who has a right learns why there is no answer")
	proxy.Resume()
}

// What is asked of the database meanwhile is what the server asks at intervals, whoever asks it.
func TestARefusalSendsNoQuery(t *testing.T) {
	t.Parallel()
	s, proxy := newProxied(t)
	all, mine := s.endpoints(t), local.NewNamespace(t)
	nobodies := []string{s.nobody(t), s.nobody(t), s.nobody(t)} // one user may not ask for all of it three times at once
	s.plan(t, mine, "b1", family(mine, "web"))
	s.awaitShown(t, s.reader(t, mine))
	s.awaitClusters(t)
	var mu sync.Mutex
	asked := map[string]int{}
	proxy.Judge(func(exchange fault.Exchange) fault.Fate {
		mu.Lock()
		defer mu.Unlock()
		asked[exchange.Name()]++
		return fault.Deliver
	})
	began := time.Now()
	for _, none := range nobodies {
		for _, one := range all {
			require.Equal(t, http.StatusForbidden, s.ask(t, one, none).status, one.path)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	for query, interval := range map[string]time.Duration{"ViewNamespaces": 2 * time.Second, "ViewEventsAfter": 250 * time.Millisecond} {
		require.LessOrEqual(t, asked[query], 1+int(time.Since(began)/interval), query)
		delete(asked, query)
	}
	const ping = ""
	delete(asked, ping)
	require.Empty(t, asked)
}

// newProxied returns a scene whose server reaches the database through a proxy, and whose
// rows do not.
func newProxied(t *testing.T) (*scene, *fault.Postgres) {
	t.Helper()
	url := local.NewDatabase(t)
	rows := openRows(t, url)
	proxy, err := fault.NewPostgres(url)
	require.NoError(t, err)
	t.Cleanup(proxy.Close)
	s := newScene(t, options{databaseURL: proxy.URL})
	s.rows = rows
	return s, proxy
}

// awaitClusters waits until the TargetClusters were read once: what is about them is 503
// until then.
func (s *scene) awaitClusters(t *testing.T) {
	t.Helper()
	token := s.nobody(t)
	require.Eventually(t, func() bool {
		return s.get(t, token, "/api/v1/clusters/resources?kinds=pods").status != http.StatusServiceUnavailable
	}, patience, 100*time.Millisecond)
}

func sign(path string) string {
	if strings.Contains(path, "?") {
		return "&"
	}
	return "?"
}

func TestMetricsNeedTheRightToThePath(t *testing.T) {
	t.Parallel()
	s := newScene(t, options{})
	require.Contains(t, s.get(t, s.nobody(t), "/metrics").detail(t, http.StatusForbidden), "nonResourceURLs")
	require.Zero(t, s.metric(t, s.observer(t), "penstock_server_streams"))
}

// grants are the rules of the ClusterRoles that users may be bound to, by name.
func grants(t *testing.T) map[string][]rbacv1.PolicyRule {
	t.Helper()
	rules := map[string][]rbacv1.PolicyRule{}
	for _, file := range []string{"server/people.yaml", "admission/people.yaml"} {
		text, err := os.ReadFile(filepath.Join("..", "config", file))
		require.NoError(t, err)
		for document := range strings.SplitSeq(string(text), "\n---\n") {
			var role rbacv1.ClusterRole
			require.NoError(t, yaml.Unmarshal([]byte(document), &role))
			rules[role.Name] = append(rules[role.Name], role.Rules...)
		}
	}
	return rules
}

func TestARefusalNamesARoleThatGrantsTheRight(t *testing.T) {
	t.Parallel()
	granted := grants(t)
	for _, right := range []string{
		"list runs", "list decisions", "watch events", "list queue", "list cibuilds", "list notifications", "list baseimages/waves", "list receivers/deliveries",
		"create notifications", "update notifications", "create runrequests", "get receivers/deliveries", "update receivers/deliveries",
		"trigger cdpipelines", "retry cdpipelines", "cancel cdpipelines", "rollback cdpipelines", "resume cdpipelines", "retry cibuilds", "cancel cibuilds",
		"resume baseimages", "cancel baseimages", "resume targetclusters", "cancel targetclusters", "list targetclusters", "get targetclusters/resources",
	} {
		verb, what, _ := strings.Cut(right, " ")
		resource, subresource, _ := strings.Cut(what, "/")
		refused := &rights.RefusedError{Need: rights.Need{Verb: verb, Resource: resource, Subresource: subresource, Namespace: "shop"}}
		named := regexp.MustCompile(`ClusterRole (\S+) has it`).FindStringSubmatch(refused.Error())
		require.Len(t, named, 2, right)
		require.True(t, slices.ContainsFunc(granted[named[1]], func(rule rbacv1.PolicyRule) bool {
			return slices.Contains(rule.Verbs, verb) && slices.Contains(rule.Resources, what)
		}), "%s does not grant %s", named[1], right)
	}
}
