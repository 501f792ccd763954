package main

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/config"
)

const (
	// settingsConfigMap holds the live settings, and freezeSetting is the one of a freeze.
	settingsConfigMap, freezeSetting = "penstock-settings", "FREEZE"
	settingsRole                     = "penstock-settings-editor"
)

// validFreeze refuses what the controller would refuse.
func validFreeze(freeze config.Freeze) error {
	_, refusals := config.Config{}.Override(config.Config{}, map[string]string{freezeSetting: freezeText(freeze)})
	if len(refusals) > 0 {
		return usage("%w", refusals[0])
	}
	return nil
}

// freezeText is the value of the setting. A reason that begins like JSON is written as JSON.
func freezeText(freeze config.Freeze) string {
	text := freeze.String()
	var again config.Freeze
	if err := again.UnmarshalText([]byte(text)); err != nil || again.Reason != freeze.Reason {
		return fmt.Sprintf(`{"reason":%q}`, freeze.Reason)
	}
	return text
}

// change writes what next makes of the freeze that the ConfigMap has now. Another change in
// between is not lost: next is asked again.
func (f *freezing) change(ctx context.Context, who *caller, next func(config.Freeze) (config.Freeze, error)) error {
	err := retry.OnError(retry.DefaultRetry, func(err error) bool { return apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) }, func() error {
		settings := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: f.serverNamespace, Name: settingsConfigMap}}
		err := who.cluster.Get(ctx, client.ObjectKeyFromObject(settings), settings)
		if err != nil && !apierrors.IsNotFound(err) {
			return err
		}
		var now config.Freeze
		if err := now.UnmarshalText([]byte(strings.TrimSpace(settings.Data[freezeSetting]))); err != nil {
			now = config.Freeze{} // the controller refuses it, so that it holds nothing
		}
		wanted, err := next(now)
		if err != nil {
			return err
		}
		return who.writeFreeze(ctx, settings, wanted)
	})
	if apierrors.IsNotFound(err) {
		return fmt.Errorf("there is no namespace %s: name the one that Penstock runs in by --server-namespace", f.serverNamespace)
	}
	if apierrors.ReasonForError(err) != metav1.StatusReasonUnknown {
		return withRole(fmt.Errorf("change ConfigMap %s/%s: %w", f.serverNamespace, settingsConfigMap, err), "ConfigMaps", settingsRole)
	}
	return err
}

// writeFreeze replaces the ConfigMap as it was read: the API server refuses that where it has
// changed since.
func (p *caller) writeFreeze(ctx context.Context, settings *corev1.ConfigMap, wanted config.Freeze) error {
	had, has := settings.Data[freezeSetting]
	if text := freezeText(wanted); wanted.Reason != "" {
		if had == text {
			return nil
		}
		if settings.Data == nil {
			settings.Data = map[string]string{}
		}
		settings.Data[freezeSetting] = text
	} else {
		if !has {
			return nil
		}
		delete(settings.Data, freezeSetting)
	}
	if settings.Annotations == nil {
		settings.Annotations = map[string]string{}
	}
	settings.Annotations[v1alpha1.AnnotationFreezeBy] = p.name(ctx, maxRequestBy)
	if settings.ResourceVersion == "" {
		return p.cluster.Create(ctx, settings)
	}
	return p.cluster.Update(ctx, settings)
}
