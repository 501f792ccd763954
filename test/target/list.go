package target

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Columns are those of the lists that the server gives, as kubectl prints them.
var Columns = []metav1.TableColumnDefinition{
	{Name: "Name", Type: "string", Format: "name"}, {Name: "Status", Type: "string"}, {Name: "Restarts", Type: "integer"},
	{Name: "Age", Type: "string"},
}

// List is what the server gives for a path, as a Table or as a list of objects, in pages.
type List struct {
	Kind    string
	Columns []metav1.TableColumnDefinition // defaults to Columns
	Objects []Object
	// WithoutTable gives a list where a Table was asked for.
	WithoutTable bool
}

// Object is one of them.
type Object struct {
	Namespace, Name string
	Created         time.Time
	Cells           []any
}

// Objects are n that were created an hour ago, in one namespace.
func Objects(namespace string, n int) []Object {
	objects := make([]Object, n)
	for i := range objects {
		name := fmt.Sprintf("object-%04d", i)
		objects[i] = Object{Namespace: namespace, Name: name, Created: time.Now().Add(-time.Hour), Cells: []any{name, "Running", i, "60m"}}
	}
	return objects
}

// List gives a list for a path, and its objects below it.
func (s *Server) List(path string, list List) {
	if list.Columns == nil {
		list.Columns = Columns
	}
	s.Handle(path, func(w http.ResponseWriter, r *http.Request) {
		first, _ := strconv.Atoi(r.URL.Query().Get("continue"))
		last := len(list.Objects)
		if limit, err := strconv.Atoi(r.URL.Query().Get("limit")); err == nil && limit > 0 {
			last = min(first+limit, last)
		}
		metadata := map[string]any{"resourceVersion": "1"}
		if last < len(list.Objects) {
			metadata["continue"], metadata["remainingItemCount"] = strconv.Itoa(last), len(list.Objects)-last
		}
		page := list.Objects[first:last]
		if list.WithoutTable || !strings.Contains(r.Header.Get("Accept"), "as=Table") {
			items := make([]any, len(page))
			for i, object := range page {
				items[i] = object.whole("")
			}
			JSON(map[string]any{"kind": list.Kind + "List", "apiVersion": "v1", "metadata": metadata, "items": items})(w, r)
			return
		}
		rows := make([]any, len(page))
		for i, object := range page {
			rows[i] = map[string]any{"cells": object.Cells, "object": object.whole("PartialObjectMetadata")}
		}
		// In the order of the API server.
		JSON(struct {
			Kind     string         `json:"kind"`
			Version  string         `json:"apiVersion"`
			Metadata map[string]any `json:"metadata"`
			Columns  any            `json:"columnDefinitions"`
			Rows     []any          `json:"rows"`
		}{"Table", "meta.k8s.io/v1", metadata, list.Columns, rows})(w, r)
	})
	for _, object := range list.Objects {
		s.Handle(path+"/"+object.Name, JSON(object.whole(list.Kind)))
	}
}

func (o Object) whole(kind string) map[string]any {
	whole := map[string]any{
		"metadata": map[string]any{
			"name": o.Name, "namespace": o.Namespace, "uid": "uid of " + o.Name, "creationTimestamp": o.Created.UTC().Format(time.RFC3339),
			"managedFields": []any{map[string]any{"manager": "test"}},
		},
		"status": map[string]any{"conditions": []any{
			map[string]any{"type": "Ready", "status": "True"}, map[string]any{"type": "Stalled", "status": "False"},
		}},
	}
	if kind != "" {
		whole["kind"], whole["apiVersion"] = kind, "v1"
	}
	return whole
}
