package enroll

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

const (
	// account is the namespace, and the name, of the Secret of config/target.
	account = "penstock-target"
	// accountTimeout bounds reading it.
	accountTimeout = 30 * time.Second
)

// Credentials says which a candidate has.
type Credentials bool

const (
	// OfContext are the context's own: what its user may do, Penstock may do.
	OfContext Credentials = false
	// OfAccount are the token of config/target, which must have been applied there. It is
	// read with the context's own credentials, whatever they are.
	OfAccount Credentials = true
)

// FromContext returns the cluster of one context. Files with certificates are read, since the
// kubeconfig is the person's own, and the machine theirs; their paths must be absolute. A file
// with a token is refused: it is renewed there, and a copy would expire.
func FromContext(ctx context.Context, config *api.Config, name string, which Credentials) Candidate {
	found := Candidate{From: "context " + name}
	cluster, user, err := partsOf(config, name)
	if err == nil && which == OfAccount {
		user, err = accountOf(ctx, config, name, cluster)
	}
	if err != nil {
		found.Err = err
		return found
	}
	if found.Err = refused(user, name); found.Err != nil {
		return found
	}
	if err := api.FlattenConfig(&api.Config{Clusters: map[string]*api.Cluster{entry: cluster}, AuthInfos: map[string]*api.AuthInfo{entry: user}}); err != nil {
		found.Err = fmt.Errorf("read the files that the kubeconfig names: %w", err)
		return found
	}
	found.fill(cluster, user)
	return found
}

// FromContexts returns the clusters of all contexts, by name. Of contexts with the same cluster
// and user, which differ by their namespace at most, the others are SameAs the first.
func FromContexts(ctx context.Context, config *api.Config, which Credentials) []Candidate {
	var all []Candidate
	first := map[[2]string]string{}
	for _, name := range slices.Sorted(maps.Keys(config.Contexts)) {
		pair := [2]string{config.Contexts[name].Cluster, config.Contexts[name].AuthInfo}
		if same, ok := first[pair]; ok {
			all = append(all, Candidate{From: "context " + name, SameAs: same})
			continue
		}
		found := FromContext(ctx, config, name, which)
		found.named(name)
		first[pair] = found.From
		all = append(all, found)
	}
	tellCollisions(all)
	return all
}

// partsOf returns copies of a context's cluster and user.
func partsOf(config *api.Config, name string) (*api.Cluster, *api.AuthInfo, error) {
	found := config.Contexts[name]
	if found == nil {
		return nil, nil, fmt.Errorf("the kubeconfig has no context %q: kubectl config get-contexts lists them", name)
	}
	cluster, user := config.Clusters[found.Cluster], config.AuthInfos[found.AuthInfo]
	if cluster == nil {
		return nil, nil, fmt.Errorf("the kubeconfig has no cluster %q, which context %q names: correct the context", found.Cluster, name)
	}
	if user == nil {
		return nil, nil, fmt.Errorf("the kubeconfig has no user %q, which context %q names: correct the context", found.AuthInfo, name)
	}
	return cluster.DeepCopy(), user.DeepCopy(), nil
}

// refused says what to do where a user's credentials are made on the person's machine alone.
func refused(user *api.AuthInfo, name string) error {
	var what string
	switch {
	case user.Exec != nil:
		what = fmt.Sprintf("user.exec runs the program %q, which Penstock does not", user.Exec.Command)
	case user.AuthProvider != nil:
		what = fmt.Sprintf("user.auth-provider runs the plugin %q, which Penstock does not", user.AuthProvider.Name)
	case user.TokenFile != "":
		what = "user.tokenFile names a file whose token is renewed there, while a copy would expire"
	default:
		return nil
	}
	return fmt.Errorf("%s: give Penstock an account of its own by kubectl --context %q apply -k config/target, and use --least-rights", what, name)
}

// accountOf returns the token of config/target, and gives the cluster the account's authority
// where it has none.
func accountOf(ctx context.Context, config *api.Config, name string, cluster *api.Cluster) (*api.AuthInfo, error) {
	reach, err := clientcmd.NewNonInteractiveClientConfig(*config, name, &clientcmd.ConfigOverrides{}, nil).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("read the kubeconfig: %w", err)
	}
	reach.Timeout = accountTimeout
	core, err := corev1.NewForConfig(reach)
	if err != nil {
		return nil, fmt.Errorf("reach the cluster of context %q: %w", name, err)
	}
	secret, err := core.Secrets(account).Get(ctx, account, metav1.GetOptions{})
	apply := fmt.Sprintf("kubectl --context %q apply -k config/target", name)
	if apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("the Secret %s/%s is not there: make the account by %s", account, account, apply)
	}
	if err != nil {
		return nil, fmt.Errorf("read the Secret %s/%s of context %q: %w", account, account, name, err)
	}
	token := string(secret.Data["token"])
	if token == "" {
		return nil, errors.New("the Secret " + account + "/" + account + " has no token yet: try again in a moment, or repeat " + apply)
	}
	if cluster.CertificateAuthority == "" && len(cluster.CertificateAuthorityData) == 0 && !cluster.InsecureSkipTLSVerify {
		cluster.CertificateAuthorityData = secret.Data["ca.crt"]
	}
	return &api.AuthInfo{Token: token}, nil
}
