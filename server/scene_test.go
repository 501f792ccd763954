package server_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	"github.com/stretchr/testify/require"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/config"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/trigger"
	"github.com/penstock-cd/penstock/server"
	"github.com/penstock-cd/penstock/server/cert"
	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/given"
)

const (
	patience = 30 * time.Second
	look     = 20 * time.Millisecond
)

// scene is a server before a real database and a real API server, where it has exactly the
// rights of config/server.
type scene struct {
	t       testing.TB
	kube    *kubernetes.Clientset
	rows    *store.Store // reads and writes, as the controller does
	address string
	hooks   string // where webhooks are received
	roots   *x509.CertPool
	client  *http.Client
	log     *lines
	stop    func()
}

// lines are what the server logs.
type lines struct {
	mu  sync.Mutex
	all []string
}

func (l *lines) add(_, line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, line)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	text, _ := json.Marshal(l.all)
	return string(text)
}

// options say how a scene differs from the usual one.
type options struct {
	// databaseURL defaults to a migrated database of the scene alone.
	databaseURL string
	environ     map[string]string
	unready     bool
	drain       time.Duration
}

// install gives the server its rights, once for all scenes.
var install = sync.OnceValue(func() error { return local.InstallServer(context.Background()) })

// newScene starts a server and waits until it is ready.
func newScene(t testing.TB, o options) *scene {
	t.Helper()
	require.NoError(t, install())
	kube, err := kubernetes.NewForConfig(local.Config)
	require.NoError(t, err)
	s := &scene{t: t, kube: kube, log: &lines{}}
	if o.databaseURL == "" {
		o.databaseURL = local.NewDatabase(t)
		s.rows = openRows(t, o.databaseURL)
	}
	s.start(o)
	s.trust()
	if !o.unready {
		s.awaitReady()
	}
	return s
}

// openRows migrates a database and returns what writes to it.
func openRows(t testing.TB, url string) *store.Store {
	t.Helper()
	config := store.Config{URL: url, Schema: "penstock", MaxConns: 4}
	require.NoError(t, store.Migrate(t.Context(), config))
	rows, err := store.Open(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(rows.Close)
	return rows
}

func (s *scene) start(o options) {
	s.t.Helper()
	environ := map[string]string{
		"DATABASE_URL": o.databaseURL, "DATABASE_MAX_CONNS": "4", "SERVER_BIND_ADDRESS": "127.0.0.1:0", "METRICS_BIND_ADDRESS": "0", "WEBHOOK_BIND_ADDRESS": "127.0.0.1:0", "SHUTDOWN_GRACE_PERIOD": "5s",
	}
	for name, value := range o.environ {
		environ[name] = value
	}
	settings, _, err := config.Load(environ)
	require.NoError(s.t, err)
	database, err := store.Open(s.t.Context(), store.Config{
		URL: o.databaseURL, Schema: "penstock", MaxConns: int32(settings.DatabaseMaxConns), ReadOnly: true,
	})
	require.NoError(s.t, err)
	answering, err := server.New(server.Config{
		Settings: settings, Namespace: env.ControllerNamespace, Cluster: local.ConfigFor(env.PenstockServer), Rows: database, Version: "test", Drain: o.drain,
		Log: funcr.New(s.log.add, funcr.Options{}),
	})
	require.NoError(s.t, err)
	s.address, s.hooks = answering.Address(), answering.HooksAddress()
	ctx, cancel := context.WithCancel(context.WithoutCancel(s.t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- answering.Run(ctx) }()
	s.stop = sync.OnceFunc(func() {
		cancel()
		require.NoError(s.t, <-ended)
		database.Close()
	})
	s.t.Cleanup(s.stop)
}

// trust takes the CA from where the server publishes it.
func (s *scene) trust() {
	s.t.Helper()
	s.roots = x509.NewCertPool()
	require.Eventually(s.t, func() bool {
		published, err := s.kube.CoreV1().ConfigMaps(env.ControllerNamespace).Get(s.t.Context(), cert.ConfigMap, metav1.GetOptions{})
		return err == nil && s.roots.AppendCertsFromPEM([]byte(published.Data[cert.CAKey]))
	}, patience, look, s.log)
	s.client = s.newClient(nil)
}

// newClient returns a client that presents a certificate, where there is one.
func (s *scene) newClient(certificate *tls.Certificate) *http.Client {
	tlsConfig := &tls.Config{RootCAs: s.roots}
	if certificate != nil {
		tlsConfig.Certificates = []tls.Certificate{*certificate}
	}
	transport := &http.Transport{TLSClientConfig: tlsConfig, ForceAttemptHTTP2: true}
	s.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: patience}
}

func (s *scene) awaitReady() {
	s.t.Helper()
	require.Eventually(s.t, func() bool {
		response, err := s.client.Get("https://" + s.address + "/readyz")
		if err != nil {
			return false
		}
		defer func() { _ = response.Body.Close() }()
		return response.StatusCode == http.StatusOK
	}, patience, look, s.log)
}

// answer is what the server says.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// into decodes a good answer.
func (a answer) into(t testing.TB, out any) {
	t.Helper()
	require.Equal(t, http.StatusOK, a.status, string(a.body))
	require.Equal(t, "application/json", a.header.Get("Content-Type"))
	decoder := json.NewDecoder(bytes.NewReader(a.body))
	decoder.DisallowUnknownFields()
	require.NoError(t, decoder.Decode(out), string(a.body))
}

// detail is what a problem tells, which must be of a status.
func (a answer) detail(t testing.TB, status int) string {
	t.Helper()
	require.Equal(t, status, a.status, string(a.body))
	require.Equal(t, "application/problem+json", a.header.Get("Content-Type"))
	var told struct {
		Title, Detail string
		Status        int
	}
	require.NoError(t, json.Unmarshal(a.body, &told))
	require.Equal(t, status, told.Status)
	require.Equal(t, http.StatusText(status), told.Title)
	return told.Detail
}

// get asks for a path with a token; headers are pairs of name and value.
func (s *scene) get(t testing.TB, token, path string, headers ...string) answer {
	t.Helper()
	if token != "" {
		headers = append(headers, "Authorization", "Bearer "+token)
	}
	return s.send(t, s.client, http.MethodGet, path, nil, headers...)
}

func (s *scene) send(t testing.TB, client *http.Client, method, path string, body io.Reader, headers ...string) answer {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, "https://"+s.address+path, body)
	require.NoError(t, err)
	for i := 0; i < len(headers); i += 2 {
		request.Header.Add(headers[i], headers[i+1])
	}
	response, err := client.Do(request)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return answer{status: response.StatusCode, header: response.Header, body: text}
}

