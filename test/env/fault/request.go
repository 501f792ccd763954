package fault

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Request is what was asked of an API server. What is not about a resource, such as
// discovery, has a Path alone.
type Request struct {
	At        time.Time
	UserAgent string
	Path      string
	// Verb is as RBAC calls it: get, list, watch, create, update, patch, delete or
	// deletecollection.
	Verb                  string
	Resource, Subresource string
	Namespace, Name       string
	// Fault is what the proxy did about it; None also while a rule holds it up.
	Fault Fault
}

// IsWatch tells whether the request is a stream of events.
func (r Request) IsWatch() bool { return r.Verb == "watch" }

// requestOf reads an HTTP request; a created object's name stands in the body.
func requestOf(from *http.Request, body []byte) Request {
	request := Request{At: time.Now(), UserAgent: from.UserAgent(), Path: from.URL.Path}
	parts := strings.Split(strings.Trim(from.URL.Path, "/"), "/")
	switch {
	case parts[0] == "api" && len(parts) > 2:
		parts = parts[2:]
	case parts[0] == "apis" && len(parts) > 3:
		parts = parts[3:]
	default:
		return request
	}
	if parts[0] == "namespaces" && len(parts) > 2 {
		request.Namespace, parts = parts[1], parts[2:]
	}
	parts = append(parts, "", "")
	request.Resource, request.Name, request.Subresource = parts[0], parts[1], parts[2]
	request.Verb = verb(from, request.Name != "")
	if request.Verb == "create" && request.Name == "" {
		request.Name = nameIn(body)
	}
	return request
}

func verb(request *http.Request, named bool) string {
	switch {
	case request.Method == http.MethodGet && request.URL.Query().Get("watch") != "":
		return "watch"
	case request.Method == http.MethodGet && !named:
		return "list"
	case request.Method == http.MethodPost:
		return "create"
	case request.Method == http.MethodPut:
		return "update"
	case request.Method == http.MethodDelete && !named:
		return "deletecollection"
	}
	return strings.ToLower(request.Method)
}

// nameIn is the object's name, empty where the body is no JSON.
func nameIn(body []byte) string {
	var object metav1.PartialObjectMetadata
	if err := json.Unmarshal(body, &object); err != nil {
		return ""
	}
	return object.Name
}
