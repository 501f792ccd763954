// Package env starts and stops the real parts that tests, the demo and the
// benchmarks run against: etcd, kube-apiserver, kube-controller-manager, Argo's
// workflow-controller, kwok and Postgres.
//
// hack/build-parts.sh builds the parts into bin/. Where KUBEBUILDER_ASSETS is
// set, etcd and kube-apiserver come from there; where DATABASE_URL is set, that
// server is used instead of a Postgres of our own.
//
// Every child lives in a session of its own, logs into the environment's
// directory, and dies with the process that started it, however that ends.
// Environments do not share a port, a directory or a database, so any number of
// them can run side by side.
package env
