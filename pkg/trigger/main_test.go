package trigger_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/penstock-cd/penstock/pkg/trigger"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newDecider(t testing.TB) trigger.Decider {
	t.Helper()
	filters, err := trigger.NewFilters()
	require.NoError(t, err)
	return trigger.Decider{Filters: filters}
}

// told is decisions as lines, such as "web Skipped/Suspended".
func told(decisions []trigger.Decision) []string {
	lines := make([]string, len(decisions))
	for i, decision := range decisions {
		lines[i] = fmt.Sprintf("%s %s/%s", decision.Pipeline.Name, decision.Outcome, decision.Reason)
	}
	return lines
}
