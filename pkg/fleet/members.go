package fleet

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
)

// +kubebuilder:rbac:groups=penstock.dev,resources=targetclusters,verbs=list;watch
// +kubebuilder:rbac:groups="",namespace=penstock-system,resources=secrets,verbs=get;list;watch

// secretTimeout bounds reading one Secret, waiting for the API's token bucket included.
const secretTimeout = 15 * time.Second

// ErrNoMember is the error for a name that no TargetCluster has, or that has no API server
// to be asked: a virtual or a suspended one.
var ErrNoMember = errors.New("no such cluster")

// MembersConfig is what Members needs.
type MembersConfig struct {
	// Namespace is where the Secrets are: that of Penstock itself. Empty where it is not
	// known; then no kubeconfig is found.
	Namespace string
	// Cache reads TargetClusters from memory.
	Cache client.Reader
	// Live reads a Secret by its name, at the API server.
	Live client.Reader
	// Home is how Penstock reaches its own cluster. Optional.
	Home *rest.Config
	// UserAgent is what the clusters see.
	UserAgent string
	// OnChange is called with the name of a TargetCluster that came, went or changed, or
	// whose Secret did. It must not block. Optional.
	OnChange func(name string)
}

// Members are the TargetClusters that exist, with one client for each that was asked for.
// A client is made when it is first needed, anew when the TargetCluster or its Secret has
// changed, and closed when the TargetCluster goes.
type Members struct {
	MembersConfig
	informers cache.Informers
	clusters  cache.Informer

	mu      sync.Mutex
	entries map[string]*member
}

// member is the client of one TargetCluster.
type member struct {
	making chan struct{} // holds one token, for who makes the client

	// These are guarded by Members.mu.
	client     *Client
	failure    *Failure // why there is no client
	uid        types.UID
	spec       v1alpha1.TargetClusterSpec
	kubeconfig []byte
	stale      bool
	gone       bool
}

// NewMembers returns members without clients.
func NewMembers(config MembersConfig) *Members {
	if config.OnChange == nil {
		config.OnChange = func(string) {}
	}
	return &Members{MembersConfig: config, entries: map[string]*member{}}
}

// Watch makes Listen see which TargetClusters change. Secrets are watched from Listen on: a
// replica that stands by reads none.
func (m *Members) Watch(ctx context.Context, informers cache.Informers) (err error) {
	m.informers = informers
	m.clusters, err = informers.GetInformer(ctx, &v1alpha1.TargetCluster{})
	if meta.IsNoMatchError(err) {
		m.clusters = nil // readiness names the kind that is not installed: until then there are no clusters
		return nil
	}
	if err != nil {
		return fmt.Errorf("watch TargetClusters: %w", err)
	}
	return nil
}

// TrimSecret is how a cache keeps Secrets for Watch: which has changed is all that is needed,
// and what they hold is read when it is used.
func TrimSecret(object any) (any, error) {
	if secret, ok := object.(*corev1.Secret); ok {
		secret.Data, secret.StringData, secret.ManagedFields = nil, nil, nil
		secret.Annotations = nil // kubectl apply's copy of the manifest
	}
	return object, nil
}

// Listen begins to follow TargetClusters and Secrets, and returns when the Secrets are known.
// stop ends that and closes every client; it must be called also where there is an error.
func (m *Members) Listen(ctx context.Context) (stop func(), err error) {
	var registered []func()
	stop = func() {
		for _, remove := range registered {
			remove()
		}
		m.Close()
	}
	follow := func(informer cache.Informer, changed func(client.Object, bool)) error {
		registration, err := informer.AddEventHandler(handlerOf(changed))
		if err == nil {
			registered = append(registered, func() { _ = informer.RemoveEventHandler(registration) }) // fails only where it is not registered
		}
		return err
	}
	if m.clusters == nil {
		return stop, nil
	}
	if err := follow(m.clusters, m.clusterChanged); err != nil {
		return stop, fmt.Errorf("watch TargetClusters: %w", err)
	}
	if m.Namespace == "" {
		return stop, nil
	}
	secrets, err := m.informers.GetInformer(ctx, &corev1.Secret{})
	if err != nil {
		return stop, fmt.Errorf("watch Secrets: %w", err)
	}
	if err := follow(secrets, m.secretChanged); err != nil {
		return stop, fmt.Errorf("watch Secrets: %w", err)
	}
	return stop, nil
}

