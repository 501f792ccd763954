package clusters

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/penstock-cd/penstock/pkg/bounded"
	"github.com/penstock-cd/penstock/test/bench/fixture"
	"github.com/penstock-cd/penstock/test/bench/link"
	"github.com/penstock-cd/penstock/test/bench/stage"
	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/given"
)

const (
	// mostLanes is how many links are open, whether a lane uses them or not.
	mostLanes = 200
	// addAtOnce is how many lanes are prepared at once.
	addAtOnce = 4
)

// scene is what the measurements share.
type scene struct {
	at       *stage.Stage
	triggers int // of one build in one lane
	parts    *env.Environment
	home     *fixture.Limited
	servers  []*server
	front    *front
	network  *link.Network
	lanes    []*lane
	rounds   int // that began
}

// start starts everything but the lanes.
func (s *scene) start(ctx context.Context) (err error) {
	if s.parts, err = s.at.Start(ctx, env.Options{Audit: true}); err != nil {
		return err
	}
	if s.servers, err = startServers(ctx); err != nil {
		return err
	}
	s.at.Say("%d other API servers ready", len(s.servers))
	s.front = newFront()
	if s.network, err = link.New([]string{s.front.Listener.Addr().String()}, mostLanes, away); err != nil {
		return err
	}
	s.home, err = fixture.StartLimited(ctx, s.parts, "clusters", 1, fmt.Sprintf("KUBE_API_QPS=%d", fixture.QPSBetween), fmt.Sprintf("KUBE_API_BURST=%d", burst))
	return err
}

func (s *scene) stop() error {
	if s.home != nil {
		s.home.Close(context.Background())
	}
	var errs []error
	if s.parts != nil {
		errs = append(errs, s.parts.Stop())
	}
	if s.network != nil {
		s.network.Close()
	}
	if s.front != nil {
		s.front.CloseClientConnections()
		s.front.Close()
	}
	for _, one := range s.servers {
		errs = append(errs, one.stop())
	}
	return errors.Join(errs...)
}

// addLanes adds lanes until there are so many, each with as many pipelines.
func (s *scene) addLanes(ctx context.Context, most, pipelines int) error {
	var added []*lane
	for i := len(s.lanes); i < most; i++ {
		added = append(added, &lane{name: fmt.Sprintf("lane-%03d", i), home: s.servers[i%realServers], link: s.network.Links[i], pipelines: pipelines, others: map[string]int{}})
	}
	for _, one := range added {
		s.front.add(one)
	}
	err := errors.Join(bounded.ForEach(ctx, addAtOnce, patience, added, func(ctx context.Context, one *lane) error { return s.prepare(ctx, one) })...)
	s.lanes = append(s.lanes, added...)
	s.at.Say("%d lanes with %d pipelines each", len(added), pipelines)
	return err
}

// prepare creates a lane's TargetCluster, and its namespace and pipelines.
func (s *scene) prepare(ctx context.Context, one *lane) error {
	kubeconfig, err := s.kubeconfig(one)
	if err != nil {
		return err
	}
	if err := errors.Join(one.home.Namespace(ctx, one.name), s.home.Namespace(ctx, one.name)); err != nil {
		return err
	}
	secret := given.Secret(one.name, map[string]string{"kubeconfig": string(kubeconfig)})
	secret.Namespace = env.ControllerNamespace
	if err := s.home.Create(ctx, secret, given.TargetCluster(one.name)); err != nil {
		return err
	}
	_, err = s.home.Cluster.Family(ctx, one.name, given.CI, one.pipelines, given.RunsIn(one.name))
	return err
}

func (s *scene) kubeconfig(one *lane) ([]byte, error) {
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.front.Certificate().Raw})
	return clientcmd.Write(clientcmdapi.Config{
		Clusters:       map[string]*clientcmdapi.Cluster{"c": {Server: "https://" + one.link.Address() + "/" + one.name, CertificateAuthorityData: authority}},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{"c": {Token: one.home.ConfigFor(env.Penstock).BearerToken}},
		Contexts:       map[string]*clientcmdapi.Context{"c": {Cluster: "c", AuthInfo: "c"}},
		CurrentContext: "c",
	})
}
