package v1alpha1_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-cd/penstock/api/v1alpha1"
)

func receiverOf(spec v1alpha1.ReceiverSpec) *v1alpha1.Receiver {
	return &v1alpha1.Receiver{ObjectMeta: metav1.ObjectMeta{GenerateName: "receiver-"}, Spec: spec}
}

func receiverSpec(of v1alpha1.ReceiverType) v1alpha1.ReceiverSpec {
	spec := v1alpha1.ReceiverSpec{Type: of, SecretRef: secretRef}
	switch of {
	case v1alpha1.ReceiverGeneric:
		spec.Mapping = &v1alpha1.ReceiverMapping{Build: "body.build"}
	case v1alpha1.ReceiverUnsigned:
		spec.SecretRef = nil
	}
	return spec
}

func TestAReceiverOfEachTypeIsAcceptedWithItsDefaults(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	for _, of := range []v1alpha1.ReceiverType{
		v1alpha1.ReceiverGitHub, v1alpha1.ReceiverGitLab, v1alpha1.ReceiverHarbor, v1alpha1.ReceiverDistribution, v1alpha1.ReceiverCDEvents,
		v1alpha1.ReceiverGeneric, v1alpha1.ReceiverUnsigned,
	} {
		receiver := receiverOf(receiverSpec(of))
		require.NoError(t, p.create(t, receiver), of)
		require.Equal(t, v1alpha1.DefaultReceiverRate, receiver.Spec.PerMinute())
		require.Equal(t, &v1alpha1.ReceiverRateLimit{PerMinute: 6000}, receiver.Spec.RateLimit)
	}
}

func TestTheTypeOfAReceiverDecidesWhatItNeeds(t *testing.T) {
	t.Parallel()
	const (
		needsSecret  = "spec.secretRef: Invalid value: secretRef must name the Secret with the key token, unless type is unsigned, which has none"
		needsMapping = "spec.mapping: Invalid value: mapping is needed where type is generic"
		noMapping    = "spec.mapping: Invalid value: mapping can only be set where type is generic or cdevents"
		noTargets    = "spec.targets: Invalid value: targets can only be of the kind BaseImage where type is unsigned"
	)
	p := newPlace(t)
	type spec = v1alpha1.ReceiverSpec
	target := func(kind string) []v1alpha1.ReceiverTarget { return []v1alpha1.ReceiverTarget{{Kind: kind, Name: "a"}} }
	for sentence, c := range map[string]struct {
		of      v1alpha1.ReceiverType
		change  func(*spec)
		refusal string
	}{
		"another type is refused":                     {v1alpha1.ReceiverGitHub, func(s *spec) { s.Type = "fax" }, `spec.type: Unsupported value: "fax"`},
		"GitHub needs a Secret":                       {v1alpha1.ReceiverGitHub, func(s *spec) { s.SecretRef = nil }, needsSecret},
		"Harbor needs a Secret":                       {v1alpha1.ReceiverHarbor, func(s *spec) { s.SecretRef = nil }, needsSecret},
		"what is unsigned has no Secret":              {v1alpha1.ReceiverUnsigned, func(s *spec) { s.SecretRef = secretRef }, needsSecret},
		"a Secret is of the same namespace":           {v1alpha1.ReceiverGitHub, func(s *spec) { s.SecretRef = &v1alpha1.LocalSecretReference{Name: "a/b"} }, "spec.secretRef.name"},
		"the generic type needs a mapping":            {v1alpha1.ReceiverGeneric, func(s *spec) { s.Mapping = nil }, needsMapping},
		"an empty mapping is about nothing":           {v1alpha1.ReceiverGeneric, func(s *spec) { s.Mapping = &v1alpha1.ReceiverMapping{Revision: "a"} }, "mapping must have pipeline, build or image"},
		"CDEvents may have a mapping":                 {v1alpha1.ReceiverCDEvents, func(s *spec) { s.Mapping = &v1alpha1.ReceiverMapping{Pipeline: "a"} }, ""},
		"GitHub has no mapping":                       {v1alpha1.ReceiverGitHub, func(s *spec) { s.Mapping = &v1alpha1.ReceiverMapping{Pipeline: "a"} }, noMapping},
		"a target is a pipeline":                      {v1alpha1.ReceiverGitHub, func(s *spec) { s.Targets = target("CiPipeline") }, ""},
		"a target is a base image":                    {v1alpha1.ReceiverHarbor, func(s *spec) { s.Targets = target("BaseImage") }, ""},
		"a target is nothing else":                    {v1alpha1.ReceiverGitHub, func(s *spec) { s.Targets = target("CdPipeline") }, "spec.targets[0].kind: Unsupported value"},
		"a target is named once":                      {v1alpha1.ReceiverGitHub, func(s *spec) { s.Targets = append(target("CiPipeline"), target("CiPipeline")...) }, "spec.targets[1]: Duplicate value"},
		"what is unsigned brings checks forward":      {v1alpha1.ReceiverUnsigned, func(s *spec) { s.Targets = target("BaseImage") }, ""},
		"what is unsigned starts no builds":           {v1alpha1.ReceiverUnsigned, func(s *spec) { s.Targets = target("CiPipeline") }, noTargets},
		"a filter of 2049 characters is refused":      {v1alpha1.ReceiverGitHub, func(s *spec) { s.Filter = strings.Repeat("a", 2049) }, "spec.filter: Too long"},
		"an event is named once":                      {v1alpha1.ReceiverGitHub, func(s *spec) { s.Events = []string{"push", "push"} }, "spec.events[1]: Duplicate value"},
		"a rate of none is refused":                   {v1alpha1.ReceiverGitHub, func(s *spec) { s.RateLimit = &v1alpha1.ReceiverRateLimit{PerMinute: -1} }, "spec.rateLimit.perMinute"},
		"a rate of ten thousand a second is accepted": {v1alpha1.ReceiverGitHub, func(s *spec) { s.RateLimit = &v1alpha1.ReceiverRateLimit{PerMinute: 600_000} }, ""},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			made := receiverSpec(c.of)
			c.change(&made)
			err := p.create(t, receiverOf(made))
			if c.refusal == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, c.refusal)
		})
	}
}

func TestAReceiverIsAboutItsTargets(t *testing.T) {
	t.Parallel()
	var all v1alpha1.ReceiverSpec
	require.True(t, all.Concerns("CiPipeline", "shop"))
	some := v1alpha1.ReceiverSpec{Targets: []v1alpha1.ReceiverTarget{{Kind: "CiPipeline", Name: "shop"}}}
	require.True(t, some.Concerns("CiPipeline", "shop"))
	require.False(t, some.Concerns("CiPipeline", "web"))
	require.False(t, some.Concerns("BaseImage", "shop"))
}
