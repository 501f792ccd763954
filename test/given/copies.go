package given

import "sigs.k8s.io/controller-runtime/pkg/client"

// Copies returns copies of the objects, so that parallel tests can each give the same ones
// to a server in memory, which writes to what it is given.
func Copies(objects ...client.Object) []client.Object {
	copies := make([]client.Object, len(objects))
	for i, object := range objects {
		copies[i] = object.DeepCopyObject().(client.Object)
	}
	return copies
}
