package main

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/config"
	"github.com/penstock-cd/penstock/test/env"
)

// newSettingsMap is the ConfigMap of a namespace of its own, with this data; nil is none.
func newSettingsMap(t *testing.T, data map[string]string) *settingsMap {
	t.Helper()
	admin, err := local.NewClient(env.Admin)
	require.NoError(t, err)
	s := &settingsMap{cluster: admin, namespace: local.NewNamespace(t), user: func(context.Context) string { return "bob" }}
	if data != nil {
		require.NoError(t, admin.Create(t.Context(), s.object(data)))
	}
	return s
}

func (s *settingsMap) object(data map[string]string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: config.SettingsMap}, Data: data}
}

func setKey(key, value string) func(map[string]string) error {
	return func(data map[string]string) error { data[key] = value; return nil }
}

func TestAChangeOfTheSettingsLeavesOtherKeysAlone(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		before map[string]string
		edit   func(map[string]string) error
		want   map[string]string
		says   string
	}{
		"a ConfigMap that does not exist is made": {
			edit: setKey("KUBE_API_QPS", "70"), want: map[string]string{"KUBE_API_QPS": "70"},
		},
		"a key is changed, and others stay": {
			before: map[string]string{"KUBE_API_QPS": "50", "FREEZE": "a release"},
			edit:   setKey("KUBE_API_QPS", "70"), want: map[string]string{"KUBE_API_QPS": "70", "FREEZE": "a release"},
		},
		"what the controller refuses is not written": {
			before: map[string]string{"KUBE_API_QPS": "50"},
			edit:   setKey("KUBE_API_QPS", "fast"), want: map[string]string{"KUBE_API_QPS": "50"},
			says: `KUBE_API_QPS="fast": must be a whole number from 1 to 10000`,
		},
		"a bad value that was there before keeps nobody from changing another": {
			before: map[string]string{"KUBE_API_QPS": "fast"},
			edit:   setKey("KUBE_API_BURST", "7"), want: map[string]string{"KUBE_API_QPS": "fast", "KUBE_API_BURST": "7"},
		},
		"an edit that fails writes nothing": {
			before: map[string]string{"FREEZE": "a release"},
			edit: func(data map[string]string) error {
				delete(data, "FREEZE")
				return errors.New("it is another's freeze")
			},
			want: map[string]string{"FREEZE": "a release"}, says: "it is another's freeze",
		},
	}
	for sentence, test := range tests {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			s := newSettingsMap(t, test.before)
			_, _, err := s.change(t.Context(), test.edit)
			if test.says == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, test.says)
			}
			found, err := s.read(t.Context())
			require.NoError(t, err)
			require.Equal(t, test.want, found.Data)
		})
	}
}

func TestAChangeOfTheSettingsSeesWhatOthersWroteMeanwhile(t *testing.T) {
	t.Parallel()
	for sentence, before := range map[string]map[string]string{
		"where both create it": nil, "where both change it": {"KUBE_API_BURST": "3"},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			s := newSettingsMap(t, before)
			calls := 0
			_, after, err := s.change(t.Context(), func(data map[string]string) error {
				if calls++; calls == 1 {
					s.overtake(t, before == nil)
				}
				data["KUBE_API_QPS"] = "70"
				return nil
			})
			require.NoError(t, err)
			require.Equal(t, 2, calls)
			require.Equal(t, map[string]string{"FREEZE": "a release", "KUBE_API_QPS": "70"}, after)
		})
	}
}

// overtake writes another key, as somebody else.
func (s *settingsMap) overtake(t *testing.T, create bool) {
	t.Helper()
	theirs := s.object(map[string]string{"FREEZE": "a release"})
	if create {
		require.NoError(t, s.cluster.Create(t.Context(), theirs))
		return
	}
	require.NoError(t, s.cluster.Update(t.Context(), theirs))
}

func TestAChangeThatIsAlwaysOvertakenEnds(t *testing.T) {
	t.Parallel()
	s := newSettingsMap(t, map[string]string{})
	calls := 0
	_, _, err := s.change(t.Context(), func(data map[string]string) error {
		calls++
		found := &corev1.ConfigMap{}
		require.NoError(t, s.cluster.Get(t.Context(), client.ObjectKeyFromObject(s.object(nil)), found))
		found.Annotations = map[string]string{"edit": string(rune('a' + calls))}
		require.NoError(t, s.cluster.Update(t.Context(), found))
		data["KUBE_API_QPS"] = "70"
		return nil
	})
	require.ErrorContains(t, err, "others have changed it 5 times meanwhile: try again")
	require.Equal(t, settingsAttempts, calls)
}

func TestAChangeOfTheFreezeNamesWhoMadeIt(t *testing.T) {
	t.Parallel()
	for sentence, test := range map[string]struct {
		user string
		edit func(map[string]string) error
		want string
	}{
		"another freeze has another name":        {"bob", setKey("FREEZE", "audit"), "bob"},
		"the end of a freeze has one too":        {"bob", func(data map[string]string) error { delete(data, "FREEZE"); return nil }, "bob"},
		"another key leaves the name":            {"bob", setKey("KUBE_API_QPS", "70"), "ann"},
		"whose name is not known is nobody else": {"", setKey("FREEZE", "audit"), ""},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			s := newSettingsMap(t, nil)
			s.user = func(context.Context) string { return test.user }
			frozen := s.object(map[string]string{"FREEZE": "a release"})
			frozen.Annotations = map[string]string{v1alpha1.AnnotationFreezeBy: "ann"}
			require.NoError(t, s.cluster.Create(t.Context(), frozen))
			_, _, err := s.change(t.Context(), test.edit)
			require.NoError(t, err)
			found, err := s.read(t.Context())
			require.NoError(t, err)
			require.Equal(t, test.want, found.Annotations[v1alpha1.AnnotationFreezeBy])
		})
	}
}

func TestSettingsNameWhoFreezes(t *testing.T) {
	t.Parallel()
	s := newSteered(t, map[string]string{})
	code, _, errOut := s.run(t, "settings", "set", "FREEZE=audit")
	require.Zero(t, code, errOut)
	found, err := s.read(t.Context())
	require.NoError(t, err)
	require.NotEmpty(t, found.Annotations[v1alpha1.AnnotationFreezeBy])
}
