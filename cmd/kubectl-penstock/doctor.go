package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"
	authorization "k8s.io/client-go/kubernetes/typed/authorization/v1"
	corev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"

	"github.com/penstock-cd/penstock/pkg/doctor"
)

const (
	// doctorTimeout bounds all checks, which run beside each other.
	doctorTimeout = 15 * time.Second
	// doctorRate is how many requests a second the checks send to the API server.
	doctorRate = 50
)

// patient is the installation that is looked at, with the user's own rights.
type patient struct {
	installation

	o      *options
	config *rest.Config
	http   *http.Client
	// host is the API server's address.
	host *url.URL
	core corev1.CoreV1Interface
	asks authorization.AuthorizationV1Interface
	// home is the namespace that the user means.
	home string
	// health is the address of the controller's probes that the user has named.
	health string
}

func doctorCommand(o *options) *cobra.Command {
	health := ""
	command := &cobra.Command{
		Use: "doctor [CLUSTER]", Short: "Look at the installation and name what is wrong, or at one TargetCluster",
		Long: `Look at the installation and name what is wrong: a line for each check, with ok, warn or fail, and
what to do. With the name of a TargetCluster, look at that.

All is read with your own rights; what you may not read is a warning that says so. The checks run
beside each other and end within 15 s. What the controller says of its database is asked by a
port-forward to its pod, which needs the right to create pods/portforward in --server-namespace.

Exit codes: 0 no check has failed, 1 at least one has.`,
		Example: "  kubectl penstock doctor\n  kubectl penstock doctor eu-1\n  kubectl penstock doctor -o json",
		Args:    arguments(cobra.MaximumNArgs(1)),
		RunE: func(command *cobra.Command, args []string) error {
			p, err := o.patient(health)
			if err != nil {
				return err
			}
			checks := p.checks()
			if len(args) == 1 {
				checks = p.checksOfCluster(args[0])
			}
			return o.printFindings(command, doctor.Run(command.Context(), doctorTimeout, checks))
		},
	}
	command.Flags().StringVar(&health, "controller-health", "", "URL of the controller's probes, where it is no pod, such as http://localhost:8081")
	return command
}

func (o *options) patient(health string) (*patient, error) {
	config, home, err := o.cluster()
	if err != nil {
		return nil, err
	}
	cluster, err := clientOfCluster(config)
	if err != nil {
		return nil, err
	}
	config = rest.CopyConfig(config)
	config.UserAgent, config.Timeout, config.QPS, config.Burst = "kubectl-penstock/"+version, doctorTimeout, doctorRate, doctorRate
	p := &patient{installation: installation{cluster, o.serverNamespace}, o: o, config: config, home: home, health: health}
	if p.http, err = rest.HTTPClientFor(config); err != nil {
		return nil, fmt.Errorf("reach the cluster: %w", err)
	}
	if p.host, _, err = rest.DefaultServerUrlFor(config); err != nil {
		return nil, fmt.Errorf("reach the cluster: %w", err)
	}
	if p.core, err = corev1.NewForConfig(config); err != nil {
		return nil, fmt.Errorf("reach the cluster: %w", err)
	}
	if p.asks, err = authorization.NewForConfig(config); err != nil {
		return nil, fmt.Errorf("reach the cluster: %w", err)
	}
	return p, nil
}

// checks are all of an installation, in the order in which they are printed.
func (p *patient) checks() []doctor.Check {
	return []doctor.Check{
		{Name: "API server", Look: p.apiServer},
		{Name: "clock", Look: p.clock},
		{Name: "Penstock's kinds", Look: p.ownKinds},
		{Name: "Argo's kinds", Look: p.argoKinds},
		{Name: "controller", Look: p.controller},
		{Name: "controller's rights", Look: p.rights},
		{Name: "leader", Look: p.leads},
		{Name: "database", Look: p.database},
		{Name: "settings", Look: p.settings},
		{Name: "server", Look: p.server},
		{Name: "Argo takes Workflows", Look: p.takenUp},
		{Name: "Argo's instanceID", Look: p.instanceID},
		{Name: "your rights", Look: p.yourRights},
	}
}

func (o *options) printFindings(command *cobra.Command, findings []doctor.Finding) error {
	t := table{head: []string{"STATUS", "CHECK", "RESULT"}, wide: 3}
	for _, finding := range findings {
		text := finding.Message
		if finding.Fix != "" {
			text += " → " + finding.Fix
		}
		t.rows = append(t.rows, []string{string(finding.Status), finding.Check, text})
		t.names = append(t.names, string(finding.Status)+"/"+finding.Check)
	}
	if err := o.print(command.OutOrStdout(), command.ErrOrStderr(), map[string]any{"items": findings}, t); err != nil {
		return err
	}
	if doctor.Failed(findings) {
		return errors.New("at least one check has failed")
	}
	return nil
}

// ask reads a path of the API server. The date is its own.
func (p *patient) ask(ctx context.Context, path string) (body []byte, status int, date time.Time, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.host.JoinPath(path).String(), http.NoBody)
	if err != nil {
		return nil, 0, time.Time{}, err
	}
	response, err := p.http.Do(request)
	if err != nil {
		return nil, 0, time.Time{}, unwrapped(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err = io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	date, _ = http.ParseTime(response.Header.Get("Date")) // the zero time where there is none
	return body, response.StatusCode, date, err
}
