package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheServersCertificateIsForTheHostOfItsURL(t *testing.T) {
	t.Parallel()
	for sentence, test := range map[string]struct {
		url, host string
		inside    bool
	}{
		"a Service of the default name":  {"https://penstock-server.penstock-system.svc", "penstock-server.penstock-system.svc", true},
		"a Service of another name":      {"https://second-penstock-server.ops.svc:443", "second-penstock-server.ops.svc", true},
		"a Service with the full domain": {"https://penstock-server.ops.svc.cluster.local/", "penstock-server.ops.svc.cluster.local", true},
		"an Ingress":                     {"https://penstock.example.com/tools", "penstock.example.com", false},
		"what is no URL":                 {"https://%", "", false},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, test.host, place{url: test.url}.host())
			require.Equal(t, test.inside, place{url: test.url}.inside())
		})
	}
}
