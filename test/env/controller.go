package env

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"syscall"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// ControllerNamespace is where Penstock's service account and Lease are.
const ControllerNamespace = "penstock-system"

// ControllerOptions says how a Controller runs.
type ControllerOptions struct {
	// DatabaseURL defaults to the environment's own.
	DatabaseURL string
	// Binary is the part that runs. Defaults to penstock.
	Binary string
	// Name is that of its log, and must differ between controllers that run at
	// once. Defaults to penstock.
	Name string
	// Cluster is how it reaches the API server, such as through a proxy. Defaults
	// to Penstock's own configuration.
	Cluster *rest.Config
	// Env is added to the process's environment, such as KUBE_API_QPS=5. Of two
	// values of a variable the last one counts.
	Env []string
}

// Controller is bin/penstock as a process of its own, with exactly the rights
// that config/rbac grants.
type Controller struct {
	// MetricsURL and HealthURL are where it serves /metrics and its probes.
	MetricsURL, HealthURL string
	process               *process
}

// InstallController applies config/rbac, without which Penstock may do nothing.
func (e *Environment) InstallController(ctx context.Context) error {
	client, err := kubernetes.NewForConfig(e.Config)
	if err != nil {
		return err
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ControllerNamespace}}
	_, err = client.CoreV1().Namespaces().Create(ctx, namespace, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("create namespace: %w", err)
	}
	return e.install(ctx, "rbac")
}

// InstallNotifications applies config/notifications, which lets nobody do anything before it is
// bound.
func (e *Environment) InstallNotifications(ctx context.Context) error {
	return e.install(ctx, "notifications")
}

// InstallWebhooks applies config/webhooks, which lets nobody do anything before it is bound.
func (e *Environment) InstallWebhooks(ctx context.Context) error {
	return e.install(ctx, "webhooks")
}

// InstallRequests applies config/requests, which lets the server ask for actions in the name of
// people without a token.
func (e *Environment) InstallRequests(ctx context.Context) error {
	return e.install(ctx, "requests")
}

// install applies a folder of config. Of two that apply at once one would find that the other
// has created.
func (e *Environment) install(ctx context.Context, folder string) error {
	root, err := moduleRoot()
	if err != nil {
		return err
	}
	e.installing.Lock()
	defer e.installing.Unlock()
	_, err = e.Kubectl(ctx, "apply", "-k", filepath.Join(root, "config", folder))
	return err
}

// Kubectl runs kubectl as the administrator and returns what it prints.
func (e *Environment) Kubectl(ctx context.Context, args ...string) (string, error) {
	path, err := Part("kubectl")
	if err != nil {
		return "", err
	}
	var stdout, stderr bytes.Buffer
	command := exec.CommandContext(ctx, path, append([]string{"--kubeconfig", e.Kubeconfig}, args...)...)
	command.Stdout, command.Stderr = &stdout, &stderr
	if err := command.Run(); err != nil {
		return stdout.String(), fmt.Errorf("kubectl %v: %w: %s", args, err, stderr.String())
	}
	return stdout.String(), nil
}

// StartController starts bin/penstock and returns when it is ready. It is ended by
// Environment.Stop at the latest.
func (e *Environment) StartController(ctx context.Context, o ControllerOptions) (*Controller, error) {
	c, err := e.LaunchController(o)
	if err != nil {
		return nil, err
	}
	if err := c.WaitReady(ctx); err != nil {
		return nil, errors.Join(err, c.Stop())
	}
	return c, e.saveState()
}

// LaunchController is StartController without waiting: the database may be down.
func (e *Environment) LaunchController(o ControllerOptions) (*Controller, error) {
	path, err := Part(cmp.Or(o.Binary, "penstock"))
	if err != nil {
		return nil, err
	}
	name := cmp.Or(o.Name, "penstock")
	kubeconfig := filepath.Join(e.Dir, name+".kubeconfig")
	if err := writeKubeconfig(kubeconfig, cmp.Or(o.Cluster, e.ConfigFor(Penstock))); err != nil {
		return nil, fmt.Errorf("write kubeconfig of %s: %w", name, err)
	}
	metrics, err := e.leasePort()
	if err != nil {
		return nil, err
	}
	health, err := e.leasePort()
	if err != nil {
		return nil, err
	}
	p, err := e.spawn(tierClients, command{
		name: name, path: path, args: []string{"controller"},
		env: append([]string{
			"KUBECONFIG=" + kubeconfig, "DATABASE_URL=" + cmp.Or(o.DatabaseURL, e.DatabaseURL),
			"METRICS_BIND_ADDRESS=" + metrics.address(), "HEALTH_PROBE_BIND_ADDRESS=" + health.address(),
			"LEADER_ELECT=false", "POD_NAMESPACE=" + ControllerNamespace,
		}, o.Env...),
	})
	if err != nil {
		return nil, err
	}
	return &Controller{
		MetricsURL: "http://" + metrics.address() + "/metrics",
		HealthURL:  "http://" + health.address(),
		process:    p,
	}, nil
}

// WaitReady returns when the controller says that it is ready.
func (c *Controller) WaitReady(ctx context.Context) error {
	client := &http.Client{Timeout: readyTimeout}
	return c.process.until(ctx, func(ctx context.Context) error { return httpOK(ctx, client, c.HealthURL+"/readyz") })
}

// Log is the path of its log.
func (c *Controller) Log() string { return c.process.log }

// Stop ends it with SIGTERM and waits.
func (c *Controller) Stop() error { return c.process.stop() }

// Ended is closed when the process has ended.
func (c *Controller) Ended() <-chan struct{} { return c.process.done }

// Exit returns how the process ended, an *exec.ExitError where the exit status is
// not 0. It waits for the end.
func (c *Controller) Exit() error {
	<-c.process.done
	return c.process.err
}

// Signal sends a signal, such as SIGSTOP, and does not wait.
func (c *Controller) Signal(s syscall.Signal) error { return c.process.signal(s) }

// Kill ends it at once, with SIGKILL, and waits.
func (c *Controller) Kill() error {
	if err := c.process.signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-c.process.done
	return nil
}

// PID is its process id.
func (c *Controller) PID() int { return c.process.handle.Pid }
