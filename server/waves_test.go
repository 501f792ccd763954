package server_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/api/v1alpha1"
)

// waveItem is one CiPipeline in a wave that a test writes.
type waveItem struct{ namespace, pipeline, state string }

// waved writes a wave of a base image as the controller does; the last one is the newest.
func (s *scene) waved(t testing.TB, namespace, image string, number int64, state v1alpha1.WaveState, items ...waveItem) {
	t.Helper()
	pool, uid := s.rows.Pool(), namespace+"/"+image
	_, err := pool.Exec(t.Context(), `
		INSERT INTO base_image (image_uid, namespace, name, image, repository, tag, digest, wave) VALUES ($1, $2, $3, 'example.org/'||$3||':1', 'example.org/'||$3, '1', 'sha256:2', $4)
		ON CONFLICT (image_uid) DO UPDATE SET wave = EXCLUDED.wave`, uid, namespace, image, number)
	require.NoError(t, err)
	_, err = pool.Exec(t.Context(), `
		INSERT INTO wave (image_uid, number, digest, state, message, ended_at) VALUES ($1, $2, 'sha256:2', $3, 'because', CASE WHEN $3 IN ('Running', 'Stopped') THEN NULL ELSE now() END)`,
		uid, number, string(state))
	require.NoError(t, err)
	for _, item := range items {
		_, err = pool.Exec(t.Context(), `
			INSERT INTO wave_item (image_uid, number, pipeline_uid, namespace, pipeline, build_name, state, message, ended_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, 'said of '||$5, CASE WHEN $7 IN ('Succeeded', 'Failed', 'Skipped') THEN now() END)`,
			uid, number, item.namespace+"/"+item.pipeline, item.namespace, item.pipeline, fmt.Sprintf("%s-w%d", item.pipeline, number), item.state)
		require.NoError(t, err)
	}
}

func TestListWaves(t *testing.T) {
	t.Parallel()
	s := newScene(t, options{})
	mine, theirs := local.NewNamespace(t), local.NewNamespace(t)
	token, all := s.reader(t, mine), s.reader(t)
	s.waved(t, mine, "java", 1, v1alpha1.WaveFailed, waveItem{mine, "web", "Failed"})
	s.waved(t, mine, "java", 2, v1alpha1.WaveRunning,
		waveItem{mine, "api", "Succeeded"}, waveItem{mine, "web", "Building"}, waveItem{theirs, "db", "Pending"}, waveItem{theirs, "ui", "Deferred"}, waveItem{theirs, "old", "Skipped"})
	s.waved(t, mine, "node", 1, v1alpha1.WaveStopped, waveItem{mine, "ui", "Failed"})
	s.waved(t, theirs, "java", 1, v1alpha1.WaveSucceeded)
	s.waved(t, mine, "gone", 1, v1alpha1.WaveSucceeded)
	_, err := s.rows.Pool().Exec(t.Context(), `UPDATE base_image SET deleted_at = now() WHERE name = 'gone'`)
	require.NoError(t, err)
	list := func(token, query string) (got []string, answer rest.WaveList) {
		s.get(t, token, "/api/v1/waves"+query).into(t, &answer)
		for _, wave := range answer.Items {
			got = append(got, fmt.Sprintf("%s %d %s", wave.BaseImage, wave.Number, wave.State))
		}
		return got, answer
	}

	got, newest := list(token, "?namespace="+mine)
	require.Equal(t, []string{"java 2 Running", "node 1 Stopped"}, got, "the newest of each that exists")
	require.Empty(t, newest.Next)
	java := newest.Items[0]
	require.Equal(t, [6]int64{5, 2, 1, 1, 0, 1}, [6]int64{java.Total, java.Pending, java.Running, java.Succeeded, java.Failed, java.Skipped})
	require.Equal(t, []string{mine, "example.org/java:1", "sha256:2", "because"}, []string{java.Namespace, java.Image, java.Digest, java.Message})
	require.False(t, java.StartedAt.IsZero())
	require.Nil(t, java.EndedAt)

	got, _ = list(token, "?history=true&namespace="+mine)
	require.Equal(t, []string{"java 2 Running", "java 1 Failed", "node 1 Stopped"}, got)
	got, _ = list(token, "?history=true&state=Failed&namespace="+mine)
	require.Equal(t, []string{"java 1 Failed"}, got)
	got, _ = list(token, "?baseImage=node&namespace="+mine)
	require.Equal(t, []string{"node 1 Stopped"}, got)
	var paged []string
	for next := ""; ; {
		page, answer := list(token, "?history=true&limit=1&namespace="+mine+"&cursor="+next)
		paged = append(paged, page...)
		if next = answer.Next; next == "" {
			break
		}
	}
	require.Equal(t, []string{"java 2 Running", "java 1 Failed", "node 1 Stopped"}, paged)
	_, first := list(token, "?limit=1&namespace="+mine)
	require.Contains(t, s.get(t, token, "/api/v1/waves?history=true&namespace="+mine+"&cursor="+first.Next).detail(t, http.StatusBadRequest), "another query")

	require.Eventually(t, func() bool { return s.get(t, token, "/api/v1/waves").status == http.StatusOK }, patience, 200*time.Millisecond, "a namespace that has base images alone")
	got, _ = list(token, "")
	require.Equal(t, []string{"java 2 Running", "node 1 Stopped"}, got, "of the namespaces that they may read")
	got, _ = list(all, "")
	require.Len(t, got, 3)
	require.Contains(t, s.get(t, token, "/api/v1/waves?namespace="+theirs).detail(t, http.StatusForbidden), "may not list baseimages.penstock.dev in namespace "+theirs)
	require.Contains(t, s.get(t, s.nobody(t), "/api/v1/waves").detail(t, http.StatusForbidden), "may not list baseimages.penstock.dev")
}

