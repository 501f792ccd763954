// Package registry asks registries of container images which digest a tag stands for.
//
// A question is one HEAD request for the manifest (OCI distribution specification, "pull
// manifests"), so that nothing is pulled and no pull is counted. Of an image for several
// platforms the answer is the digest of its index. Each registry has connections and a token
// bucket of its own, and a registry that asks to be left alone is asked nothing until then,
// whichever image it is about. The bearer token of a repository is kept while it is valid.
package registry