// handlerOf tells of each object that came, went or changed; a resync is no change.
func handlerOf(changed func(object client.Object, gone bool)) toolscache.ResourceEventHandler {
	return toolscache.ResourceEventHandlerFuncs{
		AddFunc: func(object any) { changed(object.(client.Object), false) },
		UpdateFunc: func(before, after any) {
			old, current := before.(client.Object), after.(client.Object)
			if old.GetUID() != current.GetUID() || old.GetGeneration() != current.GetGeneration() ||
				current.GetGeneration() == 0 && old.GetResourceVersion() != current.GetResourceVersion() {
				changed(current, false)
			}
		},
		DeleteFunc: func(object any) {
			if unknown, ok := object.(toolscache.DeletedFinalStateUnknown); ok {
				object = unknown.Obj
			}
			if object, ok := object.(client.Object); ok {
				changed(object, true)
			}
		},
	}
}

func (m *Members) clusterChanged(object client.Object, gone bool) {
	if gone {
		m.Remove(object.GetName())
	}
	m.OnChange(object.GetName())
}

// secretChanged has the clients that were made from a Secret looked at before their next use.
func (m *Members) secretChanged(object client.Object, _ bool) {
	if object.GetNamespace() != m.Namespace {
		return
	}
	m.mu.Lock()
	var names []string
	for name, entry := range m.entries {
		if ref := entry.spec.KubeconfigSecretRef; ref != nil && ref.Name == object.GetName() {
			entry.stale = true
			names = append(names, name)
		}
	}
	m.mu.Unlock()
	for _, name := range names {
		m.OnChange(name)
	}
}

// All returns the TargetClusters that the selector selects, in the order of their names.
// They are the cache's own: they must not be changed.
func (m *Members) All(ctx context.Context, selector labels.Selector) ([]v1alpha1.TargetCluster, error) {
	if m.informers != nil && m.clusters == nil {
		return nil, nil // the kind is not installed
	}
	var list v1alpha1.TargetClusterList
	options := &client.ListOptions{LabelSelector: selector}
	if err := m.Cache.List(ctx, &list, options, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("list TargetClusters: %w", err)
	}
	sortByName(list.Items)
	return list.Items, nil
}

// Client returns the client of a TargetCluster. The error is ErrNoMember, a *Failure where
// the cluster's kubeconfig can't be used, or else one of the API server that has the Secret.
func (m *Members) Client(ctx context.Context, name string) (*Client, error) {
	entry := m.entry(name)
	var cluster v1alpha1.TargetCluster
	err := m.Cache.Get(ctx, types.NamespacedName{Name: name}, &cluster)
	if apierrors.IsNotFound(err) {
		m.Remove(name)
		return nil, fmt.Errorf("TargetCluster %s: %w", name, ErrNoMember)
	}
	if err != nil {
		return nil, fmt.Errorf("get TargetCluster %s: %w", name, err)
	}
	if cluster.Spec.Virtual || cluster.Spec.Suspend {
		m.Remove(name)
		return nil, fmt.Errorf("TargetCluster %s is virtual or suspended: %w", name, ErrNoMember)
	}
	select {
	case entry.making <- struct{}{}:
		defer func() { <-entry.making }()
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for the client of TargetCluster %s: %w", name, ctx.Err())
	}
	if made, failure, ok := m.current(entry, &cluster); ok {
		return orFailure(made, failure)
	}
	return m.renew(ctx, entry, &cluster)
}

func orFailure(made *Client, failure *Failure) (*Client, error) {
	if failure != nil {
		return nil, failure
	}
	return made, nil
}

func (m *Members) entry(name string) *member {
	m.mu.Lock()
	defer m.mu.Unlock()
	entry := m.entries[name]
	if entry == nil {
		entry = &member{making: make(chan struct{}, 1)}
		m.entries[name] = entry
	}
	return entry
}

// current returns what the last Client returned, where that still holds. Where it does
// not, a change of the Secret from now on is noticed.
func (m *Members) current(entry *member, cluster *v1alpha1.TargetCluster) (made *Client, failure *Failure, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !entry.stale && entry.uid == cluster.UID && sameSpec(entry.spec, cluster.Spec) && (entry.client != nil || entry.failure != nil) {
		return entry.client, entry.failure, true
	}
	entry.spec, entry.stale = cluster.Spec, false
	return nil, nil, false
}

func sameSpec(a, b v1alpha1.TargetClusterSpec) bool {
	if (a.KubeconfigSecretRef == nil) != (b.KubeconfigSecretRef == nil) || a.InCluster != b.InCluster {
		return false
	}
	return a.KubeconfigSecretRef == nil || *a.KubeconfigSecretRef == *b.KubeconfigSecretRef
}

