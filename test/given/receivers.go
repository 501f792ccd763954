package given

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-cd/penstock/api/v1alpha1"
)

// Receiver takes webhooks of a type of sender that signs nothing.
func Receiver(name string, kind v1alpha1.ReceiverType) *v1alpha1.Receiver {
	return &v1alpha1.Receiver{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "Receiver"},
		ObjectMeta: metav1.ObjectMeta{Namespace: Namespace, Name: name},
		Spec:       v1alpha1.ReceiverSpec{Type: kind},
	}
}
