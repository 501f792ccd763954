package enroll

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/fleet"
)

const (
	// managedBy marks what an Enroller has written, as v1alpha1.LabelManagedBy.
	managedBy = "kubectl-penstock"
	// annotationFrom is where the cluster was found.
	annotationFrom = "penstock.dev/enrolled-from"
	// key is that of the Secret's data.
	key = "kubeconfig"
	// takeBackTimeout bounds deleting a Secret that was created in vain.
	takeBackTimeout = 5 * time.Second
)

// Result is what was done.
type Result string

// The results of enrolling.
const (
	Created   Result = "created"
	Updated   Result = "updated"
	Unchanged Result = "unchanged"
)

// Enroller writes to the cluster that Penstock runs in.
type Enroller struct {
	// Client has the person's own rights. A client.NewDryRunClient writes nothing.
	Client client.Client
	// Namespace is where Penstock reads Secrets: its own.
	Namespace string
	// DryRun says that Client writes nothing.
	DryRun bool
}

// Objects are what a candidate becomes: a Secret and a TargetCluster of the same name.
func (e *Enroller) Objects(c Candidate) (*corev1.Secret, *v1alpha1.TargetCluster) {
	from := map[string]string{annotationFrom: c.From}
	mark := map[string]string{v1alpha1.LabelManagedBy: managedBy}
	secret := &corev1.Secret{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
		ObjectMeta: metav1.ObjectMeta{Namespace: e.Namespace, Name: c.Name, Labels: mark, Annotations: from},
		Data:       map[string][]byte{key: c.Kubeconfig},
	}
	labels := maps.Clone(mark)
	maps.Copy(labels, c.Labels)
	cluster := &v1alpha1.TargetCluster{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "TargetCluster"},
		ObjectMeta: metav1.ObjectMeta{Name: c.Name, Labels: labels, Annotations: maps.Clone(from)},
		Spec:       v1alpha1.TargetClusterSpec{KubeconfigSecretRef: &v1alpha1.SecretKeyReference{Name: c.Name, Key: key}},
	}
	return secret, cluster
}

// Enroll writes a candidate that has no error; again, it writes what has changed, or nothing.
// Objects that others have made, or that were made of another source or for another server,
// are never changed: the error names them. Labels that a person has added stay.
func (e *Enroller) Enroll(ctx context.Context, c Candidate) (Result, error) {
	wantSecret, wantCluster := e.Objects(c)
	secret, cluster := &corev1.Secret{}, &v1alpha1.TargetCluster{}
	hasCluster, err := e.find(ctx, wantCluster, cluster)
	if err != nil {
		return "", err
	}
	hasSecret, err := e.find(ctx, wantSecret, secret)
	if err != nil {
		return "", err
	}
	if hasCluster && cluster.Spec.KubeconfigSecretRef == nil {
		return "", fmt.Errorf("%s has no kubeconfigSecretRef any more, since somebody has changed how it is reached: choose another name, or remove it by kubectl penstock clusters remove %s",
			titleOf(cluster), cluster.Name)
	}
	if server := otherServer(secret, wantSecret); server != "" {
		return "", fmt.Errorf("%s is the cluster at %s, and %s is another one: choose another name, or remove it by kubectl penstock clusters remove %s",
			titleOf(wantCluster), server, c.From, c.Name)
	}
	secretResult, err := e.writeSecret(ctx, hasSecret, secret, wantSecret)
	if err != nil {
		return "", err
	}
	result, err := e.writeCluster(ctx, hasCluster, cluster, wantCluster)
	if err != nil {
		return "", errors.Join(err, e.takeBack(ctx, secretResult, secret))
	}
	if err := e.own(ctx, secret, cluster); err != nil {
		return "", err
	}
	if result == Unchanged && secretResult != Unchanged {
		return Updated, nil
	}
	return result, nil
}

// find reads the object that is there in place of a wanted one, and refuses one that is not
// ours.
func (e *Enroller) find(ctx context.Context, want, found client.Object) (bool, error) {
	err := e.Client.Get(ctx, client.ObjectKeyFromObject(want), found)
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("get %s: %w", titleOf(want), err)
	}
	if !isOurs(found) {
		return false, fmt.Errorf("%s exists, and was not made by kubectl penstock clusters: choose another name, or delete it", titleOf(want))
	}
	if from := found.GetAnnotations()[annotationFrom]; from != want.GetAnnotations()[annotationFrom] {
		return false, fmt.Errorf("%s was made from %s: choose another name, or remove it by kubectl penstock clusters remove %s",
			titleOf(want), cmp.Or(from, "an unknown source"), want.GetName())
	}
	return true, nil
}

// otherServer is the address in a Secret where that in a wanted one is another: contexts of
// different kubeconfigs often have one name. It is empty where either can't be told.
func otherServer(have, want *corev1.Secret) string {
	old, err := fleet.Parse(have.Data[key])
	if err != nil {
		return ""
	}
	wanted, err := fleet.Parse(want.Data[key])
	if err != nil || wanted.Host == old.Host {
		return ""
	}
	return old.Host
}

func isOurs(object client.Object) bool {
	return object.GetLabels()[v1alpha1.LabelManagedBy] == managedBy
}

func titleOf(object client.Object) string {
	if namespace := object.GetNamespace(); namespace != "" {
		return "Secret " + namespace + "/" + object.GetName()
	}
	return "TargetCluster " + object.GetName()
}

