package main

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/trigger"
)

// resumableRuns are the runs that have a stage which waits to be resumed: a certain one, or any
// where stage is empty.
func resumableRuns(runs []rest.Run, stage string) []rest.Run {
	return slices.DeleteFunc(slices.Clone(runs), func(run rest.Run) bool {
		return !slices.ContainsFunc(run.Stages, func(s rest.Stage) bool {
			return s.State == "Held" && slices.Contains(trigger.Resumable(), v1alpha1.Reason(s.Reason)) && (stage == "" || s.Stage == stage)
		})
	})
}

// onlyBuild is the build of these runs; empty where there are none. Of several builds a person
// has to name one: the run that came last may be of an older build, as after a rollback.
func onlyBuild(runs []rest.Run, pipeline string) (string, error) {
	var waiting []string
	build := ""
	several := false
	for _, run := range runs {
		several = several || (build != "" && build != run.Build)
		build = run.Build
		waiting = append(waiting, fmt.Sprintf("run %d of build %s", run.ID, run.Build))
	}
	if several {
		return "", usage("several builds wait in CdPipeline %s: %s. Name one by --build, or a run by its number", pipeline, strings.Join(waiting, ", "))
	}
	return build, nil
}

// waitingBuild asks penstock server of which build stages wait in a CdPipeline; empty where none
// does. An unreachable server is an errUnknownWaiting.
func (a *asking) waitingBuild(ctx context.Context, pipeline string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	connected, err := a.connect(ctx)
	if err != nil {
		return "", errUnknownWaiting{err}
	}
	defer connected.close()
	var list rest.RunList
	if err := connected.get(ctx, path("namespaces", connected.namespace, "pipelines", pipeline, "runs"), url.Values{"limit": {"500"}}, &list); err != nil {
		return "", errUnknownWaiting{err}
	}
	return onlyBuild(resumableRuns(list.Items, a.stage), pipeline)
}

// errUnknownWaiting means that penstock server does not tell what waits.
type errUnknownWaiting struct{ error }
