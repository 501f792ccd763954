package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/penstock-cd/penstock/api/v1alpha1"
)

// flagsFor are the flags and commands that do what a refusal advises to do with an object.
var flagsFor = strings.NewReplacer(
	"set spec.allowOlder in a new RunRequest to deploy it all the same", "add --allow-older to deploy it all the same",
	"say why in spec.reason of a new RunRequest", "say why by --reason",
	"name spec.stage to run it again from there on", "name a stage by --stage to run it again from there on",
)

// worded is why a request was refused, in the words of the plugin. Where a build does not
// exist, the nearest that does is named.
func (p *caller) worded(ctx context.Context, request *v1alpha1.RunRequest) string {
	text, spec := flagsFor.Replace(request.Status.Message), request.Spec
	if spec.BuildRef != nil && strings.HasPrefix(text, fmt.Sprintf("CiBuild %s does not exist", spec.BuildRef.Name)) {
		if names, err := p.names(ctx, "CiBuild"); err == nil {
			if near := nearest(spec.BuildRef.Name, names); near != "" {
				return text + fmt.Sprintf(": did you mean %q?", near)
			}
		}
		return text + fmt.Sprintf(": kubectl get cibuilds -n %s lists those that do", p.namespace)
	}
	if suspended := ": set spec.suspend to false first"; strings.HasSuffix(text, suspended) {
		return text + fmt.Sprintf(", by kubectl -n %s patch cdpipeline %s --type merge -p '{\"spec\":{\"suspend\":false}}'", p.namespace, aboutOf(spec))
	}
	return text
}
