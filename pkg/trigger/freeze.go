package trigger

import (
	"fmt"
	"slices"
	"time"

	"github.com/penstock-cd/penstock/api/v1alpha1"
)

// Freeze stops all triggering of CD pipelines, in the whole cluster or in some namespaces.
// The zero Freeze stops nothing.
type Freeze struct {
	// Reason is for people. Empty means that there is no freeze.
	Reason string
	// Until is when it ends by itself; zero means when the setting is taken away.
	Until time.Time
	// Namespaces are those that it holds for; empty means all.
	Namespaces []string
}

// Holds tells whether nothing is triggered in the namespace at the time.
func (f Freeze) Holds(namespace string, at time.Time) bool {
	return f.Reason != "" && (f.Until.IsZero() || at.Before(f.Until)) &&
		(len(f.Namespaces) == 0 || slices.Contains(f.Namespaces, namespace))
}

// Hold is what holds a stage of the namespace at the time because of the freeze.
func (f Freeze) Hold(namespace string, at time.Time) Hold {
	switch {
	case !f.Holds(namespace, at):
		return Hold{}
	case f.Until.IsZero():
		return Hold{v1alpha1.ReasonFreeze, truncate(fmt.Sprintf("deployments are frozen: %s; wait until the setting FREEZE is taken away, or create a RunRequest with action Resume", f.Reason))}
	default:
		return Hold{v1alpha1.ReasonFreeze, truncate(fmt.Sprintf("deployments are frozen until %s: %s; wait, or create a RunRequest with action Resume", f.Until.UTC().Format(time.RFC3339), f.Reason))}
	}
}
