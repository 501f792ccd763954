// Package v1alpha1 holds Penstock's kinds, their conditions and reasons, and the
// labels that tie a Workflow to its task. It holds no logic.
//
// +kubebuilder:object:generate=true
// +groupName=penstock.dev
package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

var (
	// GroupVersion is the API group and version of every kind in this package.
	GroupVersion = schema.GroupVersion{Group: "penstock.dev", Version: "v1alpha1"}

	schemeBuilder = runtime.NewSchemeBuilder(addKnownTypes)

	// AddToScheme registers every kind of this package in a scheme.
	AddToScheme = schemeBuilder.AddToScheme
)

func addKnownTypes(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(GroupVersion,
		&CiPipeline{}, &CiPipelineList{},
		&CiBuild{}, &CiBuildList{},
		&CdPipeline{}, &CdPipelineList{},
		&RunRequest{}, &RunRequestList{},
		&TargetCluster{}, &TargetClusterList{},
		&NotificationChannel{}, &NotificationChannelList{},
		&NotificationPolicy{}, &NotificationPolicyList{},
		&BaseImage{}, &BaseImageList{},
		&Receiver{}, &ReceiverList{},
	)
	metav1.AddToGroupVersion(scheme, GroupVersion)
	return nil
}
