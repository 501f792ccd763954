package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/penstock-cd/penstock/pkg/config"
)

// freezeSetting is the setting of a freeze.
const freezeSetting = "FREEZE"

// validFreeze refuses what the controller would refuse.
func validFreeze(freeze config.Freeze) error {
	if refusals := config.Refusals(map[string]string{freezeSetting: freezeText(freeze)}); len(refusals) > 0 {
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

// change writes what next makes of the freeze that is set now. Another change in between is not
// lost: next is asked again.
func (f *freezing) change(ctx context.Context, who *caller, next func(config.Freeze) (config.Freeze, error)) error {
	_, _, err := f.settingsOf(who).change(ctx, func(data map[string]string) error {
		var now config.Freeze
		if err := now.UnmarshalText([]byte(strings.TrimSpace(data[freezeSetting]))); err != nil {
			now = config.Freeze{} // the controller refuses it, so that it holds nothing
		}
		wanted, err := next(now)
		if err != nil {
			return err
		}
		delete(data, freezeSetting)
		if wanted.Reason != "" {
			data[freezeSetting] = freezeText(wanted)
		}
		return nil
	})
	return err
}
