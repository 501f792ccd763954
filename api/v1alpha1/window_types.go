package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// WindowKind says what a window does.
//
// +kubebuilder:validation:Enum=Allow;Deny
type WindowKind string

// The kinds of window.
const (
	// WindowAllow: PRE and DEPLOY start only while such a window is open.
	WindowAllow WindowKind = "Allow"
	// WindowDeny: PRE and DEPLOY do not start while it is open.
	WindowDeny WindowKind = "Deny"
)

// Window is a time that comes again and again.
type Window struct {
	// Kind is Allow or Deny. Where windows of both kinds are open, Deny counts.
	Kind WindowKind `json:"kind"`

	// Schedule is when it opens: five fields as in crontab (minute, hour, day of the month,
	// month, day of the week), or @hourly, @daily, @weekly, @monthly or @yearly.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:Pattern=`^[^=]*$`
	Schedule string `json:"schedule"`

	// Duration is for how long it stays open, from one minute to 31 days.
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1m') && duration(self) <= duration('744h')",message="duration must be from 1m to 744h"
	Duration metav1.Duration `json:"duration"`

	// TimeZone is the time zone of Schedule, such as Europe/Berlin. Defaults to UTC.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9_+/-]*$`
	TimeZone string `json:"timeZone,omitempty"`
}
