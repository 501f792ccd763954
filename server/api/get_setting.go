package api

import (
	"context"
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/config"
	"github.com/penstock-cd/penstock/pkg/limiting"
	"github.com/penstock-cd/penstock/server/identity"
	"github.com/penstock-cd/penstock/server/problem"
	"github.com/penstock-cd/penstock/server/requests"
	"github.com/penstock-cd/penstock/server/rights"
)

// SettingInput selects a limit that can be changed while the controller runs.
type SettingInput struct {
	Key string `path:"key" maxLength:"100" doc:"Name of the variable."`
}

func (in *SettingInput) allow(ctx context.Context, gate gate) error {
	return in.require(ctx, gate, "get")
}

// require asks for rights on the ConfigMap, and refuses keys that are not live.
func (in *SettingInput) require(ctx context.Context, gate gate, verbs ...string) error {
	var needs []rights.Need
	for _, verb := range verbs {
		needs = append(needs, rights.SettingsNeed(verb, gate.SettingsNamespace))
	}
	if err := gate.require(ctx, needs...); err != nil {
		return err
	}
	for _, v := range config.Variables() {
		if v.Name == in.Key && v.Live {
			return nil
		}
	}
	return problem.New(http.StatusNotFound, "there is no limit "+in.Key+" that can be changed while the controller runs: see /api/v1/settings")
}

const settingPath = "/api/v1/settings/{key}"

func getSetting(api huma.API, b *Backend) {
	get(api, b, names{
		id: "get-setting", path: settingPath, summary: "Get what the ConfigMap says of a limit",
		description: "What the ConfigMap penstock-settings has for the key, as it is at the API server, which is asked with the caller's own token: callers without one are refused. " +
			"Needs `get` on this ConfigMap.",
	}, func(ctx context.Context, b *Backend, in *SettingInput) (*rest.PublishedSetting, error) {
		user, err := identity.From(ctx)
		if err != nil {
			return nil, err
		}
		found, err := b.Requests.Settings(ctx, callerOf(ctx, user), b.SettingsNamespace)
		if err != nil {
			return nil, b.settingRefusal(err)
		}
		return publishedSetting(in.Key, found), nil
	})
}

func publishedSetting(key string, found *corev1.ConfigMap) *rest.PublishedSetting {
	notes := found.Annotations
	return &rest.PublishedSetting{
		Key: key, Value: found.Data[key], ResourceVersion: found.ResourceVersion,
		LastChange: notes[v1alpha1.AnnotationSettingsChange], By: notes[v1alpha1.AnnotationSettingsBy], Reason: notes[v1alpha1.AnnotationSettingsReason],
	}
}

// settingRefusal is why the ConfigMap is not read or changed, for the caller.
func (b *Backend) settingRefusal(err error) error {
	const own = "a limit is changed with your own token, and you have none that the API server knows: use kubectl penstock settings"
	var refused *limiting.RefusedError
	switch {
	case errors.As(err, &refused):
		return problem.New(http.StatusUnprocessableEntity, refused.Error())
	case errors.Is(err, requests.ErrNoToken), apierrors.IsUnauthorized(err) && b.ForeignTokens:
		return problem.New(http.StatusForbidden, own)
	case errors.Is(err, requests.ErrChanged):
		return problem.New(http.StatusConflict, "the limits were changed meanwhile: look at them again")
	}
	return refusal(err)
}
