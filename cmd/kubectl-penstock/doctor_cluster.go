package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	apiversion "k8s.io/apimachinery/pkg/version"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/doctor"
	"github.com/penstock-cd/penstock/pkg/preflight"
)

// apiTimeout is for how long the API server may be silent. It is below that of all checks,
// so that this one fails.
const apiTimeout = 10 * time.Second

func (p *patient) apiServer(ctx context.Context) doctor.Finding {
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	body, status, _, err := p.ask(ctx, "/version")
	switch {
	case err != nil:
		return doctor.Bad("look at the context of the kubeconfig, and at the network", "%s does not answer: %v", p.host, err)
	case status == http.StatusUnauthorized:
		return doctor.Bad("sign in anew", "%s does not accept the credentials of the kubeconfig", p.host)
	case status != http.StatusOK:
		return doctor.Odd("", "%s answers %d at /version", p.host, status)
	}
	var told apiversion.Info
	if json.Unmarshal(body, &told) != nil {
		return doctor.Bad("look at the context of the kubeconfig", "%s is no API server", p.host)
	}
	return doctor.Good("%s at %s", told.GitVersion, p.host)
}

func (p *patient) clock(ctx context.Context) doctor.Finding {
	asked := time.Now()
	_, _, told, err := p.ask(ctx, "/version")
	if err != nil {
		return unseen(err)
	}
	return doctor.Clock("the API server", asked, time.Now(), told)
}

// unseen is the finding of a check that could not look; another check says why.
func unseen(err error) doctor.Finding { return doctor.Odd("", "could not be looked at: %v", err) }

// kinds of ours, to compare their fields with those that are installed.
func kinds() map[string]any {
	return map[string]any{
		"CiPipeline": &v1alpha1.CiPipeline{}, "CiBuild": &v1alpha1.CiBuild{}, "CdPipeline": &v1alpha1.CdPipeline{}, "RunRequest": &v1alpha1.RunRequest{},
		"TargetCluster": &v1alpha1.TargetCluster{}, "NotificationChannel": &v1alpha1.NotificationChannel{}, "NotificationPolicy": &v1alpha1.NotificationPolicy{},
		"BaseImage": &v1alpha1.BaseImage{}, "Receiver": &v1alpha1.Receiver{},
	}
}

func (p *patient) ownKinds(ctx context.Context) doctor.Finding {
	group := v1alpha1.GroupVersion
	if missing, err := p.missingKinds(ctx, group.Group); err != nil || len(missing) > 0 {
		return kindsFinding(missing, err)
	}
	body, status, _, err := p.ask(ctx, "/openapi/v3/apis/"+group.String())
	if err != nil || status != http.StatusOK {
		return doctor.Odd("", "installed; their fields could not be compared: the OpenAPI document has answered %d", status)
	}
	schemas, err := doctor.Schemas(body)
	if err != nil {
		return doctor.Odd("", "installed; their fields could not be compared: %v", err)
	}
	var lacks, more []string
	for kind, object := range kinds() {
		l, m := doctor.Fields(schemas[kind], object)
		lacks, more = append(lacks, prefixed(kind, l)...), append(more, prefixed(kind, m)...)
	}
	slices.Sort(lacks)
	slices.Sort(more)
	const apply = "apply the CRDs of the release that you run: kubectl apply -k config/crd, or helm upgrade"
	switch {
	case len(lacks) > 0:
		return doctor.Bad(apply, "the installed CRDs are older than this plugin: they lack %s", someOf(lacks))
	case len(more) > 0:
		return doctor.Odd("use the plugin of the same release", "the installed CRDs are newer than this plugin: it does not know %s", someOf(more))
	}
	return doctor.Good("%d kinds of %s are installed, with the fields that this plugin knows", len(kinds()), group)
}

func prefixed(kind string, fields []string) []string {
	all := make([]string, len(fields))
	for i, field := range fields {
		all[i] = kind + "." + field
	}
	return all
}

// someOf names the first of a list, and how many more there are.
func someOf(names []string) string {
	const named = 3
	if len(names) <= named {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:named], ", "), len(names)-named)
}

func (p *patient) argoKinds(ctx context.Context) doctor.Finding {
	const group = "argoproj.io"
	missing, err := p.missingKinds(ctx, group)
	if err != nil || len(missing) > 0 {
		return kindsFinding(missing, err)
	}
	return doctor.Good("the kinds of %s that Penstock needs are installed", group)
}

func kindsFinding(missing []string, err error) doctor.Finding {
	if err != nil {
		return unseen(err)
	}
	return doctor.Bad("", "%s", strings.Join(missing, "; "))
}

// missingKinds says which kinds of a group Penstock needs and the API server does not serve.
func (p *patient) missingKinds(ctx context.Context, group string) (missing []string, err error) {
	served := map[string]map[string]bool{}
	for _, kind := range preflight.Kinds() {
		if kind.Group != group {
			continue
		}
		if served[kind.Version] == nil {
			if served[kind.Version], err = p.served(ctx, group+"/"+kind.Version); err != nil {
				return nil, err
			}
		}
		if !served[kind.Version][kind.Resource] {
			missing = append(missing, kind.Missing())
		}
	}
	return missing, nil
}

func (p *patient) served(ctx context.Context, groupVersion string) (map[string]bool, error) {
	body, status, _, err := p.ask(ctx, "/apis/"+groupVersion)
	if err != nil {
		return nil, err
	}
	resources := map[string]bool{}
	if status == http.StatusNotFound {
		return resources, nil
	}
	var list metav1.APIResourceList
	if err := json.Unmarshal(body, &list); err != nil || status != http.StatusOK {
		return nil, fmt.Errorf("the API server answers %d for the kinds of %s", status, groupVersion)
	}
	for _, resource := range list.APIResources {
		resources[resource.Name] = true
	}
	return resources, nil
}
