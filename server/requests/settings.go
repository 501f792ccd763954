package requests

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientv1 "k8s.io/client-go/kubernetes/typed/core/v1"

	"github.com/penstock-cd/penstock/pkg/config"
	"github.com/penstock-cd/penstock/pkg/limiting"
)

// NoSettings is the version of a ConfigMap that does not exist.
const NoSettings = "0"

// Settings reads the ConfigMap with the live settings as the caller. Where there is none, it
// returns an empty one of the version NoSettings. Its errors are the API server's, or ErrNoToken.
func (w *Writer) Settings(ctx context.Context, as Caller, namespace string) (*corev1.ConfigMap, error) {
	client, err := w.configMaps(as, namespace)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, w.timeout)
	defer cancel()
	found, err := client.Get(ctx, config.SettingsMap, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: config.SettingsMap, ResourceVersion: NoSettings}}, nil
	}
	return found, err
}

// ChangeSetting changes one live setting as the caller, and returns the ConfigMap as it is then. One
// that is as wanted already stays as it is. Where seen is not empty, the ConfigMap has to be of that
// version; else, and where somebody else is faster, it is ErrChanged. Other errors are the API
// server's, ErrNoToken, or a *limiting.RefusedError.
func (w *Writer) ChangeSetting(ctx context.Context, as Caller, namespace, seen string, change limiting.Change) (*corev1.ConfigMap, error) {
	found, err := w.Settings(ctx, as, namespace)
	if err != nil {
		return nil, err
	}
	version := found.ResourceVersion
	changed, err := change.Apply(found)
	switch {
	case err != nil:
		return nil, err
	case !changed:
		return found, nil
	case seen != "" && seen != version:
		return nil, ErrChanged
	}
	written, err := w.writeSettings(ctx, as, found)
	if apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) {
		return nil, ErrChanged
	}
	return written, err
}

func (w *Writer) writeSettings(ctx context.Context, as Caller, changed *corev1.ConfigMap) (*corev1.ConfigMap, error) {
	client, err := w.configMaps(as, changed.Namespace)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, w.timeout)
	defer cancel()
	if changed.ResourceVersion == NoSettings {
		changed.ResourceVersion = ""
		return client.Create(ctx, changed, metav1.CreateOptions{})
	}
	return client.Update(ctx, changed, metav1.UpdateOptions{})
}

// configMaps are those of a namespace, with the caller's own token.
func (w *Writer) configMaps(as Caller, namespace string) (clientv1.ConfigMapInterface, error) {
	if as.Token == "" {
		return nil, ErrNoToken
	}
	client, err := clientv1.NewForConfig(w.configOf(as))
	if err != nil {
		return nil, fmt.Errorf("create client for the caller: %w", err)
	}
	return client.ConfigMaps(namespace), nil
}
