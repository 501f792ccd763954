package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// options are the flags of every command.
type options struct {
	server, serverNamespace, serverCA string
	output                            string
	namespace                         string
	rules                             *clientcmd.ClientConfigLoadingRules
	overrides                         clientcmd.ConfigOverrides
}

func newOptions() *options {
	return &options{rules: clientcmd.NewDefaultClientConfigLoadingRules()}
}

// outputs are what -o takes.
var outputs = []string{"table", "wide", "json", "yaml", "name"}

func (o *options) bind(flags *pflag.FlagSet) {
	flags.StringVar(&o.rules.ExplicitPath, "kubeconfig", "", "kubeconfig file; by default $KUBECONFIG, a list, or ~/.kube/config")
	flags.StringVar(&o.overrides.CurrentContext, "context", "", "context of the kubeconfig")
	flags.StringVarP(&o.namespace, "namespace", "n", "", "namespace; by default that of the context")
	flags.StringVar(&o.overrides.AuthInfo.Impersonate, "as", "", "user to act as; needs the verb impersonate")
	flags.StringArrayVar(&o.overrides.AuthInfo.ImpersonateGroups, "as-group", nil, "group to act as; may be repeated")
	flags.StringVar(&o.overrides.AuthInfo.ImpersonateUID, "as-uid", "", "UID to act as")
	flags.StringVar(&o.server, "server", os.Getenv("PENSTOCK_SERVER"), "URL of penstock server; by default as the cluster publishes it ($PENSTOCK_SERVER)")
	flags.StringVar(&o.serverNamespace, "server-namespace", "penstock-system", "namespace in which penstock server publishes its address")
	flags.StringVar(&o.serverCA, "server-ca", "", "file with the CA of --server; by default as the cluster publishes it, and the system's")
	flags.StringVarP(&o.output, "output", "o", "table", "one of "+strings.Join(outputs, ", "))
}

// cluster returns how the kubeconfig reaches the cluster, and the namespace that is meant.
func (o *options) cluster() (*rest.Config, string, error) {
	if err := o.validOutput(); err != nil {
		return nil, "", err
	}
	overrides := o.overrides // a copy, since doctor's checks come here at once
	overrides.Context.Namespace = o.namespace
	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(o.rules, &overrides)
	config, err := loader.ClientConfig()
	if err != nil {
		return nil, "", fmt.Errorf("read the kubeconfig: %w", err)
	}
	namespace, _, err := loader.Namespace()
	if err != nil {
		return nil, "", fmt.Errorf("read the kubeconfig: %w", err)
	}
	return config, namespace, nil
}

// validOutput refuses a form of output that there is not.
func (o *options) validOutput() error {
	if !slices.Contains(outputs, o.output) {
		return usage("-o %s: must be one of %s", o.output, strings.Join(outputs, ", "))
	}
	return nil
}
