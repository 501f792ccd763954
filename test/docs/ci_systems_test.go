package docs

import (
	"context"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	"sigs.k8s.io/yaml"
)

// ciSystem is what one CI system makes of its file: the scripts of its jobs, with the
// variables that it sets.
type ciSystem struct {
	begin, image, succeeded, failed string
	// environment is that of all jobs; NUMBER in a value is that of the run.
	environment []string
	// ofImage is that of a job for one image, NAME, beside it.
	ofImage []string
	// build is the name of the CiBuild, with NUMBER for that of the run.
	build string
}

func (s ciSystem) buildOf(number string) string { return strings.ReplaceAll(s.build, "NUMBER", number) }

// runJobs runs begin, a job for each image at once, and the end.
func (r *reader) runJobs(t *testing.T, system ciSystem, kubeconfig, number, end string) {
	t.Helper()
	text, err := os.ReadFile(kubeconfig)
	require.NoError(t, err)
	replace := strings.NewReplacer("NUMBER", number, "KUBECONFIG_FILE", kubeconfig, "KUBECONFIG_TEXT", string(text))
	run := func(ctx context.Context, script string, more ...string) error {
		job := exec.CommandContext(ctx, "sh", "-e", "-c", script) // no CI system promises bash
		job.Dir, job.Env = t.TempDir(), append([]string{}, r.environment...)
		for _, variable := range append(append([]string{}, system.environment...), more...) {
			job.Env = append(job.Env, replace.Replace(variable))
		}
		printed, err := job.CombinedOutput()
		if err != nil {
			t.Errorf("%s\n%s", script, printed)
		}
		return err
	}
	ctx, cancel := context.WithTimeout(t.Context(), r.patience)
	defer cancel()
	require.NoError(t, run(ctx, system.begin))
	beside, ctx := errgroup.WithContext(ctx)
	for _, image := range images {
		beside.Go(func() error {
			var variables []string
			for _, variable := range system.ofImage {
				variables = append(variables, strings.ReplaceAll(variable, "IMAGE_NAME", image))
			}
			return run(ctx, system.image, variables...)
		})
	}
	require.NoError(t, beside.Wait())
	require.NoError(t, run(t.Context(), end))
}

// exampleOf is the block of a page that begins with a comment which names the file.
func exampleOf(t *testing.T, page, language, file string) string {
	t.Helper()
	_, rest, found := strings.Cut(page, "```"+language+"\n"+file+"\n")
	require.True(t, found, "the page has no %s", file)
	example, _, _ := strings.Cut(rest, "\n```")
	return example
}

const digest = "sha256:0b31b1c02ff458ad9b7b81cbdf8f028bd54699fa151f221d1e8de6817db93427"

func gitHub(t *testing.T, page string) ciSystem {
	t.Helper()
	type job struct {
		Steps []struct{ Run string }
	}
	var workflow struct {
		Env  map[string]string
		Jobs map[string]job
	}
	example := exampleOf(t, page, "yaml", "# .github/workflows/build.yaml")
	require.NoError(t, yaml.Unmarshal([]byte(example), &workflow))
	script := func(name string) string {
		steps := workflow.Jobs[name].Steps
		require.NotEmpty(t, steps, name)
		require.NotEmpty(t, steps[len(steps)-1].Run, name)
		return steps[len(steps)-1].Run
	}
	require.Equal(t, "checkout-${{ github.run_id }}-${{ github.run_attempt }}", workflow.Env["BUILD"])
	require.Contains(t, example, "matrix: {name: ["+strings.Join(images, ", ")+"]}")
	end := script("end")
	return ciSystem{
		begin: script("begin"), image: script("image"), succeeded: "RESULT=success\n" + end, failed: "RESULT=failure\n" + end,
		build: "checkout-NUMBER-1", ofImage: []string{"NAME=IMAGE_NAME", "DIGEST=" + digest},
		environment: []string{
			"BUILD=checkout-NUMBER-1", "IMAGE=" + workflow.Env["IMAGE"], "KUBECONFIG=" + workflow.Env["KUBECONFIG"], "PENSTOCK_KUBECONFIG=KUBECONFIG_TEXT",
			"GITHUB_SHA=4f1c2d9", "GITHUB_REF_NAME=main", "GITHUB_ACTOR=ann",
		},
	}
}

func gitLab(t *testing.T, page string) ciSystem {
	t.Helper()
	var file map[string]any
	example := exampleOf(t, page, "yaml", "# .gitlab-ci.yml")
	require.NoError(t, yaml.Unmarshal([]byte(example), &file))
	script := func(name string) string {
		var lines []string
		for _, line := range file[name].(map[string]any)["script"].([]any) {
			lines = append(lines, line.(string))
		}
		return strings.Join(lines, "\n")
	}
	variables := file["variables"].(map[string]any)
	require.Equal(t, "checkout-$CI_PIPELINE_ID", variables["BUILD"])
	require.Equal(t, "$PENSTOCK_KUBECONFIG", variables["KUBECONFIG"])
	require.Contains(t, example, "matrix: [{NAME: ["+strings.Join(images, ", ")+"]}]")
	return ciSystem{
		begin: script("begin"), image: script("image"), succeeded: script("succeeded"), failed: script("failed"),
		build: "checkout-1NUMBER", ofImage: []string{"NAME=IMAGE_NAME"},
		environment: []string{
			"BUILD=checkout-1NUMBER", "IMAGE=" + variables["IMAGE"].(string), "KUBECONFIG=KUBECONFIG_FILE",
			"CI_COMMIT_SHA=4f1c2d9", "CI_COMMIT_REF_NAME=main", "GITLAB_USER_LOGIN=ann",
		},
	}
}

// inShell are the scripts of a Jenkinsfile, in their order.
var inShell = regexp.MustCompile(`(?s)sh '''(.*?)'''`)

func jenkins(t *testing.T, page string) ciSystem {
	t.Helper()
	example := exampleOf(t, page, "groovy", "// Jenkinsfile")
	var scripts []string
	for _, match := range inShell.FindAllStringSubmatch(example, -1) {
		scripts = append(scripts, strings.ReplaceAll(match[1], `\\`, `\`)) // as Groovy reads it
	}
	require.Len(t, scripts, 5)
	require.Contains(t, example, "values '"+strings.Join(images, "', '")+"'")
	image := regexp.MustCompile(`IMAGE = '(.*)'`).FindStringSubmatch(example)
	require.NotNil(t, image)
	return ciSystem{
		begin: scripts[0], image: scripts[1], succeeded: scripts[2], failed: scripts[3],
		build: "checkout-2NUMBER", ofImage: []string{"NAME=IMAGE_NAME"},
		environment: []string{
			"BUILD=checkout-2NUMBER", "IMAGE=" + image[1], "KUBECONFIG=KUBECONFIG_FILE",
			"GIT_COMMIT=4f1c2d9", "GIT_BRANCH=origin/main",
		},
	}
}
