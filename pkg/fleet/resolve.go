package fleet

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	// servedFor is for how long it is believed that a cluster serves a kind in a version,
	// missingFor that it does not serve it.
	servedFor, missingFor = 10 * time.Minute, time.Minute
	// maxDiscovery is the most bytes of a list of kinds that are read.
	maxDiscovery = 4 << 20
)

// ErrNotServed is the error for a kind that a cluster does not have.
var ErrNotServed = errors.New("the cluster does not serve this kind")

// Resource is a kind as one cluster serves it.
type Resource struct {
	Kind
	Version    string
	Namespaced bool
}

// Path is that of the API server for the objects in a namespace, or in all where it is
// empty; with a name that of one object.
func (r Resource) Path(namespace, name string) string {
	path := "/apis/" + r.Group + "/" + r.Version
	if r.Group == "" {
		path = "/api/" + r.Version
	}
	if namespace != "" && r.Namespaced {
		path += "/namespaces/" + namespace
	}
	path += "/" + r.Resource
	if name != "" {
		path += "/" + name
	}
	return path
}

// everywhere are kinds that every supported API server has in this version, so that no
// cluster is asked for them: a thousand clusters would be two thousand requests.
var everywhere = map[Kind]Resource{}

func init() {
	const version = "v1"
	add := func(group string, namespaced bool, resources ...string) {
		for _, resource := range resources {
			kind := Kind{Group: group, Resource: resource}
			everywhere[kind] = Resource{Kind: kind, Version: version, Namespaced: namespaced}
		}
	}
	add("", true, "pods", "services", "events", "configmaps", "serviceaccounts", "persistentvolumeclaims", "endpoints",
		"replicationcontrollers", "resourcequotas", "limitranges")
	add("", false, "nodes", "namespaces", "persistentvolumes")
	add("apps", true, "deployments", "replicasets", "statefulsets", "daemonsets")
	add("batch", true, "jobs", "cronjobs")
	add("networking.k8s.io", true, "ingresses", "networkpolicies")
}

// kindCache is what a client has found out about kinds that not every cluster has.
type kindCache struct {
	mu    sync.Mutex
	known map[Kind]knownKind
}

type knownKind struct {
	resource Resource
	isServed bool
	until    time.Time
}

func (k *kindCache) get(kind Kind, now time.Time) (found knownKind, ok bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	found, ok = k.known[kind]
	return found, ok && now.Before(found.until)
}

func (k *kindCache) put(kind Kind, found knownKind) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.known == nil {
		k.known = map[Kind]knownKind{}
	}
	k.known[kind] = found
}

// Resolve returns how the cluster serves a kind. The error wraps ErrNotServed where it
// does not. Only what is asked for is kept, since a whole list of kinds for each cluster
// would be most of the memory.
func (c *Client) Resolve(ctx context.Context, kind Kind) (Resource, error) {
	if resource, ok := everywhere[kind]; ok {
		return resource, nil
	}
	found, ok := c.kinds.get(kind, time.Now())
	if !ok {
		var err error
		if found, err = c.discover(ctx, kind); err != nil {
			return Resource{}, err
		}
		c.kinds.put(kind, found)
	}
	if !found.isServed {
		return Resource{}, fmt.Errorf("%w: %s: install its CRD there, or leave the cluster out", ErrNotServed, kind)
	}
	return found.resource, nil
}

func (c *Client) discover(ctx context.Context, kind Kind) (knownKind, error) {
	missing := knownKind{until: time.Now().Add(missingFor)}
	version, prefix := "v1", "/api/"
	if kind.Group != "" {
		var group metav1.APIGroup
		if err := c.Read(ctx, http.MethodGet, "/apis/"+kind.Group, nil, maxDiscovery, &group); err != nil {
			return missing, ignoreMissing(err)
		}
		version, prefix = group.PreferredVersion.Version, "/apis/"+kind.Group+"/"
	}
	var list metav1.APIResourceList
	if err := c.Read(ctx, http.MethodGet, prefix+version, nil, maxDiscovery, &list); err != nil {
		return missing, ignoreMissing(err)
	}
	for i := range list.APIResources {
		if resource := &list.APIResources[i]; resource.Name == kind.Resource {
			return knownKind{
				resource: Resource{Kind: kind, Version: version, Namespaced: resource.Namespaced},
				isServed: true, until: time.Now().Add(servedFor),
			}, nil
		}
	}
	return missing, nil
}

func ignoreMissing(err error) error {
	var failure *Failure
	if errors.As(err, &failure) && failure.Status == http.StatusNotFound {
		return nil
	}
	return err
}
