package simulate

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/yaml"
	kjson "sigs.k8s.io/json"
	sigsyaml "sigs.k8s.io/yaml"

	"github.com/penstock-cd/penstock/api/v1alpha1"
)

// maxFile bounds one file.
const maxFile = 16 << 20

// InvalidError is what is wrong in files: one line for each field.
type InvalidError struct{ Problems []string }

func (e *InvalidError) Error() string {
	text := fmt.Sprintf("%d problems in the files:", len(e.Problems))
	if len(e.Problems) == 1 {
		text = "a problem in the files:"
	}
	for _, problem := range e.Problems {
		text += "\n  " + problem
	}
	return text
}

// Read returns the pipelines and builds of files, and of the .yaml, .yml and .json files in
// folders. Objects of other kinds are left out. It returns an *InvalidError where one of ours is
// not valid.
func Read(paths []string) (*Objects, error) {
	files, err := filesOf(paths)
	if err != nil {
		return nil, err
	}
	objects, problems := &Objects{}, []string{}
	for _, file := range files {
		found, err := readFile(file, objects)
		if err != nil {
			return nil, err
		}
		problems = append(problems, found...)
	}
	if len(problems) > 0 {
		return nil, &InvalidError{problems}
	}
	return objects, nil
}

// standardInput is the name of what the process is given, as kubectl has it.
const standardInput = "-"

// filesOf are the files that are named, and those of the folders that are.
func filesOf(paths []string) (files []string, err error) {
	for _, path := range paths {
		if path == standardInput {
			files = append(files, path)
			continue
		}
		err := filepath.WalkDir(path, func(file string, entry fs.DirEntry, err error) error {
			isManifest := slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(file))
			if err == nil && !entry.IsDir() && (isManifest || file == path) {
				files = append(files, file)
			}
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("read -f %s: %w", path, err)
		}
	}
	return files, nil
}

func readFile(file string, into *Objects) (problems []string, err error) {
	opened := os.Stdin
	if file != standardInput {
		if opened, err = os.Open(file); err != nil { //nolint:gosec // who runs the command names the file
			return nil, fmt.Errorf("read -f: %w", err)
		}
		defer func() { _ = opened.Close() }()
	}
	documents := yaml.NewYAMLReader(bufio.NewReader(io.LimitReader(opened, maxFile)))
	for number := 1; ; number++ {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return problems, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read -f %s: %w", file, err)
		}
		found, err := readDocument(fmt.Sprintf("%s, document %d", file, number), document, into)
		if err != nil {
			return nil, err
		}
		problems = append(problems, found...)
	}
}

// readDocument adds the object of one document, where it is one of ours.
func readDocument(where string, document []byte, into *Objects) (problems []string, err error) {
	if len(bytes.TrimSpace(document)) == 0 {
		return nil, nil
	}
	text, err := sigsyaml.YAMLToJSONStrict(document)
	if err != nil {
		return []string{fmt.Sprintf("%s: not YAML or JSON: %v", where, err)}, nil
	}
	var head metav1.PartialObjectMetadata
	isOurs := kjson.UnmarshalCaseSensitivePreserveInts(text, &head) == nil && head.APIVersion == v1alpha1.GroupVersion.String()
	if !isOurs { // of another kind, or a comment
		return nil, nil
	}
	switch head.Kind {
	case "CiPipeline":
		return add(where, text, head, &into.CiPipelines)
	case "CdPipeline":
		return add(where, text, head, &into.CdPipelines)
	case "CiBuild":
		return add(where, text, head, &into.Builds)
	default:
		return nil, nil
	}
}

// add decodes an object and checks it as the API server does.
func add[T any](where string, text []byte, head metav1.PartialObjectMetadata, to *[]T) ([]string, error) {
	var fields map[string]any
	if err := kjson.UnmarshalCaseSensitivePreserveInts(text, &fields); err != nil {
		return nil, fmt.Errorf("decode %s: %w", where, err)
	}
	refused, err := invalid(head.Kind, fields)
	if err != nil {
		return nil, err
	}
	if head.Name == "" {
		refused = append(refused, "metadata.name in body is required")
	}
	var object T
	strict, err := kjson.UnmarshalStrict(text, &object)
	for _, one := range strict {
		refused = append(refused, one.Error())
	}
	if err != nil && len(refused) == 0 { // else the schema has told it better
		refused = append(refused, err.Error())
	}
	*to = append(*to, object)
	for i := range refused {
		refused[i] = fmt.Sprintf("%s: %s %s: %s", where, head.Kind, head.Name, refused[i])
	}
	return refused, nil
}
