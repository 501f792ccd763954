package enroll

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"

	"github.com/penstock-cd/penstock/pkg/bounded"
)

const (
	// account is the namespace, and the name, of the Secret of config/target.
	account = "penstock-target"
	// accountTimeout bounds reading it.
	accountTimeout = 30 * time.Second
	// atOnce is how many contexts are read at once, contextTimeout how long one may take: a
	// program that a context runs may have to ask the person first.
	atOnce, contextTimeout = 10, 5 * time.Minute
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
	found := Candidate{From: from(name)}
	cluster, user, err := partsOf(config, name)
	if err == nil && which == OfAccount {
		user, err = accountOf(ctx, name, cluster, user)
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
// and user, which differ by their namespace at most, the others are SameAs the first. Ten
// are read at once, each for 5 min at most, and one that fails or is late costs no other; when
// ctx ends, its error is that of all that are not done. onFound is called for each that is done,
// by several goroutines at once.
func FromContexts(ctx context.Context, config *api.Config, which Credentials, onFound func()) []Candidate {
	names := slices.Sorted(maps.Keys(config.Contexts))
	same := sameAs(config, names)
	var prompts sync.Mutex
	results := bounded.Map(ctx, atOnce, contextTimeout, names, func(ctx context.Context, name string) (Candidate, error) {
		defer onFound()
		if first := same[name]; first != "" {
			return Candidate{From: from(name), SameAs: from(first)}, nil
		}
		if which == OfAccount && mayPrompt(config, name) {
			prompts.Lock() // two programs can't read one terminal
			defer prompts.Unlock()
		}
		return FromContext(ctx, config, name, which), nil
	})
	all := make([]Candidate, len(names))
	for i, name := range names {
		if all[i] = results[i].Value; results[i].Err != nil {
			all[i] = Candidate{From: from(name), Err: results[i].Err}
		}
		if all[i].SameAs == "" {
			all[i].named(name)
		}
	}
	tellCollisions(all)
	return all
}

func from(name string) string { return "context " + name }

// sameAs returns, by a context's name, the first that has the same cluster and user.
func sameAs(config *api.Config, names []string) map[string]string {
	first, same := map[[2]string]string{}, map[string]string{}
	for _, name := range names {
		pair := [2]string{config.Contexts[name].Cluster, config.Contexts[name].AuthInfo}
		if known, ok := first[pair]; ok {
			same[name] = known
			continue
		}
		first[pair] = name
	}
	return same
}

// mayPrompt is true for a program that needs the person's input.
func mayPrompt(config *api.Config, name string) bool {
	user := config.AuthInfos[config.Contexts[name].AuthInfo]
	return user != nil && user.Exec != nil && user.Exec.InteractiveMode == api.AlwaysExecInteractiveMode
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

// accountOf returns the token of config/target, which a context's user reads, and gives the
// cluster the account's authority where it has none.
func accountOf(ctx context.Context, name string, cluster *api.Cluster, user *api.AuthInfo) (*api.AuthInfo, error) {
	// Of this context alone: client-go writes to what it is given, and contexts share users.
	config := api.Config{
		Clusters: map[string]*api.Cluster{name: cluster}, AuthInfos: map[string]*api.AuthInfo{name: user.DeepCopy()},
		Contexts: map[string]*api.Context{name: {Cluster: name, AuthInfo: name}},
	}
	reach, err := clientcmd.NewNonInteractiveClientConfig(config, name, &clientcmd.ConfigOverrides{}, nil).ClientConfig()
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
