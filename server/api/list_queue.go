package api

import (
	"context"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/pkg/view"
	"github.com/penstock-cd/penstock/server/stream"
)

// pending is the state whose tasks are in the queue's order.
const pending = "Pending"

// ListQueueInput selects a page of the tasks that have not ended.
type ListQueueInput struct {
	Paging
	Watching

	Namespaces []string `query:"namespace" maxItems:"50" doc:"Only these namespaces, separated by commas. Without it: all in which the caller has the right."`
	State      string   `query:"state" enum:"Pending,Held,Submitting,Submitted,Running" default:"Pending" doc:"Only tasks in this state."`

	scope view.Scope
}

func (in *ListQueueInput) allow(ctx context.Context, gate gate) (err error) {
	in.scope, err = gate.scope(ctx, in.verb(), "queue", in.Namespaces)
	return err
}

func (in *ListQueueInput) start() (*view.Position, error) { return in.after(in.Cursor) }

func (in *ListQueueInput) sees() stream.Filter {
	scope := in.scope
	return func(event view.Event) bool { return event.Kind == "Task" && scope.Has(event.Namespace) }
}

func listQueue(api huma.API, b *Backend) {
	get(api, b, names{
		id: "list-queue", path: "/api/v1/queue", summary: "List the queue",
		description: "What waits for a slot, in the order in which it is served, and how many tasks there are in each state. " +
			"A stream has what happens to tasks. Needs `list` on `queue` (`watch` for a stream) in all namespaces, or in those that are shown.",
	}, answerQueue)
}

func answerQueue(ctx context.Context, b *Backend, in *ListQueueInput) (*rest.Queue, error) {
	query := []string{"queue", in.State, strings.Join(in.Namespaces, ",")}
	var after view.Place
	if err := decodeCursor(in.Cursor, &after, query...); err != nil {
		return nil, err
	}
	counts, err := b.View.QueueCounts(ctx, in.scope)
	if err != nil {
		return nil, err
	}
	var tasks []view.Task
	if in.State == pending {
		tasks, err = b.View.Pending(ctx, in.scope, after, in.Limit+1)
	} else {
		tasks, err = b.View.Tasks(ctx, in.scope, in.State, after.ID, in.Limit+1)
	}
	if err != nil {
		return nil, err
	}
	queue := &rest.Queue{Counts: counts, Items: []rest.Task{}}
	for i, task := range tasks {
		if i == in.Limit {
			queue.Next = encodeCursor(tasks[i-1].Place, query...)
			break
		}
		queue.Items = append(queue.Items, task.Task)
	}
	return queue, nil
}
