package main

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/doctor"
)

// staleProbe is the age from which on a probe's result says that nobody probes: status is
// written every five minutes at least.
const staleProbe = 10 * time.Minute

// checksOfCluster look at one TargetCluster, by what the controller has written of it, and at what
// pipelines need there.
func (p *patient) checksOfCluster(name string) []doctor.Check {
	of := func(judge func(*v1alpha1.TargetCluster) doctor.Finding) func(context.Context) doctor.Finding {
		return func(ctx context.Context) doctor.Finding {
			cluster := &v1alpha1.TargetCluster{}
			err := p.cluster.Get(ctx, client.ObjectKey{Name: name}, cluster)
			if apierrors.IsNotFound(err) {
				return doctor.Bad("kubectl get targetclusters lists them; kubectl penstock clusters add adds one", "there is no TargetCluster %q", name)
			}
			if err != nil {
				return unseen(err)
			}
			return judge(cluster)
		}
	}
	now := time.Now
	return append([]doctor.Check{
		{Name: "TargetCluster", Look: of(kindOfCluster)},
		{Name: "health", Look: of(healthOfCluster)},
		{Name: "probe", Look: of(func(cluster *v1alpha1.TargetCluster) doctor.Finding { return probeOfCluster(cluster, now()) })},
		{Name: "rights there", Look: of(rightsInCluster)},
		{Name: "lane", Look: of(laneOfCluster)},
	}, p.checksOfRuns(name)...)
}

func kindOfCluster(cluster *v1alpha1.TargetCluster) doctor.Finding {
	switch spec := cluster.Spec; {
	case spec.Suspend:
		return doctor.Odd(fmt.Sprintf("kubectl patch targetcluster %s --type=merge -p '{\"spec\":{\"suspend\":false}}'", cluster.Name), "it is suspended, so that it is not contacted")
	case spec.Virtual:
		return doctor.Good("it is virtual: it is never contacted")
	case spec.InCluster:
		return doctor.Good("it is the cluster that Penstock runs in")
	case spec.KubeconfigSecretRef != nil:
		return doctor.Good("it is reached by the kubeconfig in Secret %s", spec.KubeconfigSecretRef.Name)
	}
	return doctor.Good("it exists")
}

func healthOfCluster(cluster *v1alpha1.TargetCluster) doctor.Finding {
	status := cluster.Status
	said := fmt.Sprintf("%s: %s", status.Phase, status.Message)
	switch status.Phase {
	case v1alpha1.ClusterHealthy:
		return doctor.Good("Healthy: %s, answers in %d ms", status.Version, status.LatencyMillis)
	case v1alpha1.ClusterVirtual:
		return doctor.Good("Virtual")
	case "", v1alpha1.ClusterUnknown:
		return doctor.Odd("look whether the controller runs: kubectl penstock doctor", "nothing is known of it yet")
	case v1alpha1.ClusterDegraded:
		return doctor.Odd("docs/clusters.md", "%s", said)
	}
	return doctor.Bad("docs/clusters.md; kubectl describe targetcluster "+cluster.Name, "%s", said)
}

func probeOfCluster(cluster *v1alpha1.TargetCluster, now time.Time) doctor.Finding {
	checked := cluster.Status.CheckedAt
	switch {
	case cluster.Spec.Virtual || cluster.Spec.Suspend:
		return doctor.Good("it is not probed")
	case checked == nil:
		return doctor.Odd("look whether the controller runs: kubectl penstock doctor", "it was not probed yet")
	case now.Sub(checked.Time) > staleProbe:
		return doctor.Bad("look whether the controller runs: kubectl penstock doctor", "the last probe was told %s ago", now.Sub(checked.Time).Round(time.Second))
	}
	return doctor.Good("the last probe was told %s ago", now.Sub(checked.Time).Round(time.Second))
}

func rightsInCluster(cluster *v1alpha1.TargetCluster) doctor.Finding {
	permissions := cluster.Status.Permissions
	switch {
	case permissions == nil:
		return doctor.Good("not asked for yet")
	case len(permissions.Denied) > 0:
		return doctor.Odd("grant its account these rights, as config/target does", "Penstock may not list %s there", someOf(permissions.Denied))
	}
	return doctor.Good("Penstock may list the %d kinds that are shown", len(permissions.Allowed))
}

func laneOfCluster(cluster *v1alpha1.TargetCluster) doctor.Finding {
	condition := meta.FindStatusCondition(cluster.Status.Conditions, v1alpha1.ConditionLaneOpen)
	switch {
	case condition == nil:
		return doctor.Good("no run and no build has anything to do there now")
	case condition.Status == metav1.ConditionTrue:
		return doctor.Good("open: runs and builds are triggered there")
	}
	return doctor.Bad("docs/clusters.md, \"Run pipelines there\"", "nothing is triggered there since %s: %s: %s",
		condition.LastTransitionTime.UTC().Format(time.RFC3339), condition.Reason, condition.Message)
}
