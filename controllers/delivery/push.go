package delivery

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/bounded"
	"github.com/penstock-cd/penstock/pkg/webhook"
)

// pushed is a push, judged over the pipelines of a namespace.
type pushed struct {
	// builds are the pipelines that it builds.
	builds []*v1alpha1.CiPipeline
	// ofRepository counts those with its repository, and suspended are those of builds that
	// are suspended.
	ofRepository int
	suspended    []string
}

// judge finds the pipelines that a push builds. Those that are suspended trigger nothing, and are
// not built.
func judge(push webhook.Push, spec v1alpha1.ReceiverSpec, pipelines []v1alpha1.CiPipeline) pushed {
	var p pushed
	for i := range pipelines {
		pipeline := &pipelines[i]
		if pipeline.DeletionTimestamp != nil || pipeline.Spec.Source == nil || !spec.Concerns("CiPipeline", pipeline.Name) {
			continue
		}
		repository, found := webhook.ParseRepository(pipeline.Spec.Source.URL)
		if !found || !repository.IsOneOf(push.Repositories) {
			continue
		}
		p.ofRepository++
		switch {
		case !builds(pipeline.Spec.Source.Revision, push):
		case pipeline.Spec.Suspend:
			p.suspended = append(p.suspended, pipeline.Name)
		default:
			p.builds = append(p.builds, pipeline)
		}
	}
	return p
}

// builds tells whether a pipeline with this revision builds a push. A short name is that of a
// branch, so that a tag of the same name builds nothing; refs/tags/NAME is a tag. An asterisk
// stands for any text without a slash. The empty revision is every branch, and no tag.
func builds(revision string, push webhook.Push) bool {
	if revision == "" {
		return !push.IsTag
	}
	tag, isTag := strings.CutPrefix(revision, "refs/tags/")
	if isTag != push.IsTag {
		return false
	}
	pattern := strings.TrimPrefix(tag, "refs/heads/")
	matches, err := path.Match(pattern, push.Ref)
	return pattern == push.Ref || (matches && err == nil)
}

// push has the pipelines built that a push is about.
func (w *Worker) push(ctx context.Context, j job) (result, error) {
	var all v1alpha1.CiPipelineList
	if err := w.Cache.List(ctx, &all, client.InNamespace(j.delivery.Namespace), client.UnsafeDisableDeepCopy); err != nil {
		return result{}, fmt.Errorf("list CiPipelines: %w", err)
	}
	p := judge(j.event.Push, j.receiver.Spec, all.Items)
	if len(p.builds) == 0 {
		return p.nothing(j.event.Push), nil
	}
	return w.build(ctx, j, p.builds)
}

// nothing tells why a push builds nothing.
func (p pushed) nothing(push webhook.Push) result {
	kind := map[bool]string{true: "tag", false: "branch"}[push.IsTag]
	switch {
	case p.ofRepository == 0:
		return noMatch("no CiPipeline here has the source %s", push.Repositories[0].Name)
	case len(p.suspended) > 0:
		return noMatch("%s %s is built by pipelines that are suspended alone: %s", kind, push.Ref, list(p.suspended))
	case p.ofRepository == 1:
		return noMatch("%s %s is not built by the one pipeline of %s", kind, push.Ref, push.Repositories[0].Name)
	default:
		return noMatch("%s %s is not built by any of %d pipelines", kind, push.Ref, p.ofRepository)
	}
}

// build makes a build of each pipeline. What the API server does not take is told; that it does
// not answer is an error, and the same builds are made again.
func (w *Worker) build(ctx context.Context, j job, pipelines []*v1alpha1.CiPipeline) (result, error) {
	push := j.event.Push
	names := make([]string, len(pipelines))
	places := make([]int, len(pipelines))
	for i := range places {
		places[i] = i
	}
	failures := bounded.ForEach(ctx, creators, createTimeout, places, func(ctx context.Context, i int) (err error) {
		names[i], err = w.create(ctx, j, buildOf(j, pipelines[i], push.Commit, push.Ref))
		return err
	})
	var made, not []string
	var failed []error
	for i, err := range failures {
		switch {
		case err == nil:
			made = append(made, names[i])
		case j.isRefused(err):
			not = append(not, pipelines[i].Name+": "+whyRefused(err))
		default:
			failed = append(failed, err)
		}
	}
	switch {
	case len(failed) > 0:
		return result{}, errors.Join(failed...)
	case len(made) == 0:
		return refused("%s", strings.Join(not, "; ")), nil
	case len(not) > 0:
		return result{Built, "Built " + list(made) + "; refused: " + strings.Join(not, "; ")}, nil
	}
	return result{Built, "Built " + list(made)}, nil
}
