package trigger_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/penstock-cd/penstock/pkg/trigger"
)

func TestTheNameOfABuildThatAMachineMakesIsThatOfItsIdentity(t *testing.T) {
	t.Parallel()
	name, hash := trigger.BuildName("shop", "uid", "delivery")
	again, _ := trigger.BuildName("shop", "uid", "delivery")
	require.Equal(t, name, again)
	require.Regexp(t, "^shop-[a-z2-7]{16}$", name)
	require.Empty(t, validation.IsValidLabelValue(hash))
	for _, other := range [][]string{{"uid", "other"}, {"uid", "delivery", ""}, {"uiddelivery"}, {"uidd", "elivery"}, nil} {
		changed, _ := trigger.BuildName("shop", other...)
		require.NotEqual(t, name, changed, other)
	}
	long, _ := trigger.BuildName(strings.Repeat("shop.", 50), "uid")
	require.Empty(t, validation.IsDNS1123Label(long))
}
