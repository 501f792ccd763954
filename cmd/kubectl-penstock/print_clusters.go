package main

import "slices"

// withClusters inserts the column CLUSTER, where any of the rows is of a TargetCluster: most
// installations run everything at home. clusters has one for each row.
func (t table) withClusters(at int, clusters []string) table {
	if !slices.ContainsFunc(clusters, func(cluster string) bool { return cluster != "" }) {
		return t
	}
	t.head, t.wide = slices.Insert(slices.Clone(t.head), at, "CLUSTER"), t.wide+1
	rows := make([][]string, len(t.rows))
	for i, row := range t.rows {
		rows[i] = slices.Insert(slices.Clone(row), at, clusters[i])
	}
	t.rows = rows
	return t
}