// renew makes a client, or keeps the one that there is where the kubeconfig is the same.
func (m *Members) renew(ctx context.Context, entry *member, cluster *v1alpha1.TargetCluster) (*Client, error) {
	kubeconfig, made, err := m.make(ctx, entry, cluster)
	var failure *Failure
	if err != nil && !errors.As(err, &failure) {
		m.mu.Lock()
		entry.stale = true
		m.mu.Unlock()
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if entry.gone {
		if made != nil {
			made.Close()
		}
		return nil, fmt.Errorf("TargetCluster %s was deleted: %w", cluster.Name, ErrNoMember)
	}
	if entry.client != nil && entry.client != made {
		entry.client.Close()
	}
	entry.client, entry.failure, entry.uid, entry.kubeconfig = made, failure, cluster.UID, kubeconfig
	return orFailure(made, failure)
}

func (m *Members) make(ctx context.Context, entry *member, cluster *v1alpha1.TargetCluster) (kubeconfig []byte, made *Client, err error) {
	config := m.Home
	if ref := cluster.Spec.KubeconfigSecretRef; ref != nil {
		if kubeconfig, err = m.read(ctx, *ref); err != nil {
			return nil, nil, err
		}
		m.mu.Lock()
		existing, same := entry.client, bytes.Equal(entry.kubeconfig, kubeconfig) && entry.uid == cluster.UID
		m.mu.Unlock()
		if existing != nil && same {
			return kubeconfig, existing, nil
		}
		if config, err = Parse(kubeconfig); err != nil {
			return kubeconfig, nil, err
		}
	}
	if config == nil {
		return nil, nil, &Failure{Class: BadKubeconfig, Message: "Penstock does not know its own cluster: use kubeconfigSecretRef"}
	}
	config = rest.CopyConfig(config)
	config.UserAgent = m.UserAgent
	made, err = NewClient(config)
	return kubeconfig, made, err
}

// read returns the kubeconfig in a Secret.
func (m *Members) read(ctx context.Context, ref v1alpha1.SecretKeyReference) ([]byte, error) {
	if m.Namespace == "" {
		return nil, &Failure{Class: BadKubeconfig, Message: "Penstock does not know its own namespace, where Secrets are read: set POD_NAMESPACE"}
	}
	ctx, cancel := context.WithTimeout(ctx, secretTimeout)
	defer cancel()
	var secret corev1.Secret
	err := m.Live.Get(ctx, types.NamespacedName{Namespace: m.Namespace, Name: ref.Name}, &secret)
	if apierrors.IsNotFound(err) {
		return nil, &Failure{Class: BadKubeconfig, Message: fmt.Sprintf(
			"Secret %s does not exist in namespace %s: create it with the kubeconfig in its key %s", ref.Name, m.Namespace, ref.Key)}
	}
	if err != nil {
		return nil, fmt.Errorf("get Secret %s: %w", ref.Name, err)
	}
	kubeconfig, ok := secret.Data[ref.Key]
	if !ok {
		return nil, &Failure{Class: BadKubeconfig, Message: fmt.Sprintf(
			"Secret %s in namespace %s has no key %s: store the kubeconfig there, or correct kubeconfigSecretRef.key", ref.Name, m.Namespace, ref.Key)}
	}
	return kubeconfig, nil
}

// Remove closes the client of a TargetCluster that is gone.
func (m *Members) Remove(name string) {
	m.mu.Lock()
	entry := m.entries[name]
	delete(m.entries, name)
	var open *Client
	if entry != nil {
		entry.gone = true
		open, entry.client = entry.client, nil
	}
	m.mu.Unlock()
	if open != nil {
		open.Close()
	}
}

// Close closes every client.
func (m *Members) Close() {
	m.mu.Lock()
	names := make([]string, 0, len(m.entries))
	for name := range m.entries {
		names = append(names, name)
	}
	m.mu.Unlock()
	for _, name := range names {
		m.Remove(name)
	}
}

// Connections returns how many are open to all clusters.
func (m *Members) Connections() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	open := 0
	for _, entry := range m.entries {
		if entry.client != nil {
			open += entry.client.Connections()
		}
	}
	return open
}

func sortByName(clusters []v1alpha1.TargetCluster) {
	slices.SortFunc(clusters, func(a, b v1alpha1.TargetCluster) int { return cmp.Compare(a.Name, b.Name) })
}
