package docs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/test/env"
)

// reporting is the namespace in which the page is followed.
const reporting = "reporting"

// images are those of the page's examples.
var images = []string{"web", "worker"}

// The reader is an administrator, and then three CI systems with the kubeconfig that the
// administrator has made: their jobs run beside each other where the page says so.
func TestTheReportingPageAndItsJobsForCISystemsRun(t *testing.T) {
	r := newReader(t, "reporting-builds.md")
	page := strings.NewReplacer("namespace shop", "namespace "+reporting, "-n shop", "-n "+reporting,
		"=shop", "="+reporting).Replace(r.text(t)) // shop is another page's
	r.run(t, command{language: "console", text: "kubectl apply -k config/crd && kubectl apply -k config/roles"})
	for _, command := range commandsOf(t, page) {
		require.Empty(t, command.notRun)
		r.run(t, command)
	}
	r.pretendDocker(t)
	kubeconfig := filepath.Join(r.dir, "ci.kubeconfig")

	for name, systemOf := range map[string]func(t *testing.T, page string) ciSystem{"github": gitHub, "gitlab": gitLab, "jenkins": jenkins} {
		t.Run(name+" reports what its jobs have built", func(t *testing.T) {
			system := systemOf(t, page)
			r.runJobs(t, system, kubeconfig, "41", system.succeeded)
			build := reported(t, system.buildOf("41"))
			require.Equal(t, v1alpha1.BuildSucceeded, build.Status.Phase)
			require.Equal(t, "4f1c2d9", build.Spec.Revision)
			require.Equal(t, "main", build.Spec.Ref)
			var got []string
			for _, artifact := range build.Status.Artifacts {
				got = append(got, artifact.Image)
			}
			require.ElementsMatch(t, []string{"registry.example.com/shop/web:4f1c2d9", "registry.example.com/shop/worker:4f1c2d9"}, got)
		})
		t.Run(name+" reports that a job has failed", func(t *testing.T) {
			system := systemOf(t, page)
			system.image = "true"
			r.runJobs(t, system, kubeconfig, "42", system.failed)
			require.Equal(t, v1alpha1.BuildFailed, reported(t, system.buildOf("42")).Status.Phase)
		})
	}
}

// reported is a build that is recorded in the cluster.
func reported(t *testing.T, name string) *v1alpha1.CiBuild {
	t.Helper()
	admin, err := local.NewClient(env.Admin)
	require.NoError(t, err)
	build := &v1alpha1.CiBuild{}
	require.NoError(t, admin.Get(t.Context(), client.ObjectKey{Namespace: reporting, Name: name}, build))
	return build
}

// pretendDocker puts a docker into PATH that pushes nothing, and says what digest it has pushed.
func (r *reader) pretendDocker(t *testing.T) {
	t.Helper()
	const script = `#!/bin/bash
set -euo pipefail
[[ "$1 $2 $3 $4 $6" = "buildx build --push --metadata-file --tag" ]]
digest=$(printf %s "$7" | sha256sum | cut -d' ' -f1)
printf '{\n  "containerimage.config.digest": "sha256:0",\n  "containerimage.digest": "sha256:%s"\n}\n' "$digest" >"$5"
`
	folder := filepath.Join(r.dir, "pretended")
	require.NoError(t, os.Mkdir(folder, 0o750))
	require.NoError(t, os.WriteFile(filepath.Join(folder, "docker"), []byte(script), 0o700))
	for i, variable := range r.environment {
		if path, found := strings.CutPrefix(variable, "PATH="); found {
			r.environment[i] = "PATH=" + folder + ":" + path
		}
	}
}
