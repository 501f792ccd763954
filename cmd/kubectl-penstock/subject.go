package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/validation"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/api/v1alpha1"
)

// The kinds of what a command can be about.
const (
	subjectBuild    = "build"
	subjectRun      = "run"
	subjectPipeline = "pipeline"
)

// subjectKinds are the words that name a kind, as people and -o name write them.
var subjectKinds = map[string]string{
	"build": subjectBuild, "cibuild": subjectBuild, "run": subjectRun, "pipeline": subjectPipeline, "cdpipeline": subjectPipeline,
}

// subject is what a command is about: a build or a pipeline by its name, or a run by its number.
type subject struct {
	kind, name string
	run        int64
}

// subjectOf reads arguments such as web, cdpipeline/web, run 42, run/42 and 42. A name without
// a kind is of the kind bare; a number without one is a run.
func subjectOf(command *cobra.Command, args []string, bare string) (subject, error) {
	word, name := "", args[len(args)-1]
	if len(args) == 2 {
		word = args[0]
	}
	if before, after, found := strings.Cut(name, "/"); found && (word == "" || subjectKinds[word] == subjectKinds[before]) {
		word, name = strings.TrimSuffix(before, "."+v1alpha1.GroupVersion.Group), after
	}
	kind, known := subjectKinds[word]
	number, notNumber := strconv.ParseInt(name, 10, 64)
	switch {
	case word == "" && subjectKinds[name] != "":
		return subject{}, usage("expected a name after %s: %s", name, command.UseLine())
	case word == "" && notNumber == nil:
		kind = subjectRun
	case word == "":
		kind = bare
	case !known:
		return subject{}, usage("%q is none of build, run and cdpipeline: %s", word, command.UseLine())
	}
	if kind == subjectRun {
		if notNumber != nil || number < 1 {
			return subject{}, usage("run %q: expected the number of a run, such as kubectl penstock runs PIPELINE prints it", name)
		}
		return subject{kind: kind, run: number}, nil
	}
	if problems := validation.NameIsDNSSubdomain(name, false); len(problems) > 0 {
		return subject{}, usage("%q is no name of a %s: %s", name, kind, command.UseLine())
	}
	return subject{kind: kind, name: name}, nil
}

// pipelineArgument is the CdPipeline that the one argument names.
func pipelineArgument(command *cobra.Command, args []string) (string, error) {
	given, err := subjectOf(command, []string{"cdpipeline", args[0]}, "")
	return given.name, err
}

// pipeline returns a CdPipeline, and an error with the nearest name where there is none. It is
// nil where the user may not read it: the API server and the controller judge the name then.
func (p *caller) pipeline(ctx context.Context, name string) (*v1alpha1.CdPipeline, error) {
	found := &v1alpha1.CdPipeline{}
	err := p.cluster.Get(ctx, client.ObjectKey{Namespace: p.namespace, Name: name}, found)
	switch {
	case apierrors.IsNotFound(err):
		return nil, p.unknown(ctx, "CdPipeline", name)
	case apierrors.IsForbidden(err):
		return nil, nil
	case err != nil:
		return nil, explainedOf(fmt.Errorf("get CdPipeline %s: %w", name, err), "CdPipelines")
	}
	return found, nil
}

// pipelineOfRun finds the CdPipeline that a run is of: among the newest runs that the objects
// tell of, and else by penstock server.
func (p *caller) pipelineOfRun(ctx context.Context, o *options, run int64) (string, error) {
	var all v1alpha1.CdPipelineList
	if err := p.cluster.List(ctx, &all, client.InNamespace(p.namespace)); err != nil && !apierrors.IsForbidden(err) {
		return "", explainedOf(fmt.Errorf("list CdPipelines: %w", err), "CdPipelines")
	}
	for i := range all.Items {
		if last := all.Items[i].Status.LastRun; last != nil && last.Run == run {
			return all.Items[i].Name, nil
		}
	}
	var found rest.RunDetail
	connected, err := o.connect(ctx)
	if err == nil {
		defer connected.close()
		err = connected.get(ctx, path("namespaces", p.namespace, "runs", strconv.FormatInt(run, 10)), nil, &found)
	}
	switch {
	case isNotFound(err):
		return "", fmt.Errorf("there is no run %d in namespace %s: kubectl penstock runs PIPELINE lists those of a pipeline", run, p.namespace)
	case err != nil:
		return "", fmt.Errorf("run %d is not the newest of a CdPipeline in namespace %s, and penstock server does not tell of which it is (%w): name it by --pipeline", run, p.namespace, err)
	}
	return found.Pipeline, nil
}