// writeSecret leaves the Secret as it is in have.
func (e *Enroller) writeSecret(ctx context.Context, exists bool, have, want *corev1.Secret) (Result, error) {
	if !exists {
		want.DeepCopyInto(have)
		return Created, e.create(ctx, have)
	}
	if bytes.Equal(have.Data[key], want.Data[key]) {
		return Unchanged, nil
	}
	have.Data = want.Data
	return Updated, e.update(ctx, have)
}

func (e *Enroller) writeCluster(ctx context.Context, exists bool, have, want *v1alpha1.TargetCluster) (Result, error) {
	if !exists {
		want.DeepCopyInto(have)
		return Created, e.create(ctx, have)
	}
	labels := maps.Clone(have.Labels)
	maps.Copy(labels, want.Labels)
	if maps.Equal(labels, have.Labels) && *have.Spec.KubeconfigSecretRef == *want.Spec.KubeconfigSecretRef {
		return Unchanged, nil
	}
	have.Labels, have.Spec.KubeconfigSecretRef = labels, want.Spec.KubeconfigSecretRef
	return Updated, e.update(ctx, have)
}

func (e *Enroller) create(ctx context.Context, object client.Object) error {
	err := e.Client.Create(ctx, object)
	if apierrors.IsNotFound(err) && object.GetNamespace() != "" {
		return fmt.Errorf("create %s: there is no namespace %s: name Penstock's namespace by --server-namespace", titleOf(object), e.Namespace)
	}
	if err != nil {
		return fmt.Errorf("create %s: %w", titleOf(object), err)
	}
	return nil
}

func (e *Enroller) update(ctx context.Context, object client.Object) error {
	if err := e.Client.Update(ctx, object); err != nil {
		return fmt.Errorf("update %s: %w", titleOf(object), err)
	}
	return nil
}

// takeBack leaves no credentials behind for which there is no TargetCluster, also where the
// person has interrupted the command.
func (e *Enroller) takeBack(ctx context.Context, result Result, secret *corev1.Secret) error {
	if result != Created {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), takeBackTimeout)
	defer cancel()
	if err := e.Client.Delete(ctx, secret); err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("the Secret %s/%s was made and could not be deleted again, delete it: %w", secret.Namespace, secret.Name, err)
	}
	return nil
}

// own has the Secret deleted by Kubernetes where the TargetCluster is.
func (e *Enroller) own(ctx context.Context, secret *corev1.Secret, cluster *v1alpha1.TargetCluster) error {
	owner := metav1.OwnerReference{APIVersion: v1alpha1.GroupVersion.String(), Kind: "TargetCluster", Name: cluster.Name, UID: cluster.UID}
	if owners := secret.OwnerReferences; e.DryRun || len(owners) == 1 && owners[0] == owner {
		return nil
	}
	secret.OwnerReferences = []metav1.OwnerReference{owner}
	return e.update(ctx, secret)
}

// Removal is what belongs to a TargetCluster.
type Removal struct {
	Cluster *v1alpha1.TargetCluster
	// Secret is deleted with it; nil where it is kept.
	Secret *corev1.Secret
	// Kept is the Secret that stays, with the reason; empty where there is none.
	Kept string
}

// Find returns what Remove would delete. The error is one of the API server; it is NotFound
// where there is no such TargetCluster.
func (e *Enroller) Find(ctx context.Context, name string) (Removal, error) {
	found := Removal{Cluster: &v1alpha1.TargetCluster{}}
	if err := e.Client.Get(ctx, client.ObjectKey{Name: name}, found.Cluster); err != nil {
		return found, fmt.Errorf("get TargetCluster %s: %w", name, err)
	}
	ref := found.Cluster.Spec.KubeconfigSecretRef
	if ref == nil {
		return found, nil
	}
	secret, title := &corev1.Secret{}, e.Namespace+"/"+ref.Name
	err := e.Client.Get(ctx, client.ObjectKey{Namespace: e.Namespace, Name: ref.Name}, secret)
	if apierrors.IsNotFound(err) {
		return found, nil
	}
	if err != nil {
		return found, fmt.Errorf("get Secret %s: %w", title, err)
	}
	if !isOurs(secret) {
		found.Kept = title + " was not made by kubectl penstock clusters"
		return found, nil
	}
	other, err := e.otherUser(ctx, name, ref.Name)
	if err != nil {
		return found, err
	}
	if other != "" {
		found.Kept = title + " is used by TargetCluster " + other + " as well"
		return found, nil
	}
	found.Secret = secret
	return found, nil
}

// otherUser is another TargetCluster that has the same Secret.
func (e *Enroller) otherUser(ctx context.Context, name, secret string) (string, error) {
	var all v1alpha1.TargetClusterList
	if err := e.Client.List(ctx, &all); err != nil {
		return "", fmt.Errorf("list TargetClusters: %w", err)
	}
	for i := range all.Items {
		if ref := all.Items[i].Spec.KubeconfigSecretRef; ref != nil && ref.Name == secret && all.Items[i].Name != name {
			return all.Items[i].Name, nil
		}
	}
	return "", nil
}

// Remove deletes what Find has returned, unless another object has its name by now.
func (e *Enroller) Remove(ctx context.Context, found Removal) error {
	objects := []client.Object{found.Cluster}
	if found.Secret != nil {
		objects = append(objects, found.Secret)
	}
	for _, object := range objects {
		uid := object.GetUID()
		err := e.Client.Delete(ctx, object, client.Preconditions{UID: &uid})
		if err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("delete %s: %w", titleOf(object), err)
		}
	}
	return nil
}
