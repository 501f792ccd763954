package argo_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/pkg/argo"
)

// request is what an API server was asked.
type request struct{ method, path, accept, body string }

// answering returns a client of an API server that answers every request alike.
func answering(t *testing.T, status int, body string) (client.Client, *request) {
	t.Helper()
	var last request
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent, _ := io.ReadAll(r.Body)
		last = request{r.Method, r.URL.Path, r.Header.Get("Accept"), string(sent)}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(server.Close)
	scheme := runtime.NewScheme()
	require.NoError(t, wfv1.AddToScheme(scheme))
	require.NoError(t, corev1.AddToScheme(scheme))
	mapper := meta.NewDefaultRESTMapper(nil)
	mapper.Add(wfv1.SchemeGroupVersion.WithKind("Workflow"), meta.RESTScopeNamespace)
	mapper.Add(corev1.SchemeGroupVersion.WithKind("ConfigMap"), meta.RESTScopeNamespace)
	made, err := argo.NewClient(&rest.Config{Host: server.URL}, client.Options{Scheme: scheme, Mapper: mapper})
	require.NoError(t, err)
	return made, &last
}

func workflowNamed(name string) *wfv1.Workflow {
	return &wfv1.Workflow{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: name}, Spec: wfv1.WorkflowSpec{Entrypoint: "main"}}
}

func TestACreatedWorkflowIsAnsweredWithItsMetadataAlone(t *testing.T) {
	t.Parallel()
	writer, last := answering(t, http.StatusCreated, `{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":{"name":"web","uid":"one"}}`)
	workflow := workflowNamed("web")
	require.NoError(t, writer.Create(t.Context(), workflow))
	require.EqualValues(t, "one", workflow.UID)
	require.Equal(t, http.MethodPost, last.method)
	require.Equal(t, "/apis/argoproj.io/v1alpha1/namespaces/team/workflows", last.path)
	require.Equal(t, "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1", last.accept)
	require.Contains(t, last.body, `"kind":"Workflow","apiVersion":"argoproj.io/v1alpha1"`)
	require.Contains(t, last.body, `"entrypoint":"main"`)
}

func TestARefusedWorkflowIsAnErrorOfTheAPIServer(t *testing.T) {
	t.Parallel()
	for reason, code := range map[metav1.StatusReason]int{
		metav1.StatusReasonAlreadyExists: http.StatusConflict, metav1.StatusReasonForbidden: http.StatusForbidden,
		metav1.StatusReasonInvalid: http.StatusUnprocessableEntity, metav1.StatusReasonTooManyRequests: http.StatusTooManyRequests,
	} {
		writer, _ := answering(t, code, fmt.Sprintf(
			`{"kind":"Status","apiVersion":"v1","status":"Failure","reason":%q,"message":"the API server's own words","code":%d}`, reason, code))
		err := writer.Create(t.Context(), workflowNamed("web"))
		require.Equal(t, reason, apierrors.ReasonForError(err))
		require.ErrorContains(t, err, "the API server's own words")
	}
}

func TestAnAnswerWithoutAUIDIsAnError(t *testing.T) {
	t.Parallel()
	for body, text := range map[string]string{`{}`: "no UID", `nonsense`: "read the API server's answer"} {
		writer, _ := answering(t, http.StatusCreated, body)
		require.ErrorContains(t, writer.Create(t.Context(), workflowNamed("web")), text)
	}
}

func TestOtherObjectsAreCreatedAsEver(t *testing.T) {
	t.Parallel()
	writer, last := answering(t, http.StatusCreated, `{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"web","uid":"one"},"data":{"filled":"in"}}`)
	object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "web"}}
	require.NoError(t, writer.Create(t.Context(), object))
	require.Equal(t, "in", object.Data["filled"])
	require.NotContains(t, last.accept, "PartialObjectMetadata")
}
