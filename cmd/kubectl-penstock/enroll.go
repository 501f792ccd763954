package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
	"sync"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/bounded"
	"github.com/penstock-cd/penstock/pkg/fleet/enroll"
)

const (
	// enrollRate is the requests to Penstock's cluster, per second: an import makes five for
	// each cluster, one after the other.
	enrollRate = 100
	// enrollAtOnce is how many clusters are written at once.
	enrollAtOnce = 10
)

// enrollOptions are the flags of add and import.
type enrollOptions struct {
	*options
	kubeconfig, context string
	labels              map[string]string
	leastRights, dryRun bool
}

const whereHelp = `

--context and --kubeconfig say where clusters are taken from. The cluster that Penstock runs
in is that of the current context, or of --penstock-context and --penstock-kubeconfig.`

// bind hides --context and --kubeconfig of all other commands: here they name the clusters.
func (e *enrollOptions) bind(flags *pflag.FlagSet) {
	flags.StringVar(&e.kubeconfig, "kubeconfig", "", "kubeconfig file to take clusters from; by default $KUBECONFIG, a list, or ~/.kube/config")
	flags.StringVar(&e.rules.ExplicitPath, "penstock-kubeconfig", "", "kubeconfig file of the cluster that Penstock runs in; by default $KUBECONFIG, a list, or ~/.kube/config")
	flags.StringVar(&e.overrides.CurrentContext, "penstock-context", "", "context of the cluster that Penstock runs in; by default the current one")
	flags.StringToStringVar(&e.labels, "labels", nil, "labels for each TargetCluster, as key=value,key=value")
	flags.BoolVar(&e.dryRun, "dry-run", false, "write nothing; with -o yaml or json, print the objects instead, with their credentials")
}

func (e *enrollOptions) bindLeastRights(flags *pflag.FlagSet) {
	flags.BoolVar(&e.leastRights, "least-rights", false, "store the token of config/target, which must be applied in the cluster, in place of the context's own credentials")
}

func (e *enrollOptions) credentials() enroll.Credentials { return enroll.Credentials(e.leastRights) }

// check refuses labels that no object can have, and the one by which Enroller knows its objects.
func (e *enrollOptions) check() error {
	for key, value := range e.labels {
		if key == v1alpha1.LabelManagedBy {
			return usage("--labels %s: the command sets this label itself, to know again what it has written", key)
		}
		if wrong := append(validation.IsQualifiedName(key), validation.IsValidLabelValue(value)...); len(wrong) > 0 {
			return usage("--labels %s=%s: %s", key, value, wrong[0])
		}
	}
	return nil
}

// source is the kubeconfig that clusters are taken from.
func (e *enrollOptions) source() (*clientcmdapi.Config, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = e.kubeconfig
	config, err := rules.Load()
	if err != nil {
		return nil, fmt.Errorf("read the kubeconfig: %w", err)
	}
	if len(config.Contexts) == 0 {
		return nil, errors.New("the kubeconfig has no context: name a file by --kubeconfig")
	}
	return config, nil
}

// enroller writes to the cluster that Penstock runs in.
func (o *options) enroller(dryRun bool) (*enroll.Enroller, error) {
	home, _, err := o.cluster()
	if err != nil {
		return nil, err
	}
	writer, err := clientOfCluster(home)
	if err != nil {
		return nil, err
	}
	if dryRun {
		writer = client.NewDryRunClient(writer)
	}
	return &enroll.Enroller{Client: writer, Namespace: o.serverNamespace, DryRun: dryRun}, nil
}

func clientOfCluster(config *rest.Config) (client.Client, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, coordinationv1.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("know the kinds: %w", err)
		}
	}
	config = rest.CopyConfig(config)
	config.UserAgent, config.Timeout, config.QPS, config.Burst = "kubectl-penstock/"+version, requestTimeout, enrollRate, enrollRate
	made, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("reach the cluster: %w", err)
	}
	return made, nil
}

// explained adds what to do to an error of the API server, and the exit code.
func explained(err error) error { return explainedOf(err, "TargetClusters") }

// explainedOf is explained of other kinds than TargetClusters.
func explainedOf(err error, kinds string) error {
	switch {
	case apierrors.IsForbidden(err), apierrors.IsUnauthorized(err):
		return &exitError{code: exitRefused, err: err}
	case meta.IsNoMatchError(err):
		return fmt.Errorf("%w: the cluster does not know %s: name the one that Penstock runs in by its context", err, kinds)
	}
	return err
}

// outcome is what was done with one candidate.
type outcome struct {
	Name    string `json:"name,omitempty"`
	From    string `json:"from"`
	Result  string `json:"result"`
	Message string `json:"message,omitempty"`

	err error
}

const (
	skipped   = "skipped"
	failed    = "failed"
	duplicate = "duplicate"
)

// enrollAll writes what can be written, and prints a line for each candidate.
func (e *enrollOptions) enrollAll(command *cobra.Command, candidates []enroll.Candidate) error {
	for i := range candidates {
		labels := maps.Clone(candidates[i].Labels)
		if labels == nil {
			labels = map[string]string{}
		}
		maps.Copy(labels, e.labels)
		candidates[i].Labels = labels
	}
	if e.dryRun && (e.output == "yaml" || e.output == "json") {
		return e.printObjects(command, candidates)
	}
	enroller, err := e.enroller(e.dryRun)
	if err != nil {
		return err
	}
	outcomes := attemptAll(command, enroller, candidates)
	if len(outcomes) != 1 || outcomes[0].err == nil { // else the error says it all
		if err := e.printOutcomes(command, outcomes); err != nil {
			return err
		}
	}
	return incomplete(outcomes)
}