// token is one of a service account, for the API server unless it is for audiences.
func (s *scene) token(namespace, name string, audiences ...string) string {
	s.t.Helper()
	asked := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: audiences}}
	got, err := s.kube.CoreV1().ServiceAccounts(namespace).CreateToken(s.t.Context(), name, asked, metav1.CreateOptions{})
	require.NoError(s.t, err)
	return got.Status.Token
}

// person creates a service account in a namespace of its own, and returns that and its name.
func (s *scene) person(t testing.TB) (namespace, name string) {
	t.Helper()
	namespace = local.NewNamespace(t)
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "person"}}
	_, err := s.kube.CoreV1().ServiceAccounts(namespace).Create(t.Context(), account, metav1.CreateOptions{})
	require.NoError(t, err)
	return namespace, account.Name
}

// nobody returns the token of somebody who may do nothing.
func (s *scene) nobody(t testing.TB) string {
	t.Helper()
	namespace, name := s.person(t)
	return s.token(namespace, name)
}

// reader returns the token of somebody who may read these namespaces; none is all.
func (s *scene) reader(t testing.TB, namespaces ...string) string {
	t.Helper()
	home, name := s.person(t)
	s.bind(t, rbacv1.Subject{Kind: "ServiceAccount", Namespace: home, Name: name}, "penstock-reader", namespaces...)
	user := "system:serviceaccount:" + home + ":" + name
	for _, namespace := range append(namespaces, "")[:max(len(namespaces), 1)] {
		s.awaitRight(t, user, authorizationv1.ResourceAttributes{Group: v1alpha1.GroupVersion.Group, Verb: "list", Resource: "queue", Namespace: namespace})
	}
	return s.token(home, name)
}

