package notify

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/notify/route"
	"github.com/penstock-cd/penstock/pkg/store"
)

// policyTargets are a policy and its channels.
type policyTargets struct {
	policy     *route.Policy
	targets    []route.Target
	ofClusters bool
}

// targets are the policies that can be used, by namespace.
func (n *Notifier) targets(ctx context.Context) (map[string][]policyTargets, error) {
	var policies v1alpha1.NotificationPolicyList
	if err := n.Cache.List(ctx, &policies); err != nil {
		return nil, fmt.Errorf("list NotificationPolicies: %w", err)
	}
	all := map[string][]policyTargets{}
	for i := range policies.Items {
		object := &policies.Items[i]
		if object.Spec.Suspend || !object.DeletionTimestamp.IsZero() {
			continue
		}
		policy, err := n.expressions.Policy(object)
		if err != nil {
			continue // its condition says so
		}
		targets := policyTargets{policy: policy, ofClusters: object.Namespace == n.Namespace}
		for _, channel := range object.Spec.Channels {
			targets.targets = append(targets.targets, n.target(ctx, object, channel))
		}
		all[object.Namespace] = append(all[object.Namespace], targets)
	}
	return all, nil
}

// target is a channel of a policy. One that does not exist may come: what is to be told waits
// for it.
func (n *Notifier) target(ctx context.Context, policy *v1alpha1.NotificationPolicy, name string) route.Target {
	var channel v1alpha1.NotificationChannel
	if err := n.Cache.Get(ctx, types.NamespacedName{Namespace: policy.Namespace, Name: name}, &channel); err != nil {
		return route.NewTarget(policy, name, v1alpha1.NotificationChannelSpec{})
	}
	return route.NewTarget(policy, name, channel.Spec)
}

// labelsOf returns the labels of what an event is about: of its CdPipeline, its CiPipeline, its
// BaseImage, or its TargetCluster.
func (n *Notifier) labelsOf(ctx context.Context) func(route.Item) labels.Set {
	return func(item route.Item) labels.Set {
		var object client.Object
		key := types.NamespacedName{Namespace: item.Namespace}
		switch {
		case item.Cluster != "":
			object, key.Name = &v1alpha1.TargetCluster{}, item.Cluster
		case item.BaseImage != "":
			object, key.Name = &v1alpha1.BaseImage{}, item.BaseImage
		case item.Pipeline != "":
			object, key.Name = &v1alpha1.CdPipeline{}, item.Pipeline
		default:
			object, key.Name = &v1alpha1.CiPipeline{}, item.CiPipeline
		}
		if err := n.Cache.Get(ctx, key, object); err != nil {
			return nil // it is gone, and has no labels
		}
		return object.GetLabels()
	}
}

// policyFailed remembers what went wrong with a policy, for its condition.
func (n *Notifier) policyFailed(policy *v1alpha1.NotificationPolicy, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.policies[failedPolicy{client.ObjectKeyFromObject(policy), policy.Generation}] = err.Error()
}

// addition is an event that may be added to a group.
type addition struct {
	target route.Target
	item   route.Item
	begins bool
}

// teller decides on one batch of events.
type teller struct {
	targets   map[string][]policyTargets
	labels    func(route.Item) labels.Set
	failed    func(*v1alpha1.NotificationPolicy, error)
	additions []addition
}

// Groups implements store.Teller.
func (t *teller) Groups(told store.Told) []route.Key {
	var keys []route.Key
	seen := map[route.Key]bool{}
	add := func(key route.Key) {
		if !seen[key] {
			seen[key] = true
			keys = append(keys, key)
		}
	}
	for _, item := range told.Items {
		for _, candidate := range t.candidates(item) {
			t.additions = append(t.additions, candidate)
			add(candidate.target.Key(item))
			if candidate.begins {
				add(candidate.target.StormKey())
			}
		}
	}
	return keys
}

// candidates are the channels that an event may be told in.
func (t *teller) candidates(item route.Item) (found []addition) {
	for namespace, policies := range t.targets {
		if item.Cluster == "" && namespace != item.Namespace {
			continue
		}
		for _, policy := range policies {
			if item.Cluster != "" && !policy.ofClusters {
				continue
			}
			begins, err := policy.policy.Matches(item, t.labels(item))
			if err != nil {
				t.failed(policy.policy.NotificationPolicy, err)
			}
			for _, target := range policy.targets {
				if begins || target.Extends(item) {
					found = append(found, addition{target: target, item: item, begins: begins})
				}
			}
		}
	}
	return found
}

// written are the notifications that a batch has changed, in the order of the changes.
type written struct {
	order []id
	rows  map[id]route.Notification
}

type id struct {
	route.Key
	seq int32
}

func (w *written) put(n route.Notification) {
	key := id{n.Key, n.Seq}
	if _, known := w.rows[key]; !known {
		w.order = append(w.order, key)
	}
	w.rows[key] = n
}

// Fold implements store.Teller.
func (t *teller) Fold(told store.Told, known map[route.Key]*route.Notification, begun map[types.NamespacedName]int) []route.Notification {
	changed := written{rows: map[id]route.Notification{}}
	for _, a := range t.additions {
		key := a.target.Key(a.item)
		last := known[key]
		next, isTold := a.target.Add(last, a.item, a.begins, told.Now)
		if !isTold {
			continue
		}
		isNew := last == nil || last.Seq != next.Seq
		channel := types.NamespacedName{Namespace: a.target.Namespace, Name: a.target.Channel}
		if isNew && isBeyond(a.target, begun[channel]) {
			key = a.target.StormKey()
			next = a.target.Storm(known[key], a.item, told.Now)
		} else if isNew {
			begun[channel]++
		}
		known[key] = &next
		changed.put(next)
	}
	all := make([]route.Notification, 0, len(changed.order))
	for _, key := range changed.order {
		all = append(all, changed.rows[key])
	}
	return all
}

// isBeyond tells whether a channel has begun as many groups as it may. The status of a commit
// is no message: each is set, as fast as the host allows.
func isBeyond(target route.Target, begun int) bool {
	return target.Type != v1alpha1.ChannelCommitStatus && begun >= int(target.PerMinute)
}
