package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/penstock-cd/penstock/pkg/doctor"
)

// askedPaths are the newest that this plugin and its user ask the server for.
var askedPaths = []string{
	"/api/v1/queue/summary", "/api/v1/waves", "/api/v1/namespaces/{namespace}/applications", "/api/v1/namespaces/{namespace}/runrequests",
	"/api/v1/namespaces/{namespace}/builds/{name}/explanation", "/api/v1/namespaces/{namespace}/pipelines/{name}/explanation",
	"/api/v1/namespaces/{namespace}/runs/{id}/explanation",
}

// server looks at penstock server as every command finds it.
func (p *patient) server(ctx context.Context) doctor.Finding {
	connected, err := p.o.connect(ctx)
	if err != nil {
		return doctor.Bad("", "%v", err)
	}
	defer connected.close()
	asked := time.Now()
	ready, status, told, err := connected.raw(ctx, "/readyz")
	if err != nil {
		return doctor.Bad(fmt.Sprintf("kubectl -n %s get pods", p.namespace), "penstock server does not answer: %v", err)
	}
	if status != http.StatusOK {
		return doctor.Bad("look at its log", "penstock server at %s is %s", connected.url, strings.TrimSpace(string(ready)))
	}
	if clock := doctor.Clock("penstock server", asked, time.Now(), told); clock.Status == doctor.Fail {
		return clock
	}
	document, _, _, err := connected.raw(ctx, "/openapi.json")
	if err != nil {
		return unseen(err)
	}
	return serverFinding(document)
}

// serverFinding judges what the server's document says of its version and its paths.
func serverFinding(document []byte) doctor.Finding {
	var told struct {
		Info struct {
			Version string `json:"version"`
		} `json:"info"`
		Paths map[string]json.RawMessage `json:"paths"`
	}
	if err := json.Unmarshal(document, &told); err != nil {
		return doctor.Bad("name the right one by --server", "what answers is not penstock server")
	}
	lacks := slices.DeleteFunc(slices.Clone(askedPaths), func(path string) bool { return told.Paths[path] != nil })
	if len(lacks) > 0 {
		return doctor.Bad("upgrade it", "penstock server (%s) is older than this plugin (%s): it lacks %s", told.Info.Version, version, someOf(lacks))
	}
	return doctor.Versions("penstock server", told.Info.Version, version)
}

// raw reads a path as it is. The date is the server's.
func (c *connection) raw(ctx context.Context, path string) (body []byte, status int, date time.Time, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url+path, http.NoBody)
	if err != nil {
		return nil, 0, time.Time{}, err
	}
	response, err := c.client.Do(request)
	if err != nil {
		return nil, 0, time.Time{}, unwrapped(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err = io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	date, _ = http.ParseTime(response.Header.Get("Date"))
	return body, response.StatusCode, date, err
}
