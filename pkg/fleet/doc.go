// Package fleet reaches many clusters: it keeps one client for each TargetCluster, reads
// what a kubeconfig may hold, and decides from the probes how a cluster does. It observes
// TargetClusters and their Secrets, and writes nothing.
//
//	Parse       a kubeconfig's bytes, or the field for which it is refused
//	Client      the connections to one cluster
//	Members     the TargetClusters that exist, and their clients
//	Probe       asks one cluster how it does
//	Classify    an error's class, and a sentence that says what to do
//	Judge       the next Health from the last one and one probe
//
// Two packages below answer for all clusters at once: fleet/resources lists kinds in the API
// server's own columns, fleet/batchget gets objects by reference. fleet/enroll makes clusters
// known, from a kubeconfig or from Argo CD.
package fleet
