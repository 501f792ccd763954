// Package trigger decides, without any I/O, which CD pipelines a finished build
// triggers, why the others are not, which stage follows which, and what the
// Workflow of each stage is called.
package trigger
