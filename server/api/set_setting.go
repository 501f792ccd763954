package api

import (
	"context"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/pkg/limiting"
	"github.com/penstock-cd/penstock/server/identity"
)

// SetSettingInput is what a person wants of a limit.
type SetSettingInput struct {
	SettingInput

	Body rest.SettingInput
}

func (in *SetSettingInput) allow(ctx context.Context, gate gate) error {
	return in.require(ctx, gate, "get", "update")
}

func setSetting(api huma.API, b *Backend) {
	post(api, b, names{
		id: "set-setting", path: settingPath, summary: "Change a limit while the controller runs",
		description: "Changes one key of the ConfigMap penstock-settings with the caller's own token, and keeps who it was, and the reason, in annotations. A value that the controller would " +
			"refuse is not written, and a key that is as wanted already stays as it is. Callers without a token that the API server knows are refused. Needs `get` and `update` on this " +
			"ConfigMap, and `create` where it does not exist.",
	}, func(ctx context.Context, b *Backend, in *SetSettingInput) (*rest.PublishedSetting, error) {
		user, err := identity.From(ctx)
		if err != nil {
			return nil, err
		}
		change := limiting.Change{Key: in.Key, Value: strings.TrimSpace(in.Body.Value), By: user.Name, Reason: in.Body.Reason}
		changed, err := b.Requests.ChangeSetting(ctx, callerOf(ctx, user), b.SettingsNamespace, in.Body.ResourceVersion, change)
		if err != nil {
			return nil, b.settingRefusal(err)
		}
		b.audit(ctx, "limit is changed", "key", in.Key, "value", changed.Data[in.Key])
		return publishedSetting(in.Key, changed), nil
	})
}
