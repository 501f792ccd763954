package main

import (
	"errors"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/penstock-cd/penstock/api/v1alpha1"
)

// roleFor is the ClusterRole that lets people ask for an action.
func roleFor(spec v1alpha1.RunRequestSpec) string {
	switch {
	case spec.Target != nil && spec.Target.Kind == "BaseImage":
		return "penstock-wave-operator"
	case spec.Target != nil && spec.Target.Kind == "TargetCluster":
		return "penstock-cluster-operator"
	case spec.Target != nil:
		return "penstock-builder"
	case spec.Action == v1alpha1.ActionResume:
		return "penstock-approver"
	}
	return "penstock-triggerer"
}

// denied is where the API server begins to quote what a policy says.
const denied = "denied request: "

// withRole adds the role that grants what is missing, and the exit code, to an error of the API
// server. Of what an admission policy says the sentence that is for people is left.
func withRole(err error, kinds, role string) error {
	if !apierrors.IsForbidden(err) {
		return explainedOf(err, kinds)
	}
	text := err.Error()
	if _, said, found := strings.Cut(text, denied); found {
		text = said
	}
	return &exitError{code: exitRefused, err: errors.New(text + fmt.Sprintf(" (the ClusterRole %s has it)", role))}
}
