// Package given makes valid objects for tests, each different from the smallest
// one only in what the test is about:
//
//	given.CdPipeline("web", given.BelowCi("base"), given.Suspended)
//
// What is made is equal for equal arguments: UIDs, digests and hashes are counted
// from names and numbers, never drawn.
package given
