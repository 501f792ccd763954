package main

import (
	"context"
	"fmt"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	authentication "k8s.io/client-go/kubernetes/typed/authentication/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// maxCauseBy and maxRequestBy are how many characters of a user's name a CiBuild and a
// RunRequest take.
const maxCauseBy, maxRequestBy = 253, 512

// caller writes to the cluster that Penstock runs in, with the credentials of the kubeconfig.
type caller struct {
	cluster   client.Client
	config    *rest.Config
	namespace string
}

func (o *options) caller() (*caller, error) {
	config, namespace, err := o.cluster()
	if err != nil {
		return nil, err
	}
	cluster, err := clientOfCluster(config)
	if err != nil {
		return nil, err
	}
	return &caller{cluster: cluster, config: config, namespace: namespace}, nil
}

// name is the user's, as the API server knows it. It is empty where the API server does not
// tell, or where it is longer than fits: a part of a name would be another one.
func (p *caller) name(ctx context.Context, most int) string {
	reviews, err := authentication.NewForConfig(p.config)
	if err != nil {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	review, err := reviews.SelfSubjectReviews().Create(ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if err != nil || len(review.Status.UserInfo.Username) > most {
		return ""
	}
	return review.Status.UserInfo.Username
}

// gone is the error that what was asked for does not come any more.
func gone(kind, name string, err error) error {
	return explainedOf(fmt.Errorf("get %s %s: %w", kind, name, err), kind+"s")
}
