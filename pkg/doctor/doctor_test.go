package doctor

import (
	"context"
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-cd/penstock/api/v1alpha1"
)

func TestChecksDoNotWaitForEachOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		began := time.Now()
		findings := Run(t.Context(), 10*time.Second, []Check{
			{"deaf", func(context.Context) Finding { <-release; return Good("too late") }},
			{"quick", func(context.Context) Finding { return Good("well") }},
			{"broken", func(context.Context) Finding { panic("oh") }},
			{"bad", func(context.Context) Finding { return Bad("mend it", "it is %s", "bad") }},
		})
		require.Equal(t, 10*time.Second, time.Since(began))
		close(release)
		require.Equal(t, []Status{Warn, OK, Warn, Fail}, []Status{findings[0].Status, findings[1].Status, findings[2].Status, findings[3].Status})
		require.Equal(t, Finding{Check: "deaf", Status: Warn, Message: "no answer within 10s", Fix: "look whether the network lets this through"}, findings[0])
		require.Contains(t, findings[2].Message, "oh")
		require.True(t, Failed(findings))
		require.False(t, Failed(findings[:3]), "a warning is no failure")
	})
}

func TestWhoLeads(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	lease := func(holder string, age time.Duration) *coordinationv1.Lease {
		valid, at := int32(6), metav1.NewMicroTime(now.Add(-age))
		since := metav1.NewMicroTime(now.Add(-time.Hour))
		return &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: "ns"}, Spec: coordinationv1.LeaseSpec{HolderIdentity: &holder, LeaseDurationSeconds: &valid, RenewTime: &at, AcquireTime: &since}}
	}
	tests := map[string]struct {
		lease *coordinationv1.Lease
		want  Status
		says  string
	}{
		"a leader that renews":       {lease("a", time.Second), OK, "a leads, since 1h0m0s, and renewed the Lease 1s ago"},
		"a leader that is silent":    {lease("a", time.Minute), Fail, "nobody leads: a renewed the Lease 1m0s ago, which holds for 6s"},
		"a Lease that is given back": {lease("", time.Second), Fail, "nobody leads: the last leader has given the Lease back"},
		"a leader of the future":     {lease("a", -time.Minute), Warn, "a leads, and its clock is 1m0s ahead"},
		"a Lease without times":      {&coordinationv1.Lease{Spec: coordinationv1.LeaseSpec{HolderIdentity: new("a")}}, Fail, "never renewed"},
	}
	for sentence, test := range tests {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			found := Lease(test.lease, now)
			require.Equal(t, test.want, found.Status)
			require.Contains(t, found.Message, test.says)
			require.Equal(t, test.want == OK, found.Fix == "")
		})
	}
}

func TestClocksThatAreApart(t *testing.T) {
	t.Parallel()
	here := time.Date(2026, 1, 2, 3, 4, 5, 900_000_000, time.UTC)
	tests := map[string]struct {
		told time.Time
		took time.Duration
		want Status
	}{
		"the same, cut to a second":          {here.Truncate(time.Second), 0, OK},
		"a slow answer says nothing":         {here.Add(9 * time.Second), 10 * time.Second, OK},
		"two seconds are what can be seen":   {here.Add(2 * time.Second), 0, OK},
		"five seconds ahead":                 {here.Add(5 * time.Second), 0, Warn},
		"five seconds behind":                {here.Add(-6 * time.Second), 0, Warn},
		"a minute behind":                    {here.Add(-time.Minute), 0, Fail},
		"a server that does not tell a time": {time.Time{}, 0, Warn},
	}
	for sentence, test := range tests {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, test.want, Clock("the API server", here, here.Add(test.took), test.told).Status)
		})
	}
}

func TestVersionsAreComparedWhereTheyWereReleased(t *testing.T) {
	t.Parallel()
	require.Equal(t, OK, Versions("the server", "v1.2.0", "1.2.0").Status)
	require.Equal(t, OK, Versions("the server", "dev", "v1.2.0").Status)
	require.Equal(t, OK, Versions("the server", "", "v1.2.0").Status)
	require.Equal(t, Warn, Versions("the server", "v1.1.0", "v1.2.0").Status)
}

func TestTheAnswerOfAReadinessProbeIsRead(t *testing.T) {
	t.Parallel()
	require.Equal(t, []Probe{{Name: "database"}, {Name: "cluster", Problem: "kind Workflow of x failed: y"}},
		Probes("[+]database ok\n[-]cluster failed: kind Workflow of x failed: y\n"))
	require.Empty(t, Probes("<html>"))
}

// documentOf is an OpenAPI document with one kind.
func documentOf(t *testing.T, spec map[string]any) []byte {
	t.Helper()
	text, err := json.Marshal(map[string]any{"components": map[string]any{"schemas": map[string]any{
		"dev.penstock.v1alpha1.CdPipeline": map[string]any{
			"x-kubernetes-group-version-kind": []any{map[string]any{"group": "penstock.dev", "kind": "CdPipeline", "version": "v1alpha1"}},
			"properties":                      map[string]any{"spec": map[string]any{"properties": spec}, "status": map[string]any{}},
		},
		"io.k8s.Odd": map[string]any{"properties": "of another form"},
	}}})
	require.NoError(t, err)
	return text
}

func TestFieldsThatTheInstalledKindLacksAreFound(t *testing.T) {
	t.Parallel()
	spec := map[string]any{"newer": map[string]any{}, "parentRef": map[string]any{"properties": map[string]any{"kind": map[string]any{}}}}
	schemas, err := Schemas(documentOf(t, spec))
	require.NoError(t, err)
	require.Len(t, schemas, 1)
	lacks, more := Fields(schemas["CdPipeline"], &v1alpha1.CdPipeline{})
	require.Contains(t, lacks, "spec.filter")
	require.Contains(t, lacks, "spec.parentRef.name")
	require.NotContains(t, lacks, "spec.parentRef.kind")
	require.Equal(t, []string{"spec.newer"}, more)
	_, err = Schemas([]byte("<html>"))
	require.Error(t, err)
}
