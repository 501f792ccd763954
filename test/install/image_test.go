package install

import (
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// commands are the binaries of the image.
var commands = []string{"penstock", "kubectl-penstock"}

// No Docker is needed: what the Dockerfile runs is run, on what .dockerignore lets it see.
func TestTheImageIsBuiltTwiceWithTheSameBinaries(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("the image is for Linux")
	}
	built := map[string][]string{}
	for _, folder := range []string{"one", "another"} {
		context, out := filepath.Join(t.TempDir(), folder), t.TempDir()
		copyContext(t, context)
		build := exec.CommandContext(t.Context(), "bash", "-euc", buildCommand(t, out))
		build.Dir = context
		build.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off", "TARGETOS=linux", "TARGETARCH="+runtime.GOARCH, "VERSION=v1.2.3")
		printed, err := build.CombinedOutput()
		require.NoError(t, err, "%s", printed)
		for _, command := range commands {
			binary := filepath.Join(out, command)
			built[command] = append(built[command], hashOf(t, binary))
			requireStatic(t, binary)
			version, err := exec.CommandContext(t.Context(), binary, "version", "--help").CombinedOutput()
			require.NoError(t, err, "%s", version)
		}
	}
	for _, command := range commands {
		require.Len(t, slices.Compact(built[command]), 1, "%s depends on its folder: %v", command, built[command])
	}
}

func TestTheImageRunsAsNobodyAndHasBothCommands(t *testing.T) {
	t.Parallel()
	dockerfile := read(t, root, "Dockerfile")
	_, image, found := strings.Cut(dockerfile, "FROM scratch\n")
	require.True(t, found)
	require.Contains(t, image, "\nUSER 65532:65532\n")
	for _, command := range commands {
		require.Contains(t, image, "/out/"+command+" ")
	}
	version := regexp.MustCompile(`(?m)^go (\S+)$`).FindStringSubmatch(read(t, root, "go.mod"))
	require.Contains(t, dockerfile, "golang:"+strings.Join(strings.Split(version[1], ".")[:2], ".")+".", "the Go version of go.mod")
}

// What is for another architecture must not need a C compiler either.
func TestBothArchitecturesAreBuiltWithoutC(t *testing.T) {
	t.Parallel()
	for _, architecture := range []string{"amd64", "arm64"} {
		list := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{if .CgoFiles}}{{.ImportPath}}{{end}}{{with .Error}}{{.}}{{end}}", "./cmd/...")
		list.Dir, list.Env = root, append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+architecture, "GOFLAGS=-buildvcs=false")
		printed, err := list.CombinedOutput()
		require.NoError(t, err, "%s", printed)
		require.Empty(t, strings.TrimSpace(string(printed)), architecture)
	}
}

// buildCommand is the Dockerfile's RUN that builds, with another folder for the output.
func buildCommand(t *testing.T, out string) string {
	t.Helper()
	joined := strings.ReplaceAll(read(t, root, "Dockerfile"), "\\\n", "")
	for line := range strings.Lines(joined) {
		if command, isRun := strings.CutPrefix(line, "RUN "); isRun && strings.Contains(command, "go build") {
			require.Contains(t, command, "-o /out/ ")
			return strings.Replace(command, "-o /out/ ", "-o "+out+"/ ", 1)
		}
	}
	t.Fatal("the Dockerfile builds nothing")
	return ""
}

// copyContext copies what .dockerignore leaves of the repository: the paths after "!", without
// tests and their data.
func copyContext(t *testing.T, to string) {
	t.Helper()
	for line := range strings.Lines(read(t, root, ".dockerignore")) {
		path, isKept := strings.CutPrefix(strings.TrimSpace(line), "!")
		if !isKept {
			continue
		}
		require.NoError(t, filepath.WalkDir(filepath.Join(root, path), func(from string, entry fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if entry.IsDir() && entry.Name() == "testdata" {
				return filepath.SkipDir
			}
			if entry.IsDir() || strings.HasSuffix(from, "_test.go") {
				return nil
			}
			relative, err := filepath.Rel(root, from)
			if err != nil {
				return err
			}
			return copyFile(from, filepath.Join(to, relative))
		}))
	}
}

func copyFile(from, to string) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	return os.WriteFile(to, text, 0o600)
}

func hashOf(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	hash := sha256.Sum256(content)
	return hex.EncodeToString(hash[:])
}

// requireStatic fails where a binary needs a loader, which the image has not.
func requireStatic(t *testing.T, path string) {
	t.Helper()
	binary, err := elf.Open(path)
	require.NoError(t, err)
	defer func() { _ = binary.Close() }()
	for _, segment := range binary.Progs {
		require.NotEqual(t, elf.PT_INTERP, segment.Type, "%s is not static", path)
	}
}
