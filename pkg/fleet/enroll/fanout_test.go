package enroll

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd/api"

	"github.com/penstock-cd/penstock/test/target"
)

const accountPath = "/api/v1/namespaces/penstock-target/secrets/penstock-target"

// tokenOf answers with the account of a cluster.
func tokenOf(token string) http.HandlerFunc {
	return target.JSON(corev1.Secret{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"}, ObjectMeta: metav1.ObjectMeta{Namespace: account, Name: account},
		Data: map[string][]byte{"token": []byte(token)},
	})
}

// fleetOf is a kubeconfig with a context for each server, c-00 and so on, and one user.
func fleetOf(t *testing.T, servers ...*target.Server) *api.Config {
	t.Helper()
	config := contextOf(t, servers[0])
	delete(config.Contexts, "a")
	for i, server := range servers {
		name := fmt.Sprintf("c-%02d", i)
		config.Clusters[name] = contextOf(t, server).Clusters["target"]
		config.Contexts[name] = &api.Context{Cluster: name, AuthInfo: "target"}
	}
	return config
}

func TestTenClustersAreAskedForTheirTokenAtOnce(t *testing.T) {
	t.Parallel()
	server := target.New(t)
	var there sync.WaitGroup
	there.Add(atOnce)
	server.Handle(accountPath, func(w http.ResponseWriter, r *http.Request) {
		there.Done()
		there.Wait()
		tokenOf("least")(w, r)
	})
	servers := slices.Repeat([]*target.Server{server}, atOnce)
	for _, found := range FromContexts(t.Context(), fleetOf(t, servers...), OfAccount, func() {}) {
		require.NoError(t, found.Err)
		require.Contains(t, string(found.Kubeconfig), "least")
	}
}

func TestAClusterThatFailsOrHangsCostsNoOther(t *testing.T) {
	t.Parallel()
	good, broken, hangs := target.New(t), target.New(t), target.New(t)
	good.Handle(accountPath, tokenOf("least"))
	broken.Handle(accountPath, target.Cut)
	hangs.Handle(accountPath, hangs.Hang)
	servers := append([]*target.Server{hangs, broken, hangs}, slices.Repeat([]*target.Server{good}, 3*atOnce)...)
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	var done atomic.Int32
	all := FromContexts(ctx, fleetOf(t, servers...), OfAccount, func() {
		if int(done.Add(1)) == len(servers)-2 {
			// All others have answered; the last of them tells so before its answer is taken.
			time.AfterFunc(time.Second, interrupt)
		}
	})
	for i, found := range all {
		require.Equal(t, fmt.Sprintf("context c-%02d c-%02d", i, i), found.From+" "+found.Name, "in the order of their names")
		switch i {
		case 0, 2:
			require.ErrorIs(t, found.Err, context.Canceled)
		case 1:
			require.ErrorContains(t, found.Err, `read the Secret penstock-target/penstock-target of context "c-01"`)
		default:
			require.NoError(t, found.Err, found.From)
		}
	}
}
