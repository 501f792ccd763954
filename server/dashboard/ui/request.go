package ui

import (
	"strings"

	"github.com/penstock-cd/penstock/api/rest"
)

// RequestView is what the page of a RunRequest shows.
type RequestView struct {
	Request rest.RunRequest
	// Run is the one that the request has made or changed; nil where none is known.
	Run *rest.Run
}

// RequestTitle is what was asked for.
func RequestTitle(asked rest.RunRequest) string {
	spec := asked.Spec
	parts := []string{spec.Action}
	if spec.Stage != "" {
		parts = append(parts, "stage "+spec.Stage+" of")
	}
	if spec.Run != nil {
		parts = append(parts, "run "+count(*spec.Run)+" of")
	}
	if spec.Target != nil {
		return strings.Join(append(parts, spec.Target.Kind, spec.Target.Name), " ")
	}
	return strings.Join(append(parts, spec.PipelineRef.Name), " ")
}

// requestTone is how a request looks.
func requestTone(phase string) string {
	switch phase {
	case "Refused":
		return "bad"
	case "Done":
		return ""
	}
	return "wait"
}

// requestSaid is what became of a request, in words.
func requestSaid(status rest.RunRequestStatus) string {
	if status.Phase == "" {
		return "Penstock has not answered yet. Where that lasts, see whether the controller runs."
	}
	return status.Message
}
