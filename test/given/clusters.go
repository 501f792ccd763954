package given

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-cd/penstock/api/v1alpha1"
)

// TargetCluster is one whose kubeconfig is in the Secret of its own name.
func TargetCluster(name string, with ...func(*v1alpha1.TargetCluster)) *v1alpha1.TargetCluster {
	cluster := &v1alpha1.TargetCluster{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "TargetCluster"},
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: v1alpha1.TargetClusterSpec{
			KubeconfigSecretRef: &v1alpha1.SecretKeyReference{Name: name, Key: "kubeconfig"},
		},
	}
	return apply(cluster, with)
}

// Virtual makes the cluster one without an API server.
func Virtual(cluster *v1alpha1.TargetCluster) {
	cluster.Spec = v1alpha1.TargetClusterSpec{Virtual: true}
}

// InCluster makes the cluster the one that Penstock runs in.
func InCluster(cluster *v1alpha1.TargetCluster) {
	cluster.Spec = v1alpha1.TargetClusterSpec{InCluster: true}
}

// Labelled gives the cluster labels, as pairs of key and value.
func Labelled(pairs ...string) func(*v1alpha1.TargetCluster) {
	return func(cluster *v1alpha1.TargetCluster) {
		cluster.Labels = map[string]string{}
		for i := 0; i < len(pairs); i += 2 {
			cluster.Labels[pairs[i]] = pairs[i+1]
		}
	}
}

// RunsIn has a pipeline's Workflows created in a TargetCluster.
func RunsIn(cluster string) func(*v1alpha1.CdPipeline) {
	return func(pipeline *v1alpha1.CdPipeline) {
		pipeline.Spec.ClusterRef = &v1alpha1.ClusterReference{Name: cluster}
	}
}
