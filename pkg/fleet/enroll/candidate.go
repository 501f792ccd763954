package enroll

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"

	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"

	"github.com/penstock-cd/penstock/pkg/fleet"
)

// Candidate is a cluster that was found somewhere.
type Candidate struct {
	// Name is that of its TargetCluster; empty where none can be made.
	Name string
	// From is where it was found, such as "context eu-1" or "Secret argocd/eu-1". The same
	// name from elsewhere is another cluster.
	From string
	// Labels are those that the source has for it.
	Labels map[string]string
	// Kubeconfig is what fleet.Parse accepts. It is empty where there is an error.
	Kubeconfig []byte
	// Note is what the person should know; may be empty.
	Note string
	// Err is why it can't be enrolled, and what to do instead. It holds no credentials.
	Err error
	// SameAs is the source of an equal candidate, which is enrolled in place of this one.
	SameAs string
}

// entry is the name of everything in a kubeconfig that is stored.
const entry = "target"

var errNoCredentials = errors.New("there are no credentials: add a token, or a certificate and its key")

// fill makes the kubeconfig of a candidate, and has the check that Penstock itself makes.
func (c *Candidate) fill(cluster *api.Cluster, user *api.AuthInfo) {
	cluster, user = cluster.DeepCopy(), user.DeepCopy()
	cluster.Extensions, user.Extensions = nil, nil
	text, err := clientcmd.Write(api.Config{
		Clusters:       map[string]*api.Cluster{entry: cluster},
		AuthInfos:      map[string]*api.AuthInfo{entry: user},
		Contexts:       map[string]*api.Context{entry: {Cluster: entry, AuthInfo: entry}},
		CurrentContext: entry,
	})
	if err != nil {
		c.Err = errors.New("its kubeconfig can't be written") // the library's error may quote credentials
		return
	}
	config, err := fleet.Parse(text)
	if err != nil {
		c.Err = err
		return
	}
	if config.BearerToken == "" && config.Username == "" && len(config.CertData) == 0 {
		c.Err = errNoCredentials
		return
	}
	c.Kubeconfig, c.Note = text, noteOf(cluster)
}

// noteOf tells what will not work from a pod.
func noteOf(cluster *api.Cluster) string {
	address, err := url.Parse(cluster.Server)
	if err != nil {
		return ""
	}
	host := address.Hostname()
	if ip := net.ParseIP(host); host == "localhost" || ip != nil && ip.IsLoopback() {
		return host + " is the machine itself, and Penstock's pods do not reach a cluster there: use an address that they reach"
	}
	return ""
}

// named gives a candidate the name of a text.
func (c *Candidate) named(text string) {
	name, err := NameOf(text)
	if err != nil && c.Err == nil {
		c.Kubeconfig, c.Err = nil, fmt.Errorf("%w: add it by kubectl penstock clusters add NAME", err)
	}
	c.Name = name
}

// tellCollisions refuses all that would have one name: which of them it is must not depend on
// their order.
func tellCollisions(all []Candidate) {
	byName := map[string][]int{}
	for i := range all {
		if all[i].SameAs == "" && all[i].Name != "" {
			byName[all[i].Name] = append(byName[all[i].Name], i)
		}
	}
	for name, those := range byName {
		if len(those) == 1 {
			continue
		}
		sources := make([]string, len(those))
		for i, index := range those {
			sources[i] = all[index].From
		}
		slices.Sort(sources)
		for _, index := range those {
			all[index].Kubeconfig, all[index].Note = nil, ""
			all[index].Err = fmt.Errorf("%s would all have the name %s: rename them, or add each by kubectl penstock clusters add NAME", strings.Join(sources, " and "), name)
		}
	}
}
