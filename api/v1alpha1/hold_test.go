package v1alpha1_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/given"
)

// heldBy returns a pipeline with this spec.hold, and with the annotation hold-by where name is not empty.
func heldBy(name string, hold bool) *v1alpha1.CdPipeline {
	return given.CdPipeline("", func(p *v1alpha1.CdPipeline) {
		p.GenerateName, p.Spec.Hold = "held-", hold
		if name != "" {
			p.Annotations = map[string]string{v1alpha1.AnnotationHoldBy: name}
		}
	})
}

func TestNobodyHoldsAPipelineInTheNameOfSomebodyElse(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.allow(t, "bob", verbs("cdpipelines", "", "create", "patch", "get"))
	bob := o.as(t, "bob")
	eventually(t, func(ctx context.Context) (bool, error) {
		probe := heldBy("ann", true)
		probe.Namespace = o.namespace
		err := bob.Create(ctx, probe, client.DryRunAll)
		return apierrors.IsForbidden(err), ignoreForbidden(err)
	})
	for sentence, tc := range map[string]struct {
		creator env.User
		before  *v1alpha1.CdPipeline
		patch   string
		refused bool
	}{
		"one is made that names its maker":               {"bob", heldBy("bob", true), "", false},
		"one is made that names nobody":                  {"bob", heldBy("", true), "", false},
		"one is made that names somebody else":           {"bob", heldBy("admin", true), "", true},
		"another name is written":                        {env.Admin, heldBy("", false), annotated("ann"), true},
		"their own name is written":                      {env.Admin, heldBy("admin", true), annotated("bob"), false},
		"it is released under the other's name":          {env.Admin, heldBy("admin", true), `{"spec":{"hold":false}}`, true},
		"it is held under the other's name":              {env.Admin, heldBy("admin", false), `{"spec":{"hold":true}}`, true},
		"it is released, and the other's name removed":   {env.Admin, heldBy("admin", true), `{"metadata":{"annotations":{"penstock.dev/hold-by":null}},"spec":{"hold":false}}`, false},
		"it is released under their own name":            {env.Admin, heldBy("admin", true), `{"metadata":{"annotations":{"penstock.dev/hold-by":"bob"}},"spec":{"hold":false}}`, false},
		"something else is changed of what another held": {env.Admin, heldBy("admin", true), `{"spec":{"suspend":true}}`, false},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			err := o.as(t, tc.creator).create(t, tc.before)
			if tc.patch != "" {
				require.NoError(t, err)
				err = bob.patch(t, tc.before, tc.patch)
			}
			if !tc.refused {
				require.NoError(t, err)
				return
			}
			require.True(t, apierrors.IsForbidden(err), "%v", err)
			require.ErrorContains(t, err, "names who has changed spec.hold: remove it, or set it to bob")
		})
	}
}

func annotated(by string) string {
	return `{"metadata":{"annotations":{"penstock.dev/hold-by":"` + by + `"}}}`
}
