package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"time"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/test/given"
)

const (
	// rebuilt is how many applications are built on the base image, each with a pipeline that
	// deploys it.
	rebuilt = 100
	// baseImage is the BaseImage's name, baseTag its image in the demo's registry.
	baseImage, baseTag = "go", "base/go:1"
	// buildTemplate is the WorkflowTemplate of their builds.
	buildTemplate = "build-app"
)

// rebuildsReach lets the controller reach the demo's registry, which is on loopback.
const rebuildsReach = "OUTBOUND_ALLOWED_NETWORKS=127.0.0.1/32"

// rebuilds is what came of a change of the base image.
type rebuilds struct {
	wave     string // progress and state
	builds   int    // CiBuilds
	deployed int    // runs that succeeded
	took     time.Duration
}

// images is a registry on loopback.
type images struct {
	host   string
	server *http.Server
}

func serveImages() (*images, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for the registry: %w", err)
	}
	server := &http.Server{Handler: registry.New(registry.Logger(log.New(io.Discard, "", 0))), ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(listener) }() // ends with close
	return &images{host: listener.Addr().String(), server: server}, nil
}

func (i *images) close() { _ = i.server.Close() }

// push stores another image under the tag, and returns its digest.
func (i *images) push(ctx context.Context) (string, error) {
	tag, err := name.NewTag(i.host + "/" + baseTag)
	if err != nil {
		return "", fmt.Errorf("name the base image: %w", err)
	}
	image, err := random.Image(64, 1)
	if err != nil {
		return "", fmt.Errorf("make a base image: %w", err)
	}
	if err := remote.Write(tag, image, remote.WithContext(ctx)); err != nil {
		return "", fmt.Errorf("push the base image: %w", err)
	}
	digest, err := image.Digest()
	return digest.String(), err
}

// rebuild changes a base image, and returns when everything that is built on it is built and
// deployed.
func (s *stage) rebuild(ctx context.Context) (rebuilds, error) {
	var came rebuilds
	fmt.Printf("Rebuilding: a base image changes on which %d applications are built\n", rebuilt)
	images, err := serveImages()
	if err != nil {
		return came, err
	}
	defer images.close()
	first, err := images.push(ctx)
	if err != nil {
		return came, err
	}
	if err := s.createApplications(ctx, images.host+"/"+baseTag); err != nil {
		return came, err
	}
	if err := s.awaitDigest(ctx, first); err != nil {
		return came, err
	}
	second, err := images.push(ctx)
	if err != nil {
		return came, err
	}
	if err := s.awaitDigest(ctx, second); err != nil {
		return came, err
	}
	began := time.Now()
	if came.wave, err = s.watchWave(ctx); err != nil {
		return came, err
	}
	err = s.await(ctx, "what was rebuilt to be deployed", func(ctx context.Context) (bool, error) {
		err := s.database.QueryRow(ctx, `SELECT count(*) FROM penstock.cd_workflow WHERE pipeline LIKE 'app-%' AND outcome = 'Succeeded'`).Scan(&came.deployed)
		return came.deployed >= rebuilt, err
	})
	came.took = time.Since(began)
	if err != nil {
		return came, err
	}
	var builds v1alpha1.CiBuildList
	if err := s.cluster.List(ctx, &builds, client.InNamespace(namespace)); err != nil {
		return came, fmt.Errorf("list builds: %w", err)
	}
	for i := range builds.Items {
		if builds.Items[i].Cause() == v1alpha1.CauseBaseImage {
			came.builds++
		}
	}
	// Its registry ends with the demo.
	image := &v1alpha1.BaseImage{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: baseImage}}
	return came, s.cluster.Patch(ctx, image, client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"suspend":true}}`)))
}

func (c rebuilds) lines() []line {
	return []line{
		same("wave of rebuilds", fmt.Sprintf("%d/%d Succeeded", rebuilt, rebuilt), c.wave),
		same("builds of the wave", rebuilt, c.builds),
		same("deployed after it", rebuilt, c.deployed),
	}
}

// createApplications creates the base image and what is built on it.
func (s *stage) createApplications(ctx context.Context, image string) error {
	none := wfv1.AnyString("[]")
	template := given.Declares(given.BuildTemplate(buildTemplate, "registry.example.com/app", time.Second),
		wfv1.Parameter{Name: "build"}, wfv1.Parameter{Name: "baseImages", Value: &none})
	base := given.BaseImage(baseImage, image, given.CheckedEvery(10*time.Second), given.Settled(time.Second), given.Rebuilding(20, 5))
	objects := []client.Object{template, base}
	for n := range rebuilt {
		app := fmt.Sprintf("app-%03d", n)
		deployed := pipeline(app+"-staging", v1alpha1.ParentCiPipeline, app)
		deployed.Spec.Application = app
		objects = append(objects, given.CiPipeline(app, given.Builds(buildTemplate), given.BuiltOn(baseImage)), deployed)
	}
	for _, object := range objects {
		object.SetNamespace(namespace)
		if err := s.cluster.Create(ctx, object); err != nil {
			return fmt.Errorf("create %T %s: %w", object, object.GetName(), err)
		}
	}
	return nil
}

func (s *stage) awaitDigest(ctx context.Context, digest string) error {
	return s.await(ctx, "the digest of the base image", func(ctx context.Context) (bool, error) {
		image := &v1alpha1.BaseImage{}
		err := s.cluster.Get(ctx, client.ObjectKey{Namespace: namespace, Name: baseImage}, image)
		return image.Status.Digest == digest, err
	})
}

// watchWave shows the progress of the wave until it has ended.
func (s *stage) watchWave(ctx context.Context) (string, error) {
	began, last := time.Now(), ""
	err := s.await(ctx, "the wave to end", func(ctx context.Context) (bool, error) {
		image := &v1alpha1.BaseImage{}
		err := s.cluster.Get(ctx, client.ObjectKey{Namespace: namespace, Name: baseImage}, image)
		wave := image.Status.Wave
		if err != nil || wave == nil {
			return false, err
		}
		if told := fmt.Sprintf("%s %s", wave.Progress, wave.State); told != last {
			last = told
			fmt.Printf("  %5.1f s  wave %d: built %-7s running %-3d failed %d\n", time.Since(began).Seconds(), wave.Number, wave.Progress, wave.Running, wave.Failed)
		}
		return wave.State != v1alpha1.WaveRunning, nil
	})
	return last, err
}
