// Package registry runs a registry of container images in the test's own process, which can be
// told to misbehave, and which remembers what it was asked.
package registry
