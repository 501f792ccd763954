package route

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/notify"
)

// maxNames is how many pipelines a title names.
const maxNames = 5

// Build is what is known of a build when a message is written.
type Build struct {
	// Phase is the build's own.
	Phase string
	// Repository is the URL of its source.
	Repository string
	// Triggers counts its runs.
	Triggers v1alpha1.TriggerSummary
	// Failures are the first few runs that ended badly. Waits are what other runs wait for.
	Failures, Waits []notify.Detail
	// FailedPipelines are the names of the first few pipelines of which a run failed.
	FailedPipelines []string
}

// Message is what a notification says. build is that of a group of one build, and nil where it
// is not known, or where the group is another.
func (n Notification) Message(build *Build) notify.Message {
	if strings.HasPrefix(n.Group, "commit/") && len(n.Items) > 0 { // a status is that of the last event
		n.Items, n.Events = n.Items[len(n.Items)-1:], 1
	}
	message := notify.Message{
		ID: n.DeliveryID(), Version: int(n.Wanted), Type: string(n.Type), Level: n.level(build), Time: n.ChangedAt, Subject: n.subject(build),
	}
	switch {
	case n.Type == TypeTest:
		message.Level, message.Title = notify.Info, fmt.Sprintf("Penstock: this is a test of the channel %s", n.Channel)
	case build != nil && len(n.Items) > 0 && strings.HasPrefix(n.Group, "build/"):
		n.tellBuild(&message, *build)
	case strings.HasPrefix(n.Group, "cluster/") && len(n.Items) > 0:
		n.tellCluster(&message)
	case strings.HasPrefix(n.Group, "wave/") && len(n.Items) > 0:
		n.tellWave(&message)
	default:
		n.tellItems(&message)
	}
	if asked := askedBy(n.Items); asked != "" {
		message.Details = append(message.Details, notify.Detail{Name: "asked for by", Text: asked})
	}
	return message
}

func (n Notification) level(build *Build) notify.Level {
	if n.hasFailed(build) {
		return notify.Failure
	}
	if t := build; t != nil && t.Triggers.Total > 0 {
		if t.Triggers.Succeeded == t.Triggers.Total {
			return notify.Success
		}
		return notify.Info // some are under way, or were ended
	}
	for _, item := range n.Items {
		if item.Type == v1alpha1.EventWaveFinished && item.Reason == string(v1alpha1.WaveSucceeded) {
			continue
		}
		if item.Type != v1alpha1.EventRunSucceeded && item.Type != v1alpha1.EventBuildSucceeded && item.Type != v1alpha1.EventTriggersCompleted {
			return notify.Info
		}
	}
	return notify.Success
}

func (n Notification) hasFailed(build *Build) bool {
	if strings.HasPrefix(n.Group, "cluster/") {
		return !n.IsComplete
	}
	if strings.HasPrefix(n.Group, "wave/") && len(n.Items) > 0 {
		return n.hasFailedWave()
	}
	isOfAll := strings.HasPrefix(n.Group, "build/") || (len(n.Items) == 1 && n.Items[0].Type == v1alpha1.EventTriggersCompleted)
	if isOfAll && build != nil {
		return build.Triggers.Failed > 0 || isFailure(build.Phase)
	}
	return slices.ContainsFunc(n.Items, func(item Item) bool {
		return item.Type == v1alpha1.EventRunFailed || item.Type == v1alpha1.EventBuildFailed
	})
}

func isFailure(phase string) bool {
	return phase == string(v1alpha1.BuildFailed) || phase == string(v1alpha1.BuildError) || phase == string(v1alpha1.BuildCancelled)
}

// subject is what all items have in common.
func (n Notification) subject(build *Build) notify.Subject {
	if len(n.Items) == 0 {
		return notify.Subject{Namespace: n.Namespace}
	}
	first := n.Items[0]
	same := func(of func(Item) string) string {
		for _, item := range n.Items[1:] {
			if of(item) != of(first) {
				return ""
			}
		}
		return of(first)
	}
	subject := notify.Subject{
		Namespace:   n.Namespace,
		Application: same(func(i Item) string { return i.Application }), Environment: same(func(i Item) string { return i.Environment }),
		Build: same(func(i Item) string { return i.Build }), Pipeline: same(func(i Item) string { return i.Pipeline }),
		Revision: same(func(i Item) string { return i.Revision }), Image: same(func(i Item) string { return i.Image }),
		Digest: same(func(i Item) string { return i.Digest }), Cluster: same(func(i Item) string { return cmp.Or(i.Cluster, i.RunCluster) }),
		Actor: same(func(i Item) string { return i.Actor }), ActorReason: same(func(i Item) string { return i.ActorReason }),
	}
	if len(n.Items) == 1 {
		subject.Run = first.Run
	}
	if build != nil {
		subject.Repository = build.Repository
	}
	return subject
}

