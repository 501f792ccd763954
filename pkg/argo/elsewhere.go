package argo

import (
	"context"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
)

// ReadElsewhere returns a reader of Penstock's kinds at home and of Argo's kinds in another
// cluster.
func ReadElsewhere(scheme *runtime.Scheme, home, there client.Reader) client.Reader {
	return reader{scheme: scheme, home: home, there: there}
}

// Elsewhere returns a client of Penstock's kinds at home and of Argo's kinds in another cluster.
func Elsewhere(home, there client.Client) client.Client {
	return elsewhere{Client: there, reader: reader{scheme: there.Scheme(), home: home, there: there}}
}

// reader reads in one of two clusters, by kind.
type reader struct {
	scheme      *runtime.Scheme
	home, there client.Reader
}

// of returns who has objects of the kind. Kinds that the scheme does not know are not Argo's.
func (r reader) of(object runtime.Object) client.Reader {
	kind, err := apiutil.GVKForObject(object, r.scheme)
	if err == nil && kind.Group == wfv1.SchemeGroupVersion.Group {
		return r.there
	}
	return r.home
}

// Get implements client.Reader.
func (r reader) Get(ctx context.Context, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
	return r.of(object).Get(ctx, key, object, options...)
}

// List implements client.Reader.
func (r reader) List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	return r.of(list).List(ctx, list, options...)
}

// elsewhere writes there alone: Penstock's kinds are only read.
type elsewhere struct {
	client.Client
	reader reader
}

// Get implements client.Reader.
func (e elsewhere) Get(ctx context.Context, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
	return e.reader.Get(ctx, key, object, options...)
}

// List implements client.Reader.
func (e elsewhere) List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	return e.reader.List(ctx, list, options...)
}
