package lookup_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/controllers/lookup"
	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/given"
)

const patience = 10 * time.Second

// scene is a namespace, and a cache of all.
type scene struct {
	t         *testing.T
	namespace string
	cluster   client.Client
	cache     cache.Cache
}

// newScene creates the objects in a namespace of their own, and waits until the cache
// shows the last of each kind.
func newScene(t *testing.T, objects ...client.Object) *scene {
	t.Helper()
	cluster, err := local.NewClient(env.Admin)
	require.NoError(t, err)
	s := &scene{t: t, namespace: local.NewNamespace(t), cluster: cluster, cache: local.NewCache(t, lookup.AddIndexes)}
	s.create(s.namespace, objects...)
	for _, object := range objects {
		require.EventuallyWithT(t, func(c *assert.CollectT) {
			require.NoError(c, s.cache.Get(t.Context(), client.ObjectKeyFromObject(object), object))
		}, patience, 10*time.Millisecond)
	}
	return s
}

func (s *scene) create(namespace string, objects ...client.Object) {
	s.t.Helper()
	for _, object := range objects {
		object.SetNamespace(namespace)
		require.NoError(s.t, s.cluster.Create(s.t.Context(), object))
	}
}

// names are those of pipelines, sorted.
func names(pipelines []v1alpha1.CdPipeline) []string {
	found := []string{}
	for _, pipeline := range pipelines {
		found = append(found, pipeline.Name)
	}
	slices.Sort(found)
	return found
}

func TestChildrenAreThoseThatNameTheParentInItsNamespace(t *testing.T) {
	t.Parallel()
	s := newScene(t,
		given.CdPipeline("a"), given.CdPipeline("b"), given.CdPipeline("elsewhere", given.BelowCi("other")),
		given.CdPipeline("below", given.BelowCd("a")),
		given.CdPipeline("namesake", given.BelowCd(given.CI)), // a CdPipeline that is called as the CiPipeline
	)
	s.create(local.NewNamespace(t), given.CdPipeline("a"), given.CdPipeline("stranger"))
	for sentence, tc := range map[string]struct {
		kind v1alpha1.ParentKind
		name string
		want []string
	}{
		"of a CiPipeline":                  {v1alpha1.ParentCiPipeline, given.CI, []string{"a", "b"}},
		"of a CdPipeline":                  {v1alpha1.ParentCdPipeline, "a", []string{"below"}},
		"of a CdPipeline of the same name": {v1alpha1.ParentCdPipeline, given.CI, []string{"namesake"}},
		"of nobody":                        {v1alpha1.ParentCdPipeline, "below", []string{}},
	} {
		children, err := lookup.Children(t.Context(), s.cache, s.namespace, tc.kind, tc.name)
		require.NoError(t, err, sentence)
		require.Equal(t, tc.want, names(children), sentence)
		family := lookup.NewFamily(t.Context(), s.cache, s.namespace)
		require.Equal(t, tc.want, names(family.Of(tc.kind, tc.name)), sentence)
		require.NoError(t, family.Err, sentence)
	}
}

func TestAChildThatIsHungElsewhereIsFoundThere(t *testing.T) {
	t.Parallel()
	child := given.CdPipeline("web")
	s := newScene(t, child)
	given.BelowCi("other")(child)
	require.NoError(t, s.cluster.Update(t.Context(), child))
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		family := lookup.NewFamily(t.Context(), s.cache, s.namespace)
		require.Empty(c, family.Of(v1alpha1.ParentCiPipeline, given.CI))
		require.Equal(c, []string{"web"}, names(family.Of(v1alpha1.ParentCiPipeline, "other")))
	}, patience, 10*time.Millisecond)
}

func TestBuildsAreThoseOfTheCiPipelineThatAreKept(t *testing.T) {
	t.Parallel()
	s := newScene(t, given.CiBuild("b1"), given.CiBuild("b2"), given.CiBuild("other", given.BuildOf("other")))
	s.create(local.NewNamespace(t), given.CiBuild("b1"))
	of := types.NamespacedName{Namespace: s.namespace, Name: given.CI}
	all, err := lookup.Builds(t.Context(), s.cache, of, func(*v1alpha1.CiBuild) bool { return true })
	require.NoError(t, err)
	require.ElementsMatch(t, []types.NamespacedName{{Namespace: s.namespace, Name: "b1"}, {Namespace: s.namespace, Name: "b2"}}, all)
	some, err := lookup.Builds(t.Context(), s.cache, of, func(b *v1alpha1.CiBuild) bool { return b.Name == "b2" })
	require.NoError(t, err)
	require.Equal(t, []types.NamespacedName{{Namespace: s.namespace, Name: "b2"}}, some)
}

func TestAFamilyFindsParentsByName(t *testing.T) {
	t.Parallel()
	s := newScene(t, given.CdPipeline("web"), given.CiPipeline(given.CI))
	family := lookup.NewFamily(t.Context(), s.cache, s.namespace)
	require.Equal(t, "web", family.CdPipeline("web").Name)
	require.Nil(t, family.CdPipeline("gone"))
	require.True(t, family.HasCiPipeline(given.CI))
	require.False(t, family.HasCiPipeline("web"), "a CdPipeline is no CiPipeline")
	require.NoError(t, family.Err, "not to be there is no error")
	require.Nil(t, lookup.NewFamily(t.Context(), s.cache, "elsewhere").CdPipeline("web"))
}

// A decision that takes a cache's failure for the absence of children would lose them.
func TestAFailureOfTheCacheIsKept(t *testing.T) {
	t.Parallel()
	cluster, err := local.NewClient(env.Admin)
	require.NoError(t, err)
	notStarted, err := cache.New(local.Config, cache.Options{Scheme: cluster.Scheme()})
	require.NoError(t, err)
	require.NoError(t, lookup.AddIndexes(t.Context(), notStarted))
	var want *cache.ErrCacheNotStarted
	for sentence, ask := range map[string]func(*lookup.Family){
		"for children":     func(f *lookup.Family) { f.Of(v1alpha1.ParentCiPipeline, given.CI) },
		"for a CdPipeline": func(f *lookup.Family) { f.CdPipeline("web") },
		"for a CiPipeline": func(f *lookup.Family) { f.HasCiPipeline(given.CI) },
	} {
		family := lookup.NewFamily(t.Context(), notStarted, given.Namespace)
		ask(family)
		require.ErrorAs(t, family.Err, &want, sentence)
	}
	_, err = lookup.Builds(t.Context(), notStarted, types.NamespacedName{}, nil)
	require.ErrorAs(t, err, &want)
}
