package ui

import "github.com/penstock-cd/penstock/api/rest"

// QueueFilter is what the queue is narrowed down to.
type QueueFilter struct{ State, Namespace, Cursor string }

func (f Frame) queue(filter QueueFilter, state, cursor string) string {
	return f.With(f.Path("queue"), "state", state, "namespace", filter.Namespace, "cursor", cursor)
}

func nextQueue(f Frame, filter QueueFilter, next string) string {
	if next == "" {
		return ""
	}
	return f.queue(filter, filter.State, next)
}

// queueTabs are the states of tasks. Active tasks are counted together.
func queueTabs(counts rest.QueueCounts) []tab {
	return []tab{
		{"Wait for a slot", "Pending", counts.Pending}, {"Held", "Held", counts.Held}, {"Being created", "Submitting", counts.Submitting},
		{"Wait for Argo", "Submitted", -1}, {"Run", "Running", -1},
	}
}

// lane is what a task waits in line for.
func lane(task rest.Task) string {
	return task.Kind + inCluster(task.Cluster)
}

// inCluster names the TargetCluster of what is not at home.
func inCluster(cluster string) string {
	if cluster == "" {
		return ""
	}
	return " in " + cluster
}