// attemptAll writes ten candidates at once. It waits for all of them, also where the person
// interrupts the command: an Enroller takes back what it has written by half.
func attemptAll(command *cobra.Command, enroller *enroll.Enroller, candidates []enroll.Candidate) []outcome {
	count, end := counted(command.ErrOrStderr(), len(candidates), "clusters were written")
	defer end()
	ctx := command.Context()
	results := bounded.Map(context.WithoutCancel(ctx), enrollAtOnce, 0, candidates, func(_ context.Context, one enroll.Candidate) (outcome, error) {
		defer count()
		return attempt(ctx, enroller, one), nil
	})
	outcomes := make([]outcome, len(candidates))
	for i, one := range candidates {
		if outcomes[i] = results[i].Value; results[i].Err != nil {
			outcomes[i] = outcome{Name: one.Name, From: one.From, Result: failed, Message: results[i].Err.Error(), err: results[i].Err}
		}
	}
	return outcomes
}

// counted shows on a terminal how many of some things are done. one may be called by several
// goroutines at once; after end it shows nothing.
func counted(errOut io.Writer, of int, what string) (one, end func()) {
	var mu sync.Mutex
	done, progress := 0, progressOn(errOut)
	one = func() {
		mu.Lock()
		defer mu.Unlock()
		done++
		progress(fmt.Sprintf("%d of %d %s", done, of, what))
	}
	end = func() {
		mu.Lock()
		defer mu.Unlock()
		progress("")
		progress = func(string) {}
	}
	return one, end
}

func attempt(ctx context.Context, enroller *enroll.Enroller, one enroll.Candidate) outcome {
	done := outcome{Name: one.Name, From: one.From, Message: one.Note}
	switch {
	case one.SameAs != "":
		done.Result, done.Message = duplicate, "the same cluster and user as "+one.SameAs
	case one.Err != nil:
		done.Result, done.Message, done.err = skipped, one.Err.Error(), one.Err
	default:
		result, err := enroller.Enroll(ctx, one)
		done.Result = string(result)
		if err != nil {
			err = explained(err)
			done.Result, done.Message, done.err = failed, err.Error(), err
		}
	}
	return done
}

func (e *enrollOptions) printOutcomes(command *cobra.Command, outcomes []outcome) error {
	t := table{head: []string{"CLUSTER", "FROM", "RESULT", "MESSAGE"}, wide: 4, empty: "There are no clusters to import."}
	for _, one := range outcomes {
		t.rows = append(t.rows, []string{one.Name, one.From, one.Result + e.dry(), one.Message})
		if one.err == nil && one.Name != "" {
			t.names = append(t.names, "targetcluster/"+one.Name)
		}
	}
	list := struct {
		Items []outcome `json:"items"`
	}{outcomes}
	return e.print(command.OutOrStdout(), command.ErrOrStderr(), list, t)
}

func (e *enrollOptions) dry() string {
	if e.dryRun {
		return " (dry run)"
	}
	return ""
}

// printObjects prints what would be written, without asking Penstock's cluster.
func (e *enrollOptions) printObjects(command *cobra.Command, candidates []enroll.Candidate) error {
	enroller := &enroll.Enroller{Namespace: e.serverNamespace}
	list := struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
		Items      []any  `json:"items"`
	}{"v1", "List", []any{}}
	outcomes := make([]outcome, len(candidates))
	for i, one := range candidates {
		outcomes[i] = outcome{Name: one.Name, From: one.From, err: one.Err}
		if one.SameAs != "" {
			outcomes[i].Result = duplicate
			continue
		}
		if one.Err != nil {
			continue
		}
		secret, cluster := enroller.Objects(one)
		list.Items = append(list.Items, secret, manifestOf(cluster))
	}
	if err := e.print(command.OutOrStdout(), command.ErrOrStderr(), list, table{}); err != nil {
		return err
	}
	return incomplete(outcomes)
}

// manifestOf leaves the empty status out.
func manifestOf(cluster *v1alpha1.TargetCluster) any {
	return struct {
		APIVersion string                     `json:"apiVersion"`
		Kind       string                     `json:"kind"`
		Metadata   any                        `json:"metadata"`
		Spec       v1alpha1.TargetClusterSpec `json:"spec"`
	}{cluster.APIVersion, cluster.Kind, struct {
		Name        string            `json:"name"`
		Labels      map[string]string `json:"labels,omitempty"`
		Annotations map[string]string `json:"annotations,omitempty"`
	}{cluster.Name, cluster.Labels, cluster.Annotations}, cluster.Spec}
}

// incomplete is the error that some candidates were not enrolled; nil where all were.
func incomplete(outcomes []outcome) error {
	var missing []outcome
	done := 0
	for _, one := range outcomes {
		switch {
		case one.err != nil:
			missing = append(missing, one)
		case one.Result != duplicate:
			done++
		}
	}
	if len(missing) == 0 {
		return nil
	}
	if len(outcomes) == 1 {
		return fmt.Errorf("%s: %w", missing[0].From, missing[0].err)
	}
	lines := []string{fmt.Sprintf("%d of %d clusters were not added", len(missing), len(missing)+done)}
	for _, one := range missing {
		lines = append(lines, "  "+printable(one.From+": "+one.err.Error()))
	}
	code := exitPartial
	if done == 0 {
		code = exitFailed
	}
	return &exitError{code: code, err: errors.New(strings.Join(lines, "\n"))}
}
