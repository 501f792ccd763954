package api

import (
	"strings"

	"github.com/danielgtaylor/huma/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// detailsOf name each field of the body that the API server refuses.
func detailsOf(status metav1.Status) []error {
	if status.Details == nil || len(status.Details.Causes) == 0 {
		return []error{&huma.ErrorDetail{Location: "body", Message: status.Message}}
	}
	details := make([]error, len(status.Details.Causes))
	for i, cause := range status.Details.Causes {
		location := "body"
		if field := strings.TrimPrefix(strings.TrimPrefix(cause.Field, "<nil>"), "metadata."); field != "" {
			location += "." + field
		}
		details[i] = &huma.ErrorDetail{Location: location, Message: cause.Message}
	}
	return details
}
