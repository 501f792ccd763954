package fleet

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/pkg/bounded"
	"github.com/penstock-cd/penstock/test/bench/link"
	"github.com/penstock-cd/penstock/test/bench/stage"
	"github.com/penstock-cd/penstock/test/env"
)

const (
	// realServers is how many API servers the clusters share.
	realServers = 5
	namespace   = "shop"
	// podsEach and othersEach are what each cluster has, and settingsEach what is got by
	// reference.
	podsEach, othersEach, settingsEach = 10, 2, 50
	// startAtOnce is how many servers start at once.
	startAtOnce   = 2
	createTimeout = time.Minute
)

// servers are real API servers, each with an etcd of its own.
type servers []*env.Environment

func startServers(ctx context.Context, at *stage.Stage) (servers, error) {
	results := bounded.Map(ctx, startAtOnce, 0, make([]struct{}, realServers), func(ctx context.Context, _ struct{}) (*env.Environment, error) {
		server, err := env.Start(ctx, env.Options{WithoutPostgres: true, WithoutCRDs: true})
		if err != nil {
			return nil, err
		}
		if err := fill(ctx, server); err != nil {
			return nil, errors.Join(err, server.Stop())
		}
		return server, nil
	})
	var all servers
	var errs []error
	for _, result := range results {
		errs = append(errs, result.Err)
		if result.Value != nil {
			all = append(all, result.Value)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, errors.Join(err, all.stop())
	}
	at.Say("%d API servers ready", len(all))
	return all, nil
}

func (s servers) stop() error {
	results := bounded.ForEach(context.Background(), len(s), 0, s, func(_ context.Context, server *env.Environment) error { return server.Stop() })
	return errors.Join(results...)
}

// addresses are those of all servers.
func (s servers) addresses() []string {
	addresses := make([]string, len(s))
	for i, server := range s {
		if parsed, err := url.Parse(server.Config.Host); err == nil {
			addresses[i] = parsed.Host
		}
	}
	return addresses
}

// fill creates what is listed.
func fill(ctx context.Context, server *env.Environment) error {
	admin, err := server.NewClient(env.Admin)
	if err != nil {
		return err
	}
	if err := admin.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}); err != nil {
		return err
	}
	labels := map[string]string{"app": "web"}
	pod := corev1.PodSpec{Containers: []corev1.Container{{Name: "web", Image: "registry.example.com/web:1"}}}
	var objects []client.Object
	named := func(kind string, i int) metav1.ObjectMeta {
		return metav1.ObjectMeta{Namespace: namespace, Name: fmt.Sprintf("%s-%02d", kind, i), Labels: labels}
	}
	for i := range podsEach {
		objects = append(objects, &corev1.Pod{ObjectMeta: named("web", i), Spec: pod})
	}
	for i := range othersEach {
		objects = append(objects, &corev1.Service{ObjectMeta: named("web", i), Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}}},
			&appsv1.Deployment{ObjectMeta: named("web", i), Spec: appsv1.DeploymentSpec{
				Selector: &metav1.LabelSelector{MatchLabels: labels}, Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: pod},
			}})
	}
	for i := range settingsEach {
		objects = append(objects, &corev1.ConfigMap{ObjectMeta: named("settings", i), Data: map[string]string{"level": "info"}})
	}
	return createAll(ctx, admin, objects)
}

func createAll(ctx context.Context, admin client.Client, objects []client.Object) error {
	return errors.Join(bounded.ForEach(ctx, 8, createTimeout, objects, func(ctx context.Context, object client.Object) error {
		return admin.Create(ctx, object)
	})...)
}

// endpoint is a cluster as others know it.
type endpoint struct {
	Name       string
	Kubeconfig []byte
}

// endpoints reach the servers through links.
func (s servers) endpoints(links []*link.Link) ([]endpoint, error) {
	all := make([]endpoint, len(links))
	for i, one := range links {
		config := rest.CopyConfig(s[0].Config)
		for _, server := range s {
			if server.Config.Host == "https://"+one.Server() {
				config = server.Config
			}
		}
		text, err := clientcmd.Write(clientcmdapi.Config{
			Clusters:       map[string]*clientcmdapi.Cluster{"c": {Server: "https://" + one.Address(), CertificateAuthorityData: config.CAData}},
			AuthInfos:      map[string]*clientcmdapi.AuthInfo{"c": {Token: config.BearerToken}},
			Contexts:       map[string]*clientcmdapi.Context{"c": {Cluster: "c", AuthInfo: "c"}},
			CurrentContext: "c",
		})
		if err != nil {
			return nil, err
		}
		all[i] = endpoint{Name: fmt.Sprintf("c%04d", i), Kubeconfig: text}
	}
	return all, nil
}
