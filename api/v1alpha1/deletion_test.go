package v1alpha1_test

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/given"
)

// planned is a status that Penstock writes.
func planned(is, reason string) string {
	return `{"status":{"conditions":[{"type":"Planned","status":"` + is + `","reason":"` + reason + `","message":"","lastTransitionTime":"2026-01-01T00:00:00Z"}]}}`
}

func TestABuildThatSucceededIsNotDeletedBeforeItIsPlanned(t *testing.T) {
	t.Parallel()
	admin, err := local.NewClient(env.Admin)
	require.NoError(t, err)
	p := place{Client: admin, namespace: local.NewNamespace(t)}
	for _, object := range objectsIn(t, filepath.Join(root, "config", "admission", "builds.yaml")) {
		require.NoError(t, client.IgnoreAlreadyExists(p.Create(t.Context(), object)))
	}
	succeeded := finished(given.Artifacts(1))
	p.awaitDeletionPolicy(t, succeeded)
	for sentence, tc := range map[string]struct {
		patches []string
		user    env.User
		refused bool
	}{
		"one that Succeeded":                             {[]string{succeeded}, env.Admin, true},
		"one that Succeeded and is planned":              {[]string{succeeded, planned("True", "Planned")}, env.Admin, false},
		"one that waits for its CiPipeline":              {[]string{succeeded, planned("False", "ParentNotFound")}, env.Admin, false},
		"one that has not ended":                         {nil, env.Admin, false},
		"one that Failed":                                {[]string{phase("Failed")}, env.Admin, false},
		"one that Succeeded, with its namespace":         {[]string{succeeded}, "system:serviceaccount:kube-system:namespace-controller", false},
		"one that Succeeded, with what owns it":          {[]string{succeeded}, "system:serviceaccount:kube-system:generic-garbage-collector", false},
		"one that Succeeded, by another service account": {[]string{succeeded}, "system:serviceaccount:kube-system:default", true},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			build := given.CiBuild("", func(b *v1alpha1.CiBuild) { b.GenerateName = "build-" })
			require.NoError(t, p.create(t, build))
			for _, patch := range tc.patches {
				require.NoError(t, p.patchStatus(t, build, patch))
			}
			office := office{p}
			if tc.user != env.Admin {
				office.allowDeletion(t, tc.user)
			}
			err := office.as(t, tc.user).Delete(t.Context(), build)
			if !tc.refused {
				require.NoError(t, err)
				return
			}
			require.True(t, apierrors.IsForbidden(err), "%v", err)
			require.ErrorContains(t, err, "CiBuild "+build.Name+" Succeeded, and what it triggers is not recorded yet: wait until its condition Planned is set")
		})
	}
}

// allowDeletion gives the user the right to delete builds.
func (o office) allowDeletion(t *testing.T, user env.User) {
	t.Helper()
	o.allow(t, user, verbs("cibuilds", "", "delete"))
}

// awaitDeletionPolicy returns when the policy is in force.
func (p place) awaitDeletionPolicy(t *testing.T, succeeded string) {
	t.Helper()
	probe := given.CiBuild("", func(b *v1alpha1.CiBuild) { b.GenerateName = "probe-" })
	require.NoError(t, p.create(t, probe))
	require.NoError(t, p.patchStatus(t, probe, succeeded))
	eventually(t, func(ctx context.Context) (bool, error) {
		err := p.Delete(ctx, probe, client.DryRunAll)
		return apierrors.IsForbidden(err), client.IgnoreNotFound(ignoreForbidden(err))
	})
}

func ignoreForbidden(err error) error {
	if apierrors.IsForbidden(err) {
		return nil
	}
	return err
}
