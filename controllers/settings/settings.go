// Package settings observes one ConfigMap, and writes the limits of the process.
//
// Its data has the names of the environment's variables. What it says goes before
// the environment, from the moment on that it is seen; a value that is refused
// leaves the limit as it is, and is told as an event on the ConfigMap.
package settings

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/penstock-cd/penstock/pkg/config"
)

// +kubebuilder:rbac:groups="",namespace=penstock-system,resources=configmaps,resourceNames=penstock-settings,verbs=list;watch

// ConfigMap is the name of the ConfigMap.
const ConfigMap = config.SettingsMap

// Config is what Settings needs.
type Config struct {
	// Namespace is where the ConfigMap is.
	Namespace string
	// Cache reads it from memory.
	Cache client.Reader
	// Environment is what holds where the ConfigMap says nothing.
	Environment config.Config
	// Apply puts limits in force.
	Apply func(config.Config)
	// Events records events on the ConfigMap.
	Events events.EventRecorder
	// Log is the logger.
	Log logr.Logger
}

// Settings keeps the limits as the ConfigMap has them.
type Settings struct {
	Config
	mu      sync.Mutex
	inForce config.Config
	// refused are the refusals that were told, so that each is told once.
	refused map[string]bool
	// told is what InForce returns, which does not wait for a Load.
	told atomic.Pointer[[]config.InForce]
}

// New returns settings under which the environment is in force.
func New(config Config) *Settings {
	s := &Settings{Config: config, inForce: config.Environment, refused: map[string]bool{}}
	s.keep(nil)
	return s
}

// InForce returns the limits as they hold, and where each comes from.
func (s *Settings) InForce() []config.InForce { return *s.told.Load() }

func (s *Settings) keep(data map[string]string) {
	told := s.Environment.InForce(s.inForce, data)
	s.told.Store(&told)
}

func (s *Settings) name() types.NamespacedName {
	return types.NamespacedName{Namespace: s.Namespace, Name: ConfigMap}
}

// Register adds the loop to the manager. Every replica runs it: one that stands by
// must know the limits when its time comes.
func (s *Settings) Register(manager ctrl.Manager) error {
	everyReplica := false
	ours := predicate.NewPredicateFuncs(func(object client.Object) bool {
		return client.ObjectKeyFromObject(object) == s.name()
	})
	err := ctrl.NewControllerManagedBy(manager).
		Named("settings").
		Watches(&corev1.ConfigMap{}, &handler.EnqueueRequestForObject{}).
		WithEventFilter(ours).
		WithOptions(controller.Options{NeedLeaderElection: &everyReplica}).
		Complete(s)
	if err != nil {
		return fmt.Errorf("register settings: %w", err)
	}
	return nil
}

// Reconcile puts in force what the ConfigMap says.
func (s *Settings) Reconcile(ctx context.Context, _ reconcile.Request) (reconcile.Result, error) {
	return reconcile.Result{}, s.Load(ctx)
}

// Load does so at once, for a loop that must not begin with other limits.
func (s *Settings) Load(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	configMap := &corev1.ConfigMap{}
	err := s.Cache.Get(ctx, s.name(), configMap)
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("get settings: %w", err)
	}
	next, refusals := s.Environment.Override(s.inForce, configMap.Data)
	changes := next.Changes(s.inForce)
	if len(changes) > 0 {
		s.Apply(next)
		s.inForce = next
	}
	s.keep(configMap.Data)
	s.tellChanges(configMap, changes)
	s.tellRefusals(configMap, refusals)
	return nil
}
