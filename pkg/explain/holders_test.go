package explain_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/pkg/explain"
)

func TestHoldersInNamespacesThatAReaderDoesNotSeeAreCounted(t *testing.T) {
	t.Parallel()
	sees := func(namespace string) bool { return namespace == "shop" }
	for sentence, tc := range map[string]struct{ named, want []string }{
		"nobody holds the gate": {nil, nil},
		"all are seen":          {[]string{"shop/a since NOON", "shop/b since NOON"}, []string{"shop/a since NOON", "shop/b since NOON"}},
		"none is seen":          {[]string{"pay/a since NOON", "hr/b since NOON"}, []string{"2 in namespaces that you may not read"}},
		"some are, and there are more": {
			[]string{"pay/a since NOON", "shop/b since NOON", "…"}, []string{"shop/b since NOON", "1 in namespaces that you may not read", "…"},
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tc.want, explain.SeenHolders(tc.named, sees))
		})
	}
}
