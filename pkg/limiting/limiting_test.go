package limiting

import (
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"github.com/penstock-cd/penstock/api/v1alpha1"
)

func TestAChangeIsWrittenOnlyWhereTheControllerTakesIt(t *testing.T) {
	t.Parallel()
	for sentence, test := range map[string]struct {
		before map[string]string
		change Change
		want   map[string]string
		says   string
		signed string
	}{
		"a limit is set where there was none":      {nil, Change{Key: "KUBE_API_QPS", Value: "70", By: "ann"}, map[string]string{"KUBE_API_QPS": "70"}, "", "KUBE_API_QPS (not set) -> 70"},
		"another one stays":                        {map[string]string{"KUBE_API_BURST": "7"}, Change{Key: "KUBE_API_QPS", Value: "70", By: "ann"}, map[string]string{"KUBE_API_BURST": "7", "KUBE_API_QPS": "70"}, "", "KUBE_API_QPS (not set) -> 70"},
		"no value takes it out":                    {map[string]string{"KUBE_API_QPS": "70"}, Change{Key: "KUBE_API_QPS", By: "ann"}, map[string]string{}, "", "KUBE_API_QPS 70 -> (not set)"},
		"as it is already":                         {map[string]string{"KUBE_API_QPS": "70"}, Change{Key: "KUBE_API_QPS", Value: "70", By: "ann"}, map[string]string{"KUBE_API_QPS": "70"}, "", ""},
		"a bad value":                              {nil, Change{Key: "KUBE_API_QPS", Value: "fast"}, nil, `KUBE_API_QPS="fast": must be a whole number from 1 to 10000`, ""},
		"what takes a restart":                     {nil, Change{Key: "LOG_LEVEL", Value: "debug"}, nil, "LOG_LEVEL can't be changed while the controller runs", ""},
		"no variable":                              {nil, Change{Key: "QPS", Value: "1"}, nil, "QPS is no variable of Penstock", ""},
		"a bad value of another key is not theirs": {map[string]string{"KUBE_API_BURST": "many"}, Change{Key: "KUBE_API_QPS", Value: "70", By: "ann"}, map[string]string{"KUBE_API_BURST": "many", "KUBE_API_QPS": "70"}, "", "KUBE_API_QPS (not set) -> 70"},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			found := &corev1.ConfigMap{Data: test.before}
			changed, err := test.change.Apply(found)
			if test.says != "" {
				var refused *RefusedError
				require.ErrorAs(t, err, &refused)
				require.ErrorContains(t, err, test.says)
				return
			}
			require.NoError(t, err)
			require.Equal(t, test.signed != "", changed)
			require.Equal(t, test.want, found.Data)
			require.Equal(t, test.signed, found.Annotations[v1alpha1.AnnotationSettingsChange])
		})
	}
}

func TestASignatureNamesTheLastChangeAlone(t *testing.T) {
	t.Parallel()
	found := &corev1.ConfigMap{Data: map[string]string{"FREEZE": "a release"}}
	Sign(found, nil, "ann", "release 7")
	require.Equal(t, map[string]string{
		v1alpha1.AnnotationSettingsChange: "FREEZE (not set) -> a release", v1alpha1.AnnotationSettingsBy: "ann", v1alpha1.AnnotationSettingsReason: "release 7", v1alpha1.AnnotationFreezeBy: "ann",
	}, found.Annotations)
	found.Data["KUBE_API_QPS"] = "70"
	Sign(found, map[string]string{"FREEZE": "a release"}, "", "")
	require.Equal(t, map[string]string{v1alpha1.AnnotationSettingsChange: "KUBE_API_QPS (not set) -> 70", v1alpha1.AnnotationFreezeBy: "ann"}, found.Annotations)
}
