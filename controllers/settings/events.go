package settings

import (
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/penstock-cd/penstock/pkg/clip"
)

// Reasons of the events on the ConfigMap.
const (
	reasonApplied = "SettingsApplied"
	reasonRefused = "SettingRefused"
)

func (s *Settings) tellChanges(configMap *corev1.ConfigMap, changes []string) {
	if len(changes) == 0 {
		return
	}
	s.Log.Info("limits changed", "changes", changes)
	s.record(configMap, corev1.EventTypeNormal, reasonApplied, strings.Join(changes, "; "))
}

// tellRefusals tells each refusal once, until the value that it is about is mended; all
// that are new in one event, since events of one object and reason are folded.
func (s *Settings) tellRefusals(configMap *corev1.ConfigMap, refusals []error) {
	told := s.refused
	s.refused = map[string]bool{}
	var news []string
	for _, refusal := range refusals {
		text := refusal.Error()
		s.refused[text] = true
		if told[text] {
			continue
		}
		refused.Inc()
		s.Log.Info("setting refused, the limit stays as it is", "problem", text)
		news = append(news, text+"; the limit stays as it is")
	}
	if len(news) > 0 {
		s.record(configMap, corev1.EventTypeWarning, reasonRefused, clip.Note(strings.Join(news, "\n")))
	}
}

// record leaves out the event where the ConfigMap does not exist (any more).
func (s *Settings) record(configMap *corev1.ConfigMap, kind, reason, note string) {
	if configMap.UID != "" {
		s.Events.Eventf(configMap, nil, kind, reason, "Configure", "%s", note)
	}
}
