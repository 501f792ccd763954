package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/given"
)

const offline = `apiVersion: penstock.dev/v1alpha1
kind: CiPipeline
metadata: {name: app}
spec: {}
---
apiVersion: penstock.dev/v1alpha1
kind: CdPipeline
metadata: {name: staging}
spec:
  parentRef: {kind: CiPipeline, name: app}
  filter: build.ref == 'main' && artifact.image.startsWith('registry.example.com/')
  deploy: {workflow: {templateRef: {name: deploy}}}
---
apiVersion: penstock.dev/v1alpha1
kind: CiBuild
metadata: {name: app-1}
spec: {pipelineRef: {name: app}, revision: 4f1c2d9, ref: main}
`

const simulated = `staging, build app-1
  image    registry.example.com/app:1
  decided  Triggered by build app-1
  rule     the parent succeeded, the pipeline is neither suspended nor Manual, and its filter is true or absent
`

func TestThePluginSimulatesFromFilesWithoutACluster(t *testing.T) {
	t.Parallel()
	p, dir := plugin{kubeconfig: filepath.Join(t.TempDir(), "missing")}, t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	good := write("good.yaml", offline)
	blocked := write("blocked.yaml", offline+"---\napiVersion: penstock.dev/v1alpha1\nkind: CdPipeline\nmetadata: {name: broken}\nspec:\n  parentRef: {kind: CiPipeline, name: app}\n  filter: ((\n  deploy: {workflow: {templateRef: {name: deploy}}}\n")
	bad := write("bad.yaml", "apiVersion: penstock.dev/v1alpha1\nkind: CdPipeline\nmetadata: {name: broken}\nspec: {deploy: {}}\n")
	artifact := "registry.example.com/app:1@sha256:0"
	for sentence, tc := range map[string]struct {
		args         []string
		code         int
		out, message string
	}{
		"files":                  {[]string{"build", "app-1", "-f", good, "--artifact", artifact}, 0, simulated, ""},
		"names":                  {[]string{"build", "app-1", "-f", good, "--artifact", artifact, "-o", "name"}, 0, "cdpipeline/staging\n", ""},
		"a build without images": {[]string{"build", "app-1", "-f", good}, 0, "FilteredOut", "note: the build has no artifacts yet"},
		"a broken filter":        {[]string{"build", "app-1", "-f", blocked, "--artifact", artifact}, exitFailed, "Blocked, InvalidFilter", "error: blocked: broken"},
		"a file that is not valid": {
			[]string{"build", "app-1", "-f", bad}, exitUsage, "", bad + ", document 1: CdPipeline broken: spec.parentRef in body is required",
		},
		"a file that is missing":      {[]string{"build", "app-1", "-f", good + "x"}, exitFailed, "", "no such file"},
		"a build that is not there":   {[]string{"build", "app-2", "-f", good}, exitFailed, "", `there is no CiBuild "app-2"`},
		"an artifact without digest":  {[]string{"build", "app-1", "-f", good, "--artifact", "app:1"}, exitUsage, "", "must be IMAGE@DIGEST"},
		"what can't be simulated":     {[]string{"run", "1"}, exitUsage, "", "must be build"},
		"a cluster that is not there": {[]string{"build", "app-1"}, exitFailed, "", "kubeconfig"},
	} {
		code, out, errOut := p.run(t, append([]string{"simulate"}, tc.args...)...)
		require.Equal(t, tc.code, code, "%s: %s", sentence, errOut)
		require.Contains(t, out, tc.out, sentence)
		require.Contains(t, errOut, tc.message, sentence)
	}
}

func TestThePluginSimulatesFromTheCluster(t *testing.T) {
	t.Parallel()
	cluster, err := local.NewClient(env.Admin)
	require.NoError(t, err)
	namespace := local.NewNamespace(t)
	ci, web, build := given.CiPipeline(given.CI), given.CdPipeline("web", given.Suspended), given.CiBuild("b1")
	for _, object := range given.Copies(ci, web, build) {
		object.SetNamespace(namespace)
		object.SetUID("")
		require.NoError(t, cluster.Create(t.Context(), object))
	}
	code, out, errOut := plugin{kubeconfig: local.Kubeconfig}.run(t, "simulate", "build", "b1", "-n", namespace)
	require.Zero(t, code, errOut)
	require.Contains(t, out, "web, build b1\n  decided  Skipped, Suspended: spec.suspend is true\n")
	code, _, errOut = person(t, true).run(t, "simulate", "build", "b1", "-n", namespace)
	require.Equal(t, exitRefused, code, errOut)
	require.Contains(t, errOut, "forbidden")
}
