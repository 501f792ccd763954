package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/pkg/fleet/enroll"
)

// The values of import --from.
const (
	fromKubeconfig = "kubeconfig"
	fromArgoCD     = "argocd"

	argoCDNamespace = "argocd"
)

func importClustersCommand(o *options) *cobra.Command {
	e := &enrollOptions{options: o}
	var from string
	command := &cobra.Command{
		Use: "import --from kubeconfig|argocd", Short: "Add all clusters of your kubeconfig, or of Argo CD",
		Long: `Add all clusters of your kubeconfig, or of Argo CD, and print a line for each: its name, where
it was found, and what was done. When you repeat the command, it writes what has changed; it
removes nothing.

From kubeconfig: every context. Contexts with the same cluster and user are one cluster.
From argocd: every Secret with the label argocd.argoproj.io/secret-type=cluster in the
namespace -n (argocd), with its labels. Argo CD's accounts may usually write: prefer clusters
add --context --least-rights where you have a context of the cluster.

A name is that of the source in lower case, with a dash for what a name may not hold:
arn:aws:eks:eu-west-1:1:cluster/a becomes arn-aws-eks-eu-west-1-1-cluster-a. Where two
sources would have one name, neither is added, and both are named. What needs a program or a
cloud's plugin (exec, auth-provider, execProviderConfig, awsAuthConfig) is named and skipped.

With --least-rights ten clusters are asked for their token at once, each for at most 30 s, and
5 min where a program of yours logs in. One that does not answer is named, and costs no other.

Exit codes: 0 all were added, 3 some were not, 1 none was.` + whereHelp,
		Example: "  kubectl penstock clusters import --from kubeconfig --kubeconfig fleet.yaml --dry-run\n" +
			"  kubectl penstock clusters import --from argocd --context management -n argocd",
		Args: arguments(cobra.NoArgs),
		RunE: func(command *cobra.Command, _ []string) error {
			if err := e.check(); err != nil {
				return err
			}
			candidates, err := e.candidates(command, from)
			if err != nil {
				return explained(err)
			}
			return e.enrollAll(command, candidates)
		},
	}
	e.bind(command.Flags())
	e.bindLeastRights(command.Flags())
	command.Flags().StringVar(&from, "from", "", "where the clusters are: kubeconfig or argocd; required")
	command.Flags().StringVar(&e.context, "context", "", "with --from argocd, context of the cluster that Argo CD runs in; by default Penstock's")
	return command
}

func (e *enrollOptions) candidates(command *cobra.Command, from string) ([]enroll.Candidate, error) {
	switch {
	case from == fromKubeconfig && e.context != "":
		return nil, usage("--from kubeconfig takes every context: add one by kubectl penstock clusters add NAME --context %s", e.context)
	case from == fromKubeconfig:
		config, err := e.source()
		if err != nil {
			return nil, err
		}
		one, end := counted(command.ErrOrStderr(), len(config.Contexts), "contexts were read")
		defer end()
		return enroll.FromContexts(command.Context(), config, e.credentials(), one), nil
	case from == fromArgoCD && e.leastRights:
		return nil, usage("--least-rights needs a context that reaches the cluster: use --from kubeconfig, or kubectl penstock clusters add")
	case from == fromArgoCD:
		return e.argoCD(command.Context())
	}
	return nil, usage("--from %s: must be kubeconfig or argocd", from)
}

// argoCD reads Argo CD's Secrets.
func (e *enrollOptions) argoCD(ctx context.Context) ([]enroll.Candidate, error) {
	where, err := e.argoCDCluster()
	if err != nil {
		return nil, err
	}
	reader, err := clientOfCluster(where)
	if err != nil {
		return nil, err
	}
	selector, err := labels.Parse(enroll.ArgoCDSelector)
	if err != nil {
		return nil, fmt.Errorf("select Argo CD's clusters: %w", err)
	}
	namespace := e.namespace
	if namespace == "" {
		namespace = argoCDNamespace
	}
	var secrets corev1.SecretList
	if err := reader.List(ctx, &secrets, client.InNamespace(namespace), client.MatchingLabelsSelector{Selector: selector}); err != nil {
		return nil, fmt.Errorf("list the Secrets of Argo CD in namespace %s: %w", namespace, err)
	}
	if len(secrets.Items) == 0 {
		return nil, fmt.Errorf("namespace %s has no Secret with the label %s: name Argo CD's namespace by -n, and its cluster by --context", namespace, enroll.ArgoCDSelector)
	}
	return enroll.FromArgoCD(secrets.Items), nil
}

// argoCDCluster is Penstock's own, unless the flags name another.
func (e *enrollOptions) argoCDCluster() (*rest.Config, error) {
	if e.context == "" && e.kubeconfig == "" {
		where, _, err := e.cluster()
		return where, err
	}
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = e.kubeconfig
	where, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: e.context}).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("read the kubeconfig: %w", err)
	}
	return where, nil
}
