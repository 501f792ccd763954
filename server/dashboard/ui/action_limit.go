package ui

import "github.com/penstock-cd/penstock/api/rest"

// ConfirmLimit is the confirmation that a live limit is changed.
func ConfirmLimit(inForce rest.Setting, published rest.PublishedSetting) Confirmation {
	asked := Confirmation{
		Section: "Settings", Title: "Change " + published.Key + "?", Button: "Change the limit", Back: []string{"settings"}, Version: published.ResourceVersion,
		Effects: []string{"The controller puts the new value in force within moments, and breaks nothing off that is in flight.", "The ConfigMap penstock-settings is changed in your name."},
		Facts:   []Fact{{"What it does", inForce.Meaning}, {"In force", inForce.Value + from(limitFrom(inForce))}, {"ConfigMap", orNotSet(published.Value)}},
	}
	if published.LastChange != "" {
		last := published.LastChange
		if published.By != "" {
			last += ", by " + shortUser(published.By)
		}
		if published.Reason != "" {
			last += ": " + published.Reason
		}
		asked.Facts = append(asked.Facts, Fact{"Changed last", last})
	}
	asked.NewValue = &ValueField{Value: published.Value, Help: "Empty takes it out of the ConfigMap, so that the environment of the controller holds again."}
	if inForce.Allowed != "" {
		asked.NewValue.Help = "Accepted: " + inForce.Allowed + ". " + asked.NewValue.Help
	}
	return asked
}

func from(source string) string {
	if source == "" {
		return ""
	}
	return " (" + source + ")"
}

func orNotSet(value string) string {
	if value == "" {
		return "does not have it"
	}
	return value
}
