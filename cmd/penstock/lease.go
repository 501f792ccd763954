package main

import (
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/penstock-cd/penstock/pkg/config"
)

// +kubebuilder:rbac:groups=coordination.k8s.io,namespace=penstock-system,resources=leases,verbs=get;create;update

const (
	// leaderElectionID names the Lease.
	leaderElectionID = "penstock-controller"
	// leaseDuration is how long a leader that died keeps the Lease. It may be short: the
	// database keeps two leaders apart.
	leaseDuration = 6 * time.Second
	// leaseDeadline is how long a leader tries to renew before it gives up.
	leaseDeadline = 5 * time.Second
	// leaseRetry is the pause between two tries, of the leader and of those that stand by.
	leaseRetry = time.Second
)

// replicaName is this replica's in the Lease and in the database: the same after a restart
// of the container, so that it takes back at once what it had.
func replicaName(settings config.Config) (string, error) {
	host, err := os.Hostname()
	if err != nil {
		return "", fmt.Errorf("ask for the host's name: %w", err)
	}
	if settings.PodUID == "" {
		return host + "_" + string(uuid.NewUUID()), nil
	}
	return host + "_" + settings.PodUID, nil
}

// newLease returns the lock of the leader, or nil where there is none.
func newLease(settings config.Config, replica string, client *rest.Config, recorder *lateRecorder) (resourcelock.Interface, error) {
	if !settings.LeaderElect {
		return nil, nil
	}
	lock, err := resourcelock.NewFromKubeconfig(resourcelock.LeasesResourceLock, podNamespace(settings), leaderElectionID,
		resourcelock.ResourceLockConfig{Identity: replica, EventRecorder: recorder}, client, leaseDeadline)
	if err != nil {
		return nil, fmt.Errorf("make the leader's Lease: %w", err)
	}
	return lock, nil
}

// lateRecorder records events with the manager's recorder, once there is a manager: the
// Lease is made before it.
type lateRecorder struct {
	recorder atomic.Pointer[resourcelock.EventRecorder]
}

func (r *lateRecorder) use(mgr manager.Manager, replica string) {
	var recorder resourcelock.EventRecorder = mgr.GetEventRecorderFor(replica) //nolint:staticcheck // client-go's lock takes no recorder of the newer kind
	r.recorder.Store(&recorder)
}

// Eventf implements resourcelock.EventRecorder.
func (r *lateRecorder) Eventf(object runtime.Object, eventType, reason, message string, args ...any) {
	if recorder := r.recorder.Load(); recorder != nil {
		(*recorder).Eventf(object, eventType, reason, message, args...)
	}
}
