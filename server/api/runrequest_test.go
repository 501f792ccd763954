package api

import (
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/api/v1alpha1"
)

func TestTheAPIKnowsEveryFieldOfARunRequest(t *testing.T) {
	t.Parallel()
	fields := func(of reflect.Type) (names []string) {
		for i := range of.NumField() {
			names = append(names, of.Field(i).Tag.Get("json"))
		}
		return names
	}
	require.ElementsMatch(t, fields(reflect.TypeFor[v1alpha1.RunRequestSpec]()), fields(reflect.TypeFor[rest.RunRequestSpec]()))
	require.ElementsMatch(t, fields(reflect.TypeFor[v1alpha1.RunRequestStatus]()), fields(reflect.TypeFor[rest.RunRequestStatus]()))
}
