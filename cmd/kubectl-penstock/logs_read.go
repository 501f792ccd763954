package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	apiv1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corev1 "k8s.io/client-go/kubernetes/typed/core/v1"

	"github.com/penstock-cd/penstock/pkg/pause"
)

const (
	// mostPods bounds the pods whose logs are printed, maxLogBytes what is read of one.
	mostPods, maxLogBytes = 20, 10 << 20
	// podsInterval is how often further pods are looked for with --follow, listTimeout bounds
	// one look.
	podsInterval, listTimeout = 2 * time.Second, 15 * time.Second
	// workflowLabel is the one by which Argo marks the pods of a Workflow.
	workflowLabel = "workflows.argoproj.io/workflow"
)

// logReader prints the logs of the pods of one Workflow, as kubectl logs does: as they are.
type logReader struct {
	pods        corev1.PodInterface
	workflow    string
	options     logOptions
	out, errOut io.Writer
	// isOver tells whether the Workflow makes no more pods. An error means that it is not
	// known.
	isOver func(context.Context) (bool, error)

	mu     sync.Mutex // of out and errOut
	failed bool
}

// read prints the logs of the pods that there are; with --follow until all have ended, and
// those that come meanwhile.
func (r *logReader) read(ctx context.Context) error {
	var following sync.WaitGroup
	defer following.Wait()
	begun := map[string]bool{}
	for {
		pods, err := r.list(ctx)
		if err != nil {
			return err
		}
		for _, pod := range pods {
			if begun[pod.Name] || len(begun) >= mostPods || r.options.follow && pod.Status.Phase == apiv1.PodPending {
				continue
			}
			begun[pod.Name] = true
			if !r.options.follow {
				r.one(ctx, pod.Name, len(pods) > 1)
				continue
			}
			following.Go(func() { r.one(ctx, pod.Name, true) })
		}
		if !r.options.follow || r.hasEnded(ctx, pods) {
			following.Wait()
			return r.summary(pods)
		}
		if !pause.For(ctx, podsInterval) {
			following.Wait()
			return errors.New("interrupted: the run goes on")
		}
	}
}

// list is the pods of the Workflow, the oldest first.
func (r *logReader) list(ctx context.Context) ([]apiv1.Pod, error) {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	list, err := r.pods.List(ctx, metav1.ListOptions{LabelSelector: workflowLabel + "=" + r.workflow})
	if err != nil {
		return nil, explainedOf(fmt.Errorf("list the pods of Workflow %s: %w", r.workflow, err), "Pods")
	}
	slices.SortFunc(list.Items, func(a, b apiv1.Pod) int { return a.CreationTimestamp.Compare(b.CreationTimestamp.Time) })
	return list.Items, nil
}

// hasEnded tells whether there is nothing more to follow. Where the Workflow may not be read,
// that is when all pods have ended that there are.
func (r *logReader) hasEnded(ctx context.Context, pods []apiv1.Pod) bool {
	if over, err := r.isOver(ctx); err == nil {
		return over
	}
	return !slices.ContainsFunc(pods, func(pod apiv1.Pod) bool {
		return pod.Status.Phase != apiv1.PodSucceeded && pod.Status.Phase != apiv1.PodFailed
	})
}

// one prints the logs of a pod, each line with the pod's name before it where there are
// others.
func (r *logReader) one(ctx context.Context, pod string, named bool) {
	limit := int64(maxLogBytes)
	wanted := &apiv1.PodLogOptions{Container: r.options.container, Follow: r.options.follow, LimitBytes: &limit}
	if r.options.tail >= 0 {
		wanted.TailLines = &r.options.tail
	}
	if !r.options.follow {
		bounded, cancel := context.WithTimeout(ctx, requestTimeout)
		defer cancel()
		ctx = bounded
	}
	stream, err := r.pods.GetLogs(pod, wanted).Stream(ctx)
	if err != nil {
		r.tell("the logs of pod %s can't be read: %v; a pod that runs on no real node, such as one of kwok, has none", pod, err)
		return
	}
	defer func() { _ = stream.Close() }()
	prefix := ""
	if named {
		prefix = "[" + pod + "] "
	}
	lines := bufio.NewReader(stream)
	for {
		line, err := lines.ReadString('\n')
		if line != "" {
			r.print(prefix, line)
		}
		if err != nil {
			if !errors.Is(err, io.EOF) && ctx.Err() == nil {
				r.tell("the logs of pod %s end early: %v", pod, err)
			}
			return
		}
	}
}

func (r *logReader) print(prefix, line string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if line[len(line)-1] != '\n' {
		line += "\n"
	}
	fmt.Fprint(r.out, prefix+line)
}

func (r *logReader) tell(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed = true
	fmt.Fprintln(r.errOut, printable(fmt.Sprintf(format, args...)))
}

// summary says what is missing.
func (r *logReader) summary(pods []apiv1.Pod) error {
	switch {
	case len(pods) == 0:
		fmt.Fprintln(r.errOut, "The Workflow has no pods now: it has made none yet, it makes none, or Argo has deleted them.")
	case len(pods) > mostPods:
		fmt.Fprintf(r.errOut, "Of %d pods the first %d are shown: argo logs shows all.\n", len(pods), mostPods)
	}
	if r.failed {
		return &exitError{code: exitPartial, err: errors.New("some logs could not be read")}
	}
	return nil
}
