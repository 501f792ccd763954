// Package enroll makes clusters known to Penstock: from the contexts of a kubeconfig, or from
// the Secrets in which Argo CD keeps its clusters. It observes these, and writes TargetClusters
// and the Secrets with their kubeconfigs, with the rights of the person who asks.
//
//	FromContext, FromContexts   candidates of a kubeconfig
//	FromArgoCD                  candidates of Argo CD
//	NameOf                      the name of a TargetCluster for any text
//	Enroller                    writes a candidate, and removes what it has written
package enroll
