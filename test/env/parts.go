package env

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

const module = "module github.com/penstock-cd/penstock\n"

// Part returns the path of a part's binary: from KUBEBUILDER_ASSETS where that
// has it, else from bin/. It is an error when the part was not built.
func Part(name string) (string, error) {
	if assets := os.Getenv("KUBEBUILDER_ASSETS"); assets != "" {
		if path := filepath.Join(assets, name); exists(path) {
			return filepath.Abs(path)
		}
	}
	root, err := moduleRoot()
	if err != nil {
		return "", err
	}
	path := filepath.Join(root, "bin", name)
	if !exists(path) {
		return "", fmt.Errorf("%s is missing: build the parts with hack/build-parts.sh", path)
	}
	return path, nil
}

// moduleRoot is the folder of our go.mod: upwards from the working directory,
// as for a test, or else from this file, as it was compiled.
func moduleRoot() (string, error) {
	if dir, err := os.Getwd(); err == nil {
		if root := findModule(dir); root != "" {
			return root, nil
		}
	}
	_, file, _, _ := runtime.Caller(0)
	if root := findModule(filepath.Dir(file)); root != "" {
		return root, nil
	}
	return "", errors.New("the working directory is not inside Penstock's source tree")
}

// findModule goes upwards, past modules that are not ours.
func findModule(dir string) string {
	for {
		text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && strings.Contains(string(text), module) {
			return dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return ""
		}
		dir = parent
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
