package lookup_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/controllers/lookup"
	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/given"
)

// counting is an API server that counts what it is asked and how many objects it answers with.
type counting struct {
	client.Reader
	mu                sync.Mutex
	requests, objects int
	largest           int64 // the limit that was asked for; 0 where there was none
}

func (c *counting) List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	err := c.Reader.List(ctx, list, options...)
	asked := client.ListOptions{}
	asked.ApplyOptions(options)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests++
	c.objects += len(list.(*v1alpha1.CdPipelineList).Items)
	c.largest = max(c.largest, asked.Limit)
	return err
}

// pairs creates so many chains of two pipelines, up-000 and down-000 on.
func pairs(t *testing.T, n int) (namespace string, live client.Client) {
	t.Helper()
	live, err := local.NewClient(env.Admin)
	require.NoError(t, err)
	namespace = local.NewNamespace(t)
	for i := range n {
		for _, pipeline := range []*v1alpha1.CdPipeline{
			given.CdPipeline(fmt.Sprintf("up-%03d", i)),
			given.CdPipeline(fmt.Sprintf("down-%03d", i), given.BelowCd(fmt.Sprintf("up-%03d", i))),
		} {
			pipeline.Namespace = namespace
			require.NoError(t, live.Create(t.Context(), pipeline))
		}
	}
	return namespace, live
}

func TestWhatHangsBelowPipelinesIsReadAndLittleElse(t *testing.T) {
	t.Parallel()
	const chains = 40
	namespace, live := pairs(t, chains)
	for sentence, tc := range map[string]struct {
		parents           int
		requests, objects int
		limit             int64
	}{
		"one parent costs one request and its child":                          {parents: 1, requests: 1, objects: 1},
		"a few are asked for one by one":                                      {parents: 8, requests: 8, objects: 8},
		"for many the chained ones are read in pages, and no other pipelines": {parents: 30, requests: 1, objects: chains, limit: 500},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			server := &counting{Reader: live}
			var parents []string
			for i := range tc.parents {
				parents = append(parents, fmt.Sprintf("up-%03d", i))
			}
			children := lookup.BelowEach(t.Context(), server, namespace, append(parents, parents[0]))
			require.Len(t, children, tc.parents, "what is below others is not kept")
			for i, parent := range parents {
				require.NoError(t, children[parent].Err)
				require.Equal(t, []string{fmt.Sprintf("down-%03d", i)}, names(children[parent].Value))
				if tc.limit == 0 {
					require.Empty(t, children[parent].Value[0].ManagedFields, "nobody reads them")
				}
			}
			require.Equal(t, tc.requests, server.requests)
			require.Equal(t, tc.objects, server.objects)
			require.Equal(t, tc.limit, server.largest)
		})
	}
}

// paged is an API server whose pages have three pipelines.
type paged struct{ client.Reader }

func (p paged) List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	return p.Reader.List(ctx, list, append(options, client.Limit(3))...)
}

func TestEveryPageOfANamespaceIsRead(t *testing.T) {
	t.Parallel()
	const chains = 10
	namespace, live := pairs(t, chains)
	server := &counting{Reader: paged{live}}
	parents := []string{"nobody"}
	for i := range chains {
		parents = append(parents, fmt.Sprintf("up-%03d", i))
	}
	children := lookup.BelowEach(t.Context(), server, namespace, parents)
	require.Equal(t, 4, server.requests)
	require.Len(t, children, chains+1)
	require.Equal(t, lookup.Listed{}, children["nobody"], "a parent without children has an empty list and no error")
	require.Equal(t, []string{"down-009"}, names(children["up-009"].Value))
}

// silent is an API server that answers no list of what is below one parent, or none at all.
type silent struct {
	client.Reader
	parent string
}

var errSilent = errors.New("no answer")

func (s silent) List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	asked := client.ListOptions{}
	asked.ApplyOptions(options)
	if s.parent == "" || strings.Contains(asked.FieldSelector.String(), "spec.parentRef.name="+s.parent) {
		return errSilent
	}
	return s.Reader.List(ctx, list, options...)
}

func TestWhatIsBelowIsNotKnownWhereTheAPIServerFails(t *testing.T) {
	t.Parallel()
	for _, parents := range [][]string{{"a"}, {"a", "b", "c", "d", "e", "f", "g", "h", "i"}} {
		children := lookup.BelowEach(t.Context(), silent{}, "namespace", parents)
		require.Len(t, children, len(parents))
		for _, parent := range parents {
			require.ErrorIs(t, children[parent].Err, errSilent)
		}
	}
}

func TestAParentOfWhichNothingIsToldCostsTheOthersNothing(t *testing.T) {
	t.Parallel()
	namespace, live := pairs(t, 3)
	children := lookup.BelowEach(t.Context(), silent{live, "up-001"}, namespace, []string{"up-000", "up-001", "up-002"})
	require.ErrorIs(t, children["up-001"].Err, errSilent)
	require.Equal(t, []string{"down-000"}, names(children["up-000"].Value))
	require.Equal(t, []string{"down-002"}, names(children["up-002"].Value))
}
