package argo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// metadataAlone asks the API server to answer with an object's metadata and nothing else:
// https://kubernetes.io/docs/reference/using-api/api-concepts/#metadata-only-fetches
const metadataAlone = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"

// NewClient returns a client for a Submitter: one that is answered with the metadata alone
// where it creates a Workflow, which is not sent and read twice then. With other objects it
// does what client.New's does.
func NewClient(config *rest.Config, options client.Options) (client.Client, error) {
	var err error
	if options.HTTPClient == nil {
		if options.HTTPClient, err = rest.HTTPClientFor(config); err != nil {
			return nil, fmt.Errorf("reach the cluster: %w", err)
		}
	}
	all, err := client.New(config, options)
	if err != nil {
		return nil, err
	}
	scheme := runtime.NewScheme()
	metav1.AddToGroupVersion(scheme, schema.GroupVersion{Version: "v1"}) // errors are a Status
	if err := wfv1.AddToScheme(scheme); err != nil {
		return nil, fmt.Errorf("register kinds: %w", err)
	}
	config = rest.CopyConfig(config)
	config.APIPath, config.GroupVersion = "/apis", &wfv1.SchemeGroupVersion
	config.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	workflows, err := rest.RESTClientForConfigAndClient(config, options.HTTPClient)
	if err != nil {
		return nil, fmt.Errorf("create client for Workflows: %w", err)
	}
	return &creator{Client: all, workflows: workflows}, nil
}

// creator is a client whose Create learns no more of a Workflow than its UID.
type creator struct {
	client.Client
	workflows rest.Interface
}

// Create implements client.Writer. Of a Workflow the UID alone is updated.
func (c *creator) Create(ctx context.Context, object client.Object, options ...client.CreateOption) error {
	workflow, is := object.(*wfv1.Workflow)
	if !is || len(options) > 0 {
		return c.Client.Create(ctx, object, options...)
	}
	result := c.workflows.Post().Namespace(workflow.Namespace).Resource("workflows").SetHeader("Accept", metadataAlone).Body(workflow).Do(ctx)
	if err := result.Error(); err != nil {
		return err // it is the API server's Status, which Raw does not read
	}
	answer, err := result.Raw()
	if err != nil {
		return err
	}
	var made struct {
		Metadata struct {
			UID types.UID `json:"uid"`
		} `json:"metadata"`
	}
	if err := json.Unmarshal(answer, &made); err != nil {
		return fmt.Errorf("read the API server's answer: %w", err)
	}
	if made.Metadata.UID == "" {
		return errors.New("the API server's answer has no UID")
	}
	workflow.UID = made.Metadata.UID
	return nil
}
