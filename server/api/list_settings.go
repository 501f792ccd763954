package api

import (
	"context"

	"github.com/danielgtaylor/huma/v2"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/pkg/view"
)

// ListSettingsInput asks for the limits of the controller.
type ListSettingsInput struct{ scope view.Scope }

func (in *ListSettingsInput) allow(ctx context.Context, gate gate) (err error) {
	in.scope, err = gate.scope(ctx, "list", "queue", nil)
	return err
}

func listSettings(api huma.API, b *Backend) {
	get(api, b, names{
		id: "list-settings", path: "/api/v1/settings", summary: "List the limits in force",
		description: "The limits that can be changed while the controller runs, as it said with its last sign of life, and where each comes from. FREEZE may name namespaces: it is " +
			"shown to who has the right in all of them. Needs `list` on `queue` in any namespace.",
	}, func(ctx context.Context, b *Backend, in *ListSettingsInput) (*rest.Settings, error) {
		told, err := b.View.Settings(ctx, in.scope)
		if err != nil {
			return nil, err
		}
		return &told, nil
	})
}
