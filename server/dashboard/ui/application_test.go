package ui

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/rest"
)

func TestWhatIsDeployedIsATableOfEnvironmentsAndRepositories(t *testing.T) {
	t.Parallel()
	of := func(name, environment string, images ...string) rest.CdPipelineStatus {
		pipeline := rest.CdPipelineStatus{Name: name, Environment: environment}
		for _, image := range images {
			pipeline.Deployed = append(pipeline.Deployed, rest.Deployment{Image: image})
		}
		return pipeline
	}
	table := deployed([]rest.CdPipelineStatus{
		of("web-staging", "staging", "registry.example.com:5000/shop:1.4", "registry.example.com:5000/mail@sha256:abc"),
		of("web-dev", "dev", "registry.example.com:5000/shop:1.5@sha256:def"), of("lab", ""),
	})
	require.Equal(t, []string{"registry.example.com:5000/mail", "registry.example.com:5000/shop"}, table.repositories, "one column for both tags")
	require.Equal(t, []string{"dev", "staging"}, table.environments)
	shop := "registry.example.com:5000/shop"
	require.Equal(t, "1.5", table.cells["dev"][shop][0].tag())
	require.Equal(t, "1.4", table.cells["staging"][shop][0].tag())
	require.Empty(t, table.cells["staging"]["registry.example.com:5000/mail"][0].tag())
}
