package doctor

import (
	"fmt"
	"strings"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
)

const (
	// Tolerance is how far clocks may be apart: the API server tells whole seconds.
	Tolerance = 2 * time.Second
	// tooFar is from which difference on tokens and certificates may be refused.
	tooFar = 30 * time.Second
)

// Lease judges who leads. now is by the API server's clock.
func Lease(lease *coordinationv1.Lease, now time.Time) Finding {
	logs := fmt.Sprintf("look whether a replica runs, and what its log says of the Lease: kubectl -n %s get pods", lease.Namespace)
	holder := ""
	if lease.Spec.HolderIdentity != nil {
		holder = *lease.Spec.HolderIdentity
	}
	if holder == "" {
		return Bad(logs, "nobody leads: the last leader has given the Lease back")
	}
	if lease.Spec.RenewTime == nil || lease.Spec.LeaseDurationSeconds == nil {
		return Bad(logs, "the Lease of %s was never renewed", holder)
	}
	age, valid := now.Sub(lease.Spec.RenewTime.Time), time.Duration(*lease.Spec.LeaseDurationSeconds)*time.Second
	switch {
	case age > valid+Tolerance:
		return Bad(logs, "nobody leads: %s renewed the Lease %s ago, which holds for %s", holder, age.Round(time.Second), valid)
	case age < -Tolerance:
		return Odd("set the clock of its node", "%s leads, and its clock is %s ahead of the API server's", holder, (-age).Round(time.Second))
	}
	since := ""
	if lease.Spec.AcquireTime != nil {
		since = fmt.Sprintf(", since %s", now.Sub(lease.Spec.AcquireTime.Time).Round(time.Second))
	}
	return Good("%s leads%s, and renewed the Lease %s ago", holder, since, max(age, 0).Round(time.Second))
}

// Clock judges a clock against the one here. asked and answered are when the question was
// sent and the answer came, here; told is what the other clock said meanwhile.
func Clock(whose string, asked, answered, told time.Time) Finding {
	if told.IsZero() {
		return Odd("", "%s does not tell its time", whose)
	}
	// What was told was right at some moment between the two, cut to a whole second.
	ahead, behind := told.Sub(answered), asked.Sub(told.Add(time.Second))
	switch apart := max(ahead, behind); {
	case apart > tooFar:
		return Bad("set the clocks, as by NTP: tokens and certificates are refused before they are valid", "the clock of %s and the one here are %s apart", whose, apart.Round(time.Second))
	case apart > Tolerance:
		return Odd("set the clocks, as by NTP", "the clock of %s and the one here are %s apart", whose, apart.Round(time.Second))
	}
	return Good("the clock of %s and the one here agree to within %s", whose, Tolerance)
}

// Versions judges another part's version against the plugin's. One that was not released
// says nothing.
func Versions(part, theirs, plugin string) Finding {
	switch {
	case theirs == "" || theirs == "dev" || plugin == "dev":
		return Good("%s is %s, the plugin %s: not compared", part, orUnknown(theirs), plugin)
	case strings.TrimPrefix(theirs, "v") != strings.TrimPrefix(plugin, "v"):
		return Odd("upgrade the older one: docs/upgrading.md", "%s is %s, the plugin %s", part, theirs, plugin)
	}
	return Good("%s is %s, as the plugin", part, theirs)
}

func orUnknown(version string) string {
	if version == "" {
		return "of unknown version"
	}
	return version
}

// Probe is one line of a readiness probe's answer.
type Probe struct {
	Name string
	// Problem is empty where the probe is well.
	Problem string
}

// Probes reads the answer of the controller's /readyz.
func Probes(answer string) []Probe {
	var probes []Probe
	for line := range strings.Lines(answer) {
		line = strings.TrimSpace(line)
		if name, found := strings.CutPrefix(line, "[+]"); found {
			probes = append(probes, Probe{Name: strings.TrimSuffix(name, " ok")})
			continue
		}
		if rest, found := strings.CutPrefix(line, "[-]"); found {
			name, problem, _ := strings.Cut(rest, " failed: ")
			probes = append(probes, Probe{Name: name, Problem: problem})
		}
	}
	return probes
}
