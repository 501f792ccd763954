package dashboard

import (
	"net/url"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/server/dashboard/offer"
	"github.com/penstock-cd/penstock/server/dashboard/ui"
)

// limitActions change a live limit, with the user's own token.
var limitActions = []action{{offer.ChangeLimit, confirmLimit, setLimit}}

// changeable are the offers to change limits. Who may not change them, or not by the dashboard, is
// offered none.
func (v *visit) changeable(limits []rest.Setting) offer.Offers {
	all := v.offered(offer.Limits(v.config.SettingsNamespace, limits))
	if len(all) == 0 {
		return nil
	}
	if _, err := ask[rest.PublishedSetting](v, nil, "settings", all[0].Limit); err != nil {
		return nil
	}
	return all
}

// changed is the limit that the user comes from changing; empty where there is none.
func (v *visit) changed(limits []rest.Setting) string {
	key := v.r.URL.Query().Get("changed")
	for _, one := range limits {
		if one.Key == key {
			return key
		}
	}
	return ""
}

func confirmLimit(v *visit, about offer.Subject) (ui.Confirmation, error) {
	if about.Namespace != v.config.SettingsNamespace {
		return ui.Confirmation{}, noPage
	}
	published, err := ask[rest.PublishedSetting](v, nil, "settings", about.Limit)
	if err != nil {
		return ui.Confirmation{}, err
	}
	inForce := rest.Setting{Key: about.Limit}
	if limits, err := ask[rest.Settings](v, nil, "settings"); err == nil { // those who may not see them may change them
		for _, one := range limits.Items {
			if one.Key == about.Limit {
				inForce = one
			}
		}
	}
	return ui.ConfirmLimit(inForce, published), nil
}

func setLimit(v *visit, about offer.Subject, form answers) (string, error) {
	if about.Namespace != v.config.SettingsNamespace {
		return "", noPage
	}
	wanted := rest.SettingInput{Value: form.value, Reason: form.reason, ResourceVersion: form.version}
	_, err := tell[rest.PublishedSetting](v, wanted, "settings", about.Limit)
	return "/settings?" + url.Values{"changed": {about.Limit}}.Encode(), err
}
