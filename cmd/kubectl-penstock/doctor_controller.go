package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	apiv1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/pkg/doctor"
)

// healthPort is where a controller's pod serves its probes, unless it names another port.
const healthPort = 8081

func (p *patient) controller(ctx context.Context) doctor.Finding {
	pods, err := p.controllers(ctx)
	if err != nil && p.health == "" {
		return unseen(err)
	}
	if p.health != "" {
		if _, err := p.probes(ctx, nil); err != nil {
			return doctor.Bad("look at its log", "the controller does not answer at %s: %v", p.health, err)
		}
		return doctor.Good("it answers at %s", p.health)
	}
	fix := fmt.Sprintf("kubectl -n %s describe pods -l app.kubernetes.io/name=%s", p.namespace, controllerName)
	if len(pods) == 0 {
		return doctor.Bad("install it, or name its namespace by --server-namespace; where it is no pod, name its probes by --controller-health", "no pod of the controller is in namespace %s", p.namespace)
	}
	ready, restarts := 0, int32(0)
	for i := range pods {
		if isReady(&pods[i]) {
			ready++
		}
		for _, status := range pods[i].Status.ContainerStatuses {
			restarts += status.RestartCount
		}
	}
	image := tagOf(controllerOf(&pods[0]).Image)
	switch {
	case ready == 0:
		return doctor.Bad(fix, "none of the %d pods of the controller is ready: %s", len(pods), whyNot(&pods[0]))
	case ready < len(pods):
		return doctor.Odd(fix, "%d of %d pods of the controller are ready", ready, len(pods))
	}
	found := doctor.Versions("the controller", image, version)
	found.Message += fmt.Sprintf("; %d of %d pods are ready, %d restarts", ready, len(pods), restarts)
	return found
}

func isReady(pod *apiv1.Pod) bool {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == apiv1.PodReady {
			return condition.Status == apiv1.ConditionTrue
		}
	}
	return false
}

// whyNot is what Kubernetes says of a pod that is not ready.
func whyNot(pod *apiv1.Pod) string {
	for _, status := range pod.Status.ContainerStatuses {
		if waiting := status.State.Waiting; waiting != nil && waiting.Reason != "" {
			return strings.TrimSpace(waiting.Reason + " " + waiting.Message)
		}
	}
	for _, condition := range pod.Status.Conditions {
		if condition.Status == apiv1.ConditionFalse && condition.Message != "" {
			return condition.Message
		}
	}
	return "it is " + string(pod.Status.Phase)
}

// tagOf is the version that an image's tag names; empty for a digest alone.
func tagOf(image string) string {
	image, _, _ = strings.Cut(image, "@")
	if colon := strings.LastIndex(image, ":"); colon > strings.LastIndex(image, "/") {
		return image[colon+1:]
	}
	return ""
}

func (p *patient) leads(ctx context.Context) doctor.Finding {
	lease, err := p.lease(ctx)
	if apierrors.IsNotFound(err) {
		return doctor.Odd("look whether a controller runs; with LEADER_ELECT=false there is no Lease", "there is no Lease %s/%s: nobody has ever led", p.namespace, leaseName)
	}
	if err != nil {
		return unseen(err)
	}
	_, _, now, err := p.ask(ctx, "/version")
	if err != nil || now.IsZero() {
		now = time.Now()
	}
	return doctor.Lease(lease, now)
}

// database is what the controller's probe says: that Postgres answers, is writable, and has
// the schema of its version.
func (p *patient) database(ctx context.Context) doctor.Finding {
	pod, err := p.leader(ctx)
	switch {
	case p.health != "":
	case err != nil:
		return unseen(err)
	case pod == nil:
		return unseen(errors.New("no pod of the controller is in namespace " + p.namespace))
	}
	probes, err := p.probes(ctx, pod)
	if err != nil {
		return doctor.Odd("", "the controller can't be asked: %v", err)
	}
	for _, probe := range probes {
		switch {
		case probe.Name == "cluster" && probe.Problem != "" && len(probes) == 1:
			return doctor.Odd("", "%s", probe.Problem)
		case probe.Name != "database":
		case probe.Problem != "":
			return doctor.Bad("docs/operations.md#readiness tells what each class means; the log of the controller has the error", "%s", probe.Problem)
		default:
			return doctor.Good("the controller says that Postgres answers, is writable, and has the schema of its version")
		}
	}
	return doctor.Odd("", "the controller's probe does not tell of the database")
}

// probes asks the controller for /readyz, by a port-forward where it is a pod.
func (p *patient) probes(ctx context.Context, pod *apiv1.Pod) ([]doctor.Probe, error) {
	address := strings.TrimSuffix(p.health, "/")
	if address == "" {
		local, end, err := forwardTo(ctx, p.config, p.core, client.ObjectKeyFromObject(pod), healthPortOf(pod))
		if err != nil {
			return nil, err
		}
		defer end()
		address = fmt.Sprintf("http://127.0.0.1:%d", local)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address+"/readyz", http.NoBody)
	if err != nil {
		return nil, err
	}
	response, err := (&http.Client{CheckRedirect: noRedirect}).Do(request)
	if err != nil {
		return nil, unwrapped(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxMetrics))
	return doctor.Probes(string(body)), err
}

func healthPortOf(pod *apiv1.Pod) int32 {
	for _, port := range controllerOf(pod).Ports {
		if port.Name == "probes" {
			return port.ContainerPort
		}
	}
	return healthPort
}

func (p *patient) settings(ctx context.Context) doctor.Finding {
	_, notes, err := p.o.settings(ctx)
	if err != nil {
		return unseen(err)
	}
	for _, note := range notes {
		if strings.HasPrefix(note, "The controller refuses") {
			return doctor.Odd("kubectl penstock settings get, then settings set or unset", "%s", note)
		}
	}
	return doctor.Good("the controller takes all values of the ConfigMap")
}