// tellBuild says how far the runs of a build are.
func (n Notification) tellBuild(message *notify.Message, build Build) {
	item := n.Items[0]
	what := "build " + item.Build
	if of := n.application(); of != "" {
		what = fmt.Sprintf("%s (build %s)", of, item.Build)
	}
	message.Title = what + ": " + progress(build)
	message.Details = slices.Concat(build.Failures, build.Waits)
	if more := int(build.Triggers.Failed) - len(build.Failures); more > 0 {
		message.Omitted = more
	}
	message.Commands = []string{fmt.Sprintf("kubectl penstock builds %s -n %s", item.Build, n.Namespace)}
}

// application is what a build is of: the application of all pipelines below it, or its own
// pipeline, since a pipeline without an application is one of its own.
func (n Notification) application() string {
	first := n.Items[0]
	for _, item := range n.Items {
		if item.Application != first.Application || (item.Application == item.Pipeline && item.CiPipeline != "") {
			return first.CiPipeline
		}
	}
	return first.Application
}

func progress(build Build) string {
	t := build.Triggers
	switch {
	case isFailure(build.Phase):
		return "the build " + map[string]string{"Failed": "failed", "Error": "failed", "Cancelled": "was cancelled"}[build.Phase]
	case t.Total == 0:
		return "the build succeeded"
	}
	parts := []string{fmt.Sprintf("%d of %d deployed", t.Succeeded, t.Total)}
	for _, count := range []struct {
		n    int32
		what string
	}{{t.Cancelled, "cancelled"}, {t.Superseded, "superseded by newer builds"}, {t.Held, "held"}, {t.Total - ended(t) - t.Held, "under way"}} {
		if count.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", count.n, count.what))
		}
	}
	if t.Failed > 0 { // last, for the names that follow
		parts = append(parts, fmt.Sprintf("%d failed: %s", t.Failed, names(build.FailedPipelines, int(t.Failed) > max(len(build.Failures), len(build.FailedPipelines)))))
	}
	return strings.Join(parts, ", ")
}

func ended(t v1alpha1.TriggerSummary) int32 {
	return t.Succeeded + t.Failed + t.Cancelled + t.Superseded
}

// names are the first few, and that there are more.
func names(of []string, more bool) string {
	shown := of[:min(len(of), maxNames)]
	text := strings.Join(shown, ", ")
	if more || len(of) > len(shown) {
		text += ", …"
	}
	return text
}

func (n Notification) tellCluster(message *notify.Message) {
	first, last := n.Items[0], n.Items[len(n.Items)-1]
	if n.IsComplete {
		message.Title = fmt.Sprintf("cluster %s is reachable again, after %s", first.Cluster, last.At.Sub(first.At).Round(time.Second))
		return
	}
	message.Title = last.sentence()
	message.Details = []notify.Detail{{Name: first.Cluster, Text: last.Message}}
	message.Commands = []string{"kubectl penstock clusters"}
}

// tellWave tells where a wave stands now.
func (n Notification) tellWave(message *notify.Message) {
	last := n.Items[len(n.Items)-1]
	message.Title = last.sentence()
	message.Commands = []string{fmt.Sprintf("kubectl penstock waves %s -n %s", last.BaseImage, last.Namespace)}
}

// hasFailedWave tells whether a wave has stopped, or has ended badly.
func (n Notification) hasFailedWave() bool {
	last := n.Items[len(n.Items)-1]
	return last.Type == v1alpha1.EventWaveStopped || last.Reason == string(v1alpha1.WaveFailed)
}

// tellItems tells one event, or counts several and names the first.
func (n Notification) tellItems(message *notify.Message) {
	if n.Events == 1 && len(n.Items) == 1 {
		item := n.Items[0]
		message.Title = item.sentence()
		if item.Message != "" {
			message.Details = []notify.Detail{{Name: item.name(), Text: item.Message}}
		}
		message.Commands = item.commands()
		return
	}
	counts := map[v1alpha1.NotificationEvent]int{}
	var order []v1alpha1.NotificationEvent
	for _, item := range n.Items {
		if counts[item.Type]++; counts[item.Type] == 1 {
			order = append(order, item.Type)
		}
		message.Details = append(message.Details, notify.Detail{Name: item.name(), Text: item.sentence()})
	}
	message.Omitted = int(n.Events) - len(n.Items)
	parts := make([]string, 0, len(order)+1)
	for _, event := range order {
		parts = append(parts, counted(counts[event], event))
	}
	if message.Omitted > 0 {
		parts = append(parts, fmt.Sprintf("%d more", message.Omitted))
	}
	switch kind, of, _ := strings.Cut(n.Group, "/"); {
	case n.Type == TypeStorm:
		message.Title = fmt.Sprintf("too much to tell one by one: %d events in a minute (%s)", n.Events, strings.Join(parts, ", "))
	case kind == "each":
		first := n.Items[0]
		message.Title = fmt.Sprintf("%s: %s since %s: %s", first.name(), counted(int(n.Events), first.Type), first.At.UTC().Format("15:04 MST"), first.Reason)
	case of == "":
		message.Title = fmt.Sprintf("no %s: %s", kind, strings.Join(parts, ", "))
	default:
		message.Title = fmt.Sprintf("%s %s: %s", kind, of, strings.Join(parts, ", "))
	}
}

