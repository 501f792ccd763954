package main

import (
	"context"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/pkg/config"
	"github.com/penstock-cd/penstock/pkg/limiting"
)

// settingsAttempts is how often a change is tried that others get ahead of.
const settingsAttempts = 5

// settingsMap is the ConfigMap that the controller puts in force while it runs, read and
// written with the credentials of the kubeconfig.
type settingsMap struct {
	cluster   client.Client
	namespace string
	// user is the name of who changes it; empty where that is not known.
	user func(context.Context) string
}

// settingsMap is the one of the installation that --server-namespace names.
func (o *options) settingsMap() (*settingsMap, error) {
	who, err := o.caller()
	if err != nil {
		return nil, err
	}
	return o.settingsOf(who), nil
}

// settingsOf is the same with the credentials of a caller.
func (o *options) settingsOf(who *caller) *settingsMap {
	user := func(ctx context.Context) string { return who.name(ctx, maxRequestBy) }
	return &settingsMap{cluster: who.cluster, namespace: o.serverNamespace, user: user}
}

// String is the ConfigMap's place, for messages.
func (s *settingsMap) String() string { return s.namespace + "/" + config.SettingsMap }

// read returns the ConfigMap; where there is none, one without a resourceVersion.
func (s *settingsMap) read(ctx context.Context) (*corev1.ConfigMap, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	found := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: config.SettingsMap}}
	err := s.cluster.Get(ctx, client.ObjectKeyFromObject(found), found)
	if err != nil && !apierrors.IsNotFound(err) {
		return nil, s.refused(fmt.Errorf("read the ConfigMap %s: %w", s, err))
	}
	return found, nil
}

// settingsRole grants what is needed.
const settingsRole = "penstock-settings-editor"

// refused adds what to do to an error of the API server.
func (s *settingsMap) refused(err error) error {
	if apierrors.IsNotFound(err) {
		return fmt.Errorf("there is no namespace %s: name the one that Penstock runs in by --server-namespace", s.namespace)
	}
	return withRole(err, "ConfigMaps", settingsRole)
}

// change writes what edit makes of the ConfigMap's data, only where nobody has changed it
// since it was read: else edit is given the newer data. Keys whose value is new must be
// such that the controller takes them. It writes nothing where edit changes nothing or
// returns an error, and returns the data before and after.
func (s *settingsMap) change(ctx context.Context, edit func(data map[string]string) error) (before, after map[string]string, err error) {
	for range settingsAttempts {
		found, err := s.read(ctx)
		if err != nil {
			return nil, nil, err
		}
		before = maps.Clone(found.Data)
		if found.Data == nil {
			found.Data = map[string]string{}
		}
		if err := edit(found.Data); err != nil {
			return nil, nil, err
		}
		if err := limiting.Refused(before, found.Data); err != nil {
			return nil, nil, &exitError{code: exitUsage, err: err}
		}
		if maps.Equal(before, found.Data) {
			return before, found.Data, nil
		}
		limiting.Sign(found, before, s.user(ctx), "")
		err = s.write(ctx, found)
		if err == nil {
			return before, found.Data, nil
		}
		if !apierrors.IsConflict(err) && !apierrors.IsAlreadyExists(err) {
			return nil, nil, s.refused(fmt.Errorf("write the ConfigMap %s: %w", s, err))
		}
	}
	return nil, nil, fmt.Errorf("write the ConfigMap %s: others have changed it %d times meanwhile: try again", s, settingsAttempts)
}

// write creates the ConfigMap, or updates it where it is still the one that was read.
func (s *settingsMap) write(ctx context.Context, changed *corev1.ConfigMap) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	if changed.ResourceVersion == "" {
		return s.cluster.Create(ctx, changed)
	}
	return s.cluster.Update(ctx, changed)
}
