// Package crd holds the CustomResourceDefinitions, for programs that check objects without an API
// server.
package crd

import "embed"

// Bases are the definitions, in the folder bases.
//
//go:embed bases/*.yaml
var Bases embed.FS