func TestGetAWave(t *testing.T) {
	t.Parallel()
	s := newScene(t, options{})
	mine, theirs := local.NewNamespace(t), local.NewNamespace(t)
	token, all := s.reader(t, mine), s.reader(t)
	s.waved(t, mine, "java", 1, v1alpha1.WaveFailed, waveItem{mine, "web", "Failed"})
	s.waved(t, mine, "java", 2, v1alpha1.WaveStopped, waveItem{mine, "api", "Succeeded"}, waveItem{mine, "web", "Building"}, waveItem{theirs, "db", "Pending"})
	base := "/api/v1/namespaces/" + mine + "/baseimages/java/waves/"
	show := func(token, from string) (got []string, answer rest.WaveDetail) {
		s.get(t, token, base+from).into(t, &answer)
		for _, item := range answer.Items {
			got = append(got, item.Pipeline+" "+item.Build+" "+item.State+": "+item.Message)
		}
		return got, answer
	}
	require.Eventually(t, func() bool {
		_, answer := show(token, "0")
		return len(answer.Items) == 2
	}, patience, 200*time.Millisecond, "the server learns of the namespace")

	got, newest := show(token, "0")
	require.Equal(t, []string{"api api-w2 Succeeded: said of api", "web web-w2 Building: said of web"}, got)
	require.EqualValues(t, 1, newest.Hidden, "the builds of other namespaces are for those who may list them")
	require.EqualValues(t, 3, newest.Wave.Total)
	require.NotNil(t, newest.Items[0].EndedAt)
	require.Nil(t, newest.Items[1].EndedAt)
	got, _ = show(token, "1")
	require.Equal(t, []string{"web web-w1 Failed: said of web"}, got)
	got, _ = show(token, "0?state=Building")
	require.Equal(t, []string{"web web-w2 Building: said of web"}, got)
	got, whole := show(all, "2")
	require.Len(t, got, 3)
	require.Zero(t, whole.Hidden)

	_, first := show(all, "0?limit=1")
	require.Len(t, first.Items, 1)
	s.waved(t, mine, "java", 3, v1alpha1.WaveRunning)
	seen := first.Items
	for next := first.Next; next != ""; {
		_, page := show(all, "0?limit=1&cursor="+next)
		require.EqualValues(t, 2, page.Wave.Number, "the pages are those of the wave that they began with")
		seen, next = append(seen, page.Items...), page.Next
	}
	require.ElementsMatch(t, whole.Items, seen)

	require.Contains(t, s.get(t, token, base+"9").detail(t, http.StatusNotFound), "wave of BaseImage java in namespace "+mine)
	require.Contains(t, s.get(t, token, "/api/v1/namespaces/"+mine+"/baseimages/other/waves/0").detail(t, http.StatusNotFound), "not found")
	require.Contains(t, s.get(t, token, "/api/v1/namespaces/"+theirs+"/baseimages/java/waves/0").detail(t, http.StatusForbidden), "may not get baseimages.penstock.dev/waves of java in namespace "+theirs)
}

func TestWhoMayReadAWaveAndNoBuildsSeesItsFiguresAlone(t *testing.T) {
	t.Parallel()
	s := newScene(t, options{})
	namespace := local.NewNamespace(t)
	home, name := s.person(t)
	_, err := s.kube.RbacV1().Roles(namespace).Create(t.Context(), &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Name: "figures"},
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{v1alpha1.GroupVersion.Group}, Resources: []string{"baseimages/waves"}, Verbs: []string{"get"}}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	_, err = s.kube.RbacV1().RoleBindings(namespace).Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "figures"}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "figures"},
		Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: home, Name: name}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	s.awaitRight(t, "system:serviceaccount:"+home+":"+name, authorizationv1.ResourceAttributes{
		Group: v1alpha1.GroupVersion.Group, Verb: "get", Resource: "baseimages", Subresource: "waves", Namespace: namespace,
	})
	s.waved(t, namespace, "java", 1, v1alpha1.WaveRunning, waveItem{namespace, "web", "Building"})
	var detail rest.WaveDetail
	s.get(t, s.token(home, name), "/api/v1/namespaces/"+namespace+"/baseimages/java/waves/0").into(t, &detail)
	require.Empty(t, detail.Items)
	require.EqualValues(t, 1, detail.Hidden)
	require.EqualValues(t, 1, detail.Wave.Running)
}