// verbs say what became of one and of several, behind the word for them.
var verbs = map[v1alpha1.NotificationEvent][2]string{
	v1alpha1.EventBuildSucceeded: {"build succeeded", "builds succeeded"}, v1alpha1.EventBuildFailed: {"build failed", "builds failed"},
	v1alpha1.EventTriggersCompleted: {"build is done", "builds are done"}, v1alpha1.EventRunSucceeded: {"run succeeded", "runs succeeded"},
	v1alpha1.EventRunFailed: {"run failed", "runs failed"}, v1alpha1.EventRunCancelled: {"run was ended", "runs were ended"},
	v1alpha1.EventRunDelayed: {"run is delayed", "runs are delayed"}, v1alpha1.EventRunHeld: {"run waits", "runs wait"},
}

func counted(n int, event v1alpha1.NotificationEvent) string {
	words, known := verbs[event]
	switch {
	case !known:
		return fmt.Sprintf("%d %s", n, event)
	case n == 1:
		return "1 " + words[0]
	}
	return fmt.Sprintf("%d %s", n, words[1])
}

// name is of what an item tells.
func (i Item) name() string {
	for _, name := range []string{i.Cluster, i.BaseImage, i.Pipeline, i.Build} {
		if name != "" {
			return name
		}
	}
	return string(i.Type)
}

func (i Item) commands() []string {
	if i.Build == "" {
		return nil
	}
	return []string{fmt.Sprintf("kubectl penstock builds %s -n %s", i.Build, i.Namespace)}
}

// run names a run, and the cluster that it is in.
func (i Item) run() string {
	text := fmt.Sprintf("run %d of build %s", i.Run, i.Build)
	if i.RunCluster != "" {
		text += " in cluster " + i.RunCluster
	}
	return text
}

func (i Item) waveSentence() string {
	became := "has ended as " + i.Reason
	if i.Type == v1alpha1.EventWaveStopped {
		became = "has stopped"
	}
	return fmt.Sprintf("wave %d of BaseImage %s %s: %s", i.Wave, i.BaseImage, became, i.Message)
}

// sentence is one line.
func (i Item) sentence() string {
	because := ""
	if i.Reason != "" {
		because = ": " + i.Reason
	}
	at := ""
	if i.Stage != "" {
		at = " at stage " + i.Stage
	}
	switch i.Type {
	case v1alpha1.EventBuildSucceeded:
		return fmt.Sprintf("build %s succeeded", i.Build)
	case v1alpha1.EventBuildFailed:
		return fmt.Sprintf("build %s failed%s", i.Build, because)
	case v1alpha1.EventTriggersCompleted:
		return fmt.Sprintf("all runs of build %s have ended", i.Build)
	case v1alpha1.EventRunSucceeded:
		return fmt.Sprintf("%s: %s succeeded", i.Pipeline, i.run())
	case v1alpha1.EventRunFailed:
		return fmt.Sprintf("%s: %s failed%s%s", i.Pipeline, i.run(), at, because)
	case v1alpha1.EventRunCancelled:
		return fmt.Sprintf("%s: %s was ended%s", i.Pipeline, i.run(), because)
	case v1alpha1.EventRunDelayed:
		return fmt.Sprintf("%s: %s is delayed%s%s", i.Pipeline, i.run(), at, because)
	case v1alpha1.EventRunHeld:
		return fmt.Sprintf("%s: %s waits%s%s", i.Pipeline, i.run(), at, because)
	case v1alpha1.EventClusterUnreachable:
		if i.Reason == string(v1alpha1.ReasonUnauthorized) {
			return fmt.Sprintf("cluster %s refuses the credentials", i.Cluster)
		}
		return fmt.Sprintf("cluster %s is not reachable%s", i.Cluster, because)
	case v1alpha1.EventClusterRecovered:
		return fmt.Sprintf("cluster %s is reachable again", i.Cluster)
	case v1alpha1.EventWaveStopped, v1alpha1.EventWaveFinished:
		return i.waveSentence()
	}
	return string(i.Type)
}
