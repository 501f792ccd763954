// Package limiting says how the ConfigMap penstock-settings is changed in a person's name.
package limiting

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/clip"
	"github.com/penstock-cd/penstock/pkg/config"
)

const (
	// freeze is the key whose last change is signed apart from the others.
	freeze = "FREEZE"
	// maxSigned bounds, in bytes, what is kept of a change.
	maxSigned = 1024
)

// RefusedError means that the controller would not take a value. Its text says which, and what it
// takes.
type RefusedError struct{ error }

// Change is what a person wants of one key.
type Change struct {
	Key string
	// Value is what holds then; empty takes the key out, so that the environment holds again.
	Value string
	// By and Reason are kept beside it; empty takes those away that were there before.
	By, Reason string
}

// Apply changes a ConfigMap that was read, and tells whether that makes it another one. It returns
// a *RefusedError where the controller would not take the value.
func (c Change) Apply(found *corev1.ConfigMap) (changed bool, err error) {
	before := maps.Clone(found.Data)
	if c.Value == "" {
		delete(found.Data, c.Key)
	} else {
		if found.Data == nil {
			found.Data = map[string]string{}
		}
		found.Data[c.Key] = c.Value
	}
	if err := Refused(before, found.Data); err != nil {
		return false, err
	}
	if maps.Equal(before, found.Data) {
		return false, nil
	}
	Sign(found, before, c.By, c.Reason)
	return true, nil
}

// Refused returns a *RefusedError with what the controller would say of the keys that are new or
// changed. Bad ones that were there before are for whoever mends them.
func Refused(before, after map[string]string) error {
	changed := map[string]string{}
	for key, value := range after {
		if was, existed := before[key]; !existed || was != value {
			changed[key] = value
		}
	}
	if refusals := config.Refusals(changed); len(refusals) > 0 {
		return &RefusedError{errors.Join(refusals...)}
	}
	return nil
}

// Changes are the keys that differ, in order, each as KEY before -> after.
func Changes(before, after map[string]string) []string {
	all := maps.Clone(before)
	if all == nil {
		all = map[string]string{}
	}
	maps.Copy(all, after)
	var changes []string
	for _, key := range slices.Sorted(maps.Keys(all)) {
		was, existed := before[key]
		is, exists := after[key]
		if existed != exists || was != is {
			changes = append(changes, fmt.Sprintf("%s %s -> %s", key, shown(before, key), shown(after, key)))
		}
	}
	return changes
}

// shown is a key's value, or that it has none.
func shown(data map[string]string, key string) string {
	if value, isSet := data[key]; isSet {
		return value
	}
	return "(not set)"
}

// Sign keeps what has changed since before, and by whom and why. A name that is not known takes
// away the one of the change before, which is another's.
func Sign(changed *corev1.ConfigMap, before map[string]string, by, reason string) {
	annotate(changed, v1alpha1.AnnotationSettingsChange, clip.Text(strings.Join(Changes(before, changed.Data), "; "), maxSigned))
	annotate(changed, v1alpha1.AnnotationSettingsBy, by)
	annotate(changed, v1alpha1.AnnotationSettingsReason, reason)
	if before[freeze] != changed.Data[freeze] {
		annotate(changed, v1alpha1.AnnotationFreezeBy, by)
	}
}

func annotate(changed *corev1.ConfigMap, name, value string) {
	if value == "" {
		delete(changed.Annotations, name)
		return
	}
	metav1.SetMetaDataAnnotation(&changed.ObjectMeta, name, value)
}
