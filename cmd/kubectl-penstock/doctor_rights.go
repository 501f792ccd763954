package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-cd/penstock/pkg/doctor"
	"github.com/penstock-cd/penstock/pkg/preflight"
)

// reviewsAtOnce is how many questions about rights are under way at once.
const reviewsAtOnce = 8

// rights asks the API server for each right that the controller needs.
func (p *patient) rights(ctx context.Context) doctor.Finding {
	account, reach := "penstock", preflight.Reach{Own: p.namespace, LeaderElection: true}
	if found, _, err := p.o.settings(ctx); err == nil {
		for _, s := range found {
			switch {
			case s.Key == "WATCH_NAMESPACES" && s.Value != "":
				reach.Namespaces = strings.FieldsFunc(s.Value, func(r rune) bool { return r == ',' || r == ' ' })
			case s.Key == "LEADER_ELECT" && s.Value == "false":
				reach.LeaderElection = false
			}
		}
	}
	if pod, err := p.leader(ctx); err == nil && pod != nil && pod.Spec.ServiceAccountName != "" {
		account = pod.Spec.ServiceAccountName
	}
	user := "system:serviceaccount:" + p.namespace + ":" + account
	denied, err := deniedOf(ctx, reach, preflight.Rights(), func(ctx context.Context, right preflight.Right, namespace string) (bool, error) {
		review, err := p.asks.SubjectAccessReviews().Create(ctx, &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
			User: user, Groups: []string{"system:authenticated", "system:serviceaccounts", "system:serviceaccounts:" + p.namespace}, ResourceAttributes: right.Attributes(namespace),
		}}, metav1.CreateOptions{})
		if err != nil {
			return false, err
		}
		return review.Status.Allowed, nil
	})
	switch {
	case err != nil:
		return doctor.Odd("", "could not be looked at, since that takes the right to create subjectaccessreviews: %v", err)
	case len(denied) > 0:
		return doctor.Bad("kubectl apply -k config/rbac, or helm upgrade", "%s", someOf(denied))
	}
	return doctor.Good("%s has the %d rights that it needs", user, len(preflight.Rights()))
}

// deniedOf are the sentences about what is lacking, sorted.
func deniedOf(ctx context.Context, reach preflight.Reach, rights []preflight.Right, ask preflight.Ask) ([]string, error) {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(reviewsAtOnce)
	var mu sync.Mutex
	var denied []string
	for _, right := range rights {
		if !reach.Needs(right) {
			continue
		}
		group.Go(func() error {
			sentence, err := reach.Denied(ctx, right, ask)
			if err == nil && sentence != "" {
				mu.Lock()
				denied = append(denied, sentence)
				mu.Unlock()
			}
			return err
		})
	}
	err := group.Wait()
	slices.Sort(denied)
	return denied, err
}

// yourRights are those of reading, and of asking for something. Not to have them is no
// fault of the installation.
func (p *patient) yourRights(ctx context.Context) doctor.Finding {
	const group = "penstock.dev"
	wanted := []preflight.Right{
		{Group: group, Resource: "cibuilds", Verb: "list"}, {Group: group, Resource: "runs", Verb: "list"}, {Group: group, Resource: "decisions", Verb: "list"},
		{Group: group, Resource: "queue", Verb: "list"}, {Group: group, Resource: "runrequests", Verb: "create"},
	}
	var lacks []string
	for _, right := range wanted {
		review, err := p.asks.SelfSubjectAccessReviews().Create(ctx, &authorizationv1.SelfSubjectAccessReview{
			Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: right.Attributes(p.home)},
		}, metav1.CreateOptions{})
		if err != nil {
			return unseen(err)
		}
		if !review.Status.Allowed {
			lacks = append(lacks, right.String())
		}
	}
	if len(lacks) > 0 {
		return doctor.Odd("ask an administrator for the ClusterRoles penstock-reader and penstock-builder in that namespace", "in namespace %s you may not %s", p.home, strings.Join(lacks, ", "))
	}
	return doctor.Good("%s", fmt.Sprintf("in namespace %s you may read builds, runs, decisions and the queue, and create RunRequests", p.home))
}
