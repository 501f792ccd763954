package main

import (
	"os"
	"strings"

	"github.com/penstock-cd/penstock/pkg/config"
)

// podNamespaceFile is where Kubernetes tells a pod its namespace.
const podNamespaceFile = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"

// podNamespace is where Penstock itself lives; empty where that is not known.
func podNamespace(settings config.Config) string {
	if settings.PodNamespace != "" {
		return settings.PodNamespace
	}
	told, err := os.ReadFile(podNamespaceFile)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(told))
}