// observer returns the token of somebody who may read the metrics.
func (s *scene) observer(t testing.TB) string {
	t.Helper()
	home, name := s.person(t)
	_, err := s.kube.RbacV1().ClusterRoles().Create(t.Context(), &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{Name: home},
		Rules:      []rbacv1.PolicyRule{{NonResourceURLs: []string{"/metrics"}, Verbs: []string{"get"}}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	s.bind(t, rbacv1.Subject{Kind: "ServiceAccount", Namespace: home, Name: name}, home)
	token := s.token(home, name)
	require.Eventually(t, func() bool { return s.get(t, token, "/metrics").status == http.StatusOK }, patience, 100*time.Millisecond)
	return token
}

// metric is the value of one of the server's that has no labels.
func (s *scene) metric(t testing.TB, observer, name string) float64 {
	t.Helper()
	for line := range strings.Lines(string(s.get(t, observer, "/metrics").body)) {
		if text, found := strings.CutPrefix(line, name+" "); found {
			value, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
			require.NoError(t, err)
			return value
		}
	}
	require.Fail(t, "the server has no metric "+name)
	return 0
}

// awaitShown waits until the server knows of a namespace in which somebody may read.
func (s *scene) awaitShown(t testing.TB, token string) {
	t.Helper()
	require.Eventually(t, func() bool { return s.get(t, token, "/api/v1/queue").status == http.StatusOK }, patience, 100*time.Millisecond)
}

// bind gives somebody a ClusterRole in these namespaces; none is all.
func (s *scene) bind(t testing.TB, subject rbacv1.Subject, role string, namespaces ...string) {
	t.Helper()
	ref := rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role}
	if len(namespaces) == 0 {
		_, err := s.kube.RbacV1().ClusterRoleBindings().Create(t.Context(), &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}, RoleRef: ref, Subjects: []rbacv1.Subject{subject},
		}, metav1.CreateOptions{})
		require.NoError(t, err)
	}
	for _, namespace := range namespaces {
		_, err := s.kube.RbacV1().RoleBindings(namespace).Create(t.Context(), &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}, RoleRef: ref, Subjects: []rbacv1.Subject{subject},
		}, metav1.CreateOptions{})
		require.NoError(t, err)
	}
}

// awaitRight waits until the API server knows of a binding.
func (s *scene) awaitRight(t testing.TB, user string, what authorizationv1.ResourceAttributes) {
	t.Helper()
	require.Eventually(t, func() bool {
		review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{User: user, ResourceAttributes: &what}}
		answered, err := s.kube.AuthorizationV1().SubjectAccessReviews().Create(t.Context(), review, metav1.CreateOptions{})
		return err == nil && answered.Status.Allowed
	}, patience, look)
}

// family is the pipelines that plan plans below given.CI, of the application shop.
func family(namespace string, names ...string) given.Family {
	var all given.Family
	for _, name := range names {
		all = append(all, *given.CdPipeline(name, given.InNamespace(namespace), func(p *v1alpha1.CdPipeline) {
			p.UID = given.UID(namespace + "/" + name)
			p.Spec.Application, p.Spec.Environment = "shop", "staging"
		}))
	}
	return all
}

// plan writes what the controller writes for a build that has succeeded.
func (s *scene) plan(t testing.TB, namespace, name string, below given.Family) {
	t.Helper()
	build := given.Build(name)
	build.UID, build.Namespace = string(given.UID(namespace+"/"+name)), namespace
	ci := given.CiPipeline(given.CI)
	require.NoError(t, s.rows.MirrorCiPipelines(t.Context(), []store.MirroredCiPipeline{
		{UID: string(given.UID(namespace + "/ci")), Namespace: namespace, Name: given.CI, Application: "shop", SpecHash: "1"},
	}))
	var mirrored []store.MirroredCdPipeline
	for i := range below {
		mirrored = append(mirrored, store.MirroredCdPipeline{
			UID: string(below[i].UID), Namespace: namespace, Name: below[i].Name, Application: trigger.Application(&below[i]), Environment: below[i].Spec.Environment,
			ParentKind: string(below[i].Spec.ParentRef.Kind), ParentName: below[i].Spec.ParentRef.Name, SpecHash: "1", Suspended: below[i].Spec.Suspend,
		})
	}
	require.NoError(t, s.rows.MirrorCdPipelines(t.Context(), mirrored))
	require.NoError(t, s.rows.MirrorBuilds(t.Context(), []store.MirroredBuild{{
		UID: build.UID, Namespace: namespace, Name: name, CiPipeline: given.CI, Revision: build.Revision, Cause: build.Cause,
		Phase: string(build.Phase), SpecHash: "1", CreatedAt: time.Date(2024, 5, 17, 12, 0, 0, 0, time.UTC),
	}}))
	filters, err := trigger.NewFilters()
	require.NoError(t, err)
	decisions := trigger.Decider{Filters: filters}.Build(build, ci, given.Artifacts(1), below)
	done, err := s.rows.Plan(t.Context(), store.BuildPlan{Build: build, Artifacts: given.Artifacts(1), Decisions: decisions})
	require.NoError(t, err)
	require.True(t, done)
}

// submit has every task in the queue submitted.
func (s *scene) submit(t testing.TB) {
	t.Helper()
	claims, err := s.rows.Claim(t.Context(), store.Lane{Kind: store.KindCd}, "w", 1000, time.Hour)
	require.NoError(t, err)
	completions := make([]store.Completion, len(claims))
	for i, claim := range claims {
		completions[i] = store.Completion{ID: claim.ID, Attempt: claim.Attempt, Status: store.StatusSubmitted, WorkflowUID: "uid of " + claim.WorkflowName}
	}
	_, err = s.rows.Complete(t.Context(), "w", completions)
	require.NoError(t, err)
}
