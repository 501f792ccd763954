//go:build !failpoints

package main

import "github.com/penstock-cd/penstock/pkg/argo"

// moreBuilders are those of kinds of task that only tests have.
func moreBuilders() argo.Builders { return nil }
