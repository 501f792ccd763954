package env

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// auditPolicy writes one event for a request, when it is over: a watch is
// logged when it ends.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted]
rules:
- level: Metadata
  userGroups: ["system:serviceaccounts"]
- level: Metadata
  verbs: [create, update, patch, delete, deletecollection]
- level: None
`

// AuditEvent is one finished request, as the API server's audit log tells it
// (audit.k8s.io/v1).
type AuditEvent struct {
	Verb, User, UserAgent        string
	Group, Resource, Subresource string
	Namespace, Name              string // Name is empty for a list or a watch
	Code                         int    // HTTP status
	Stage                        string // ResponseComplete, or Panic
	Received, Finished           time.Time
}

// ReadAudit returns the events of an audit log in the order in which the
// requests ended. A request whose answer a client has read to its end is in it.
// It may be read while the API server runs.
func ReadAudit(path string) ([]AuditEvent, error) {
	file, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read audit log: %w", err)
	}
	defer func() { _ = file.Close() }()
	var events []AuditEvent
	for reader := bufio.NewReader(file); ; {
		line, err := reader.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			// What is left is a line that the server is still writing.
			return events, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read audit log: %w", err)
		}
		event, err := parseAuditEvent(line)
		if err != nil {
			return nil, fmt.Errorf("read audit log: %w", err)
		}
		events = append(events, event)
	}
}

func parseAuditEvent(line []byte) (AuditEvent, error) {
	var raw struct {
		Stage, Verb, UserAgent string
		User                   struct{ Username string }
		ObjectRef              struct{ APIGroup, Resource, Subresource, Namespace, Name string }
		ResponseStatus         struct{ Code int }
		Received               time.Time `json:"requestReceivedTimestamp"`
		Finished               time.Time `json:"stageTimestamp"`
	}
	if err := json.Unmarshal(bytes.TrimSpace(line), &raw); err != nil {
		return AuditEvent{}, err
	}
	object := raw.ObjectRef
	return AuditEvent{
		Verb: raw.Verb, User: raw.User.Username, UserAgent: raw.UserAgent,
		Group: object.APIGroup, Resource: object.Resource, Subresource: object.Subresource,
		Namespace: object.Namespace, Name: object.Name,
		Code: raw.ResponseStatus.Code, Stage: raw.Stage,
		Received: raw.Received, Finished: raw.Finished,
	}, nil
}

// auditArgs are the API server's flags. It answers only after the event is
// written, so that counts are exact.
func (e *Environment) auditArgs() ([]string, error) {
	if !e.options.Audit {
		return nil, nil
	}
	policy := filepath.Join(e.data, "audit-policy.yaml")
	if err := os.WriteFile(policy, []byte(auditPolicy), 0o600); err != nil {
		return nil, fmt.Errorf("write audit policy: %w", err)
	}
	e.AuditLog = filepath.Join(e.Dir, "audit.log")
	if err := ignoreMissing(os.Remove(e.AuditLog)); err != nil {
		return nil, fmt.Errorf("remove old audit log: %w", err)
	}
	return []string{
		"--audit-policy-file=" + policy,
		"--audit-log-path=" + e.AuditLog,
		"--audit-log-mode=blocking",
		"--audit-log-maxsize=100000", // megabytes: never rotated away
	}, nil
}
