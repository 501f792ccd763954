package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/test/env"
)

// The target clusters. The demo has one API server: eu-1 is the one that Penstock runs in, by
// the account of config/target.
const (
	clusterUp   = "eu-1"
	clusterDown = "eu-2"
	clusterHome = "home"
	website     = "web" // a Deployment
)

// seen is what people see of the clusters.
type seen struct {
	pipelines int    // those of the trigger view's CD half
	waiting   int    // rows of runs there that wait beside the newest
	clusters  string // names and phases
	websites  int    // rows of the Deployment
	complete  int    // exit code of get
	missing   string // the last line of its errors
}

// penstock runs the kubectl plugin as an administrator.
func penstock(ctx context.Context, local *env.Environment, args ...string) (out, errOut string, code int, err error) {
	path, err := env.Part("kubectl-penstock")
	if err != nil {
		return "", "", 0, err
	}
	var stdout, stderr bytes.Buffer
	command := exec.CommandContext(ctx, path, args...)
	command.Env = append(os.Environ(), "KUBECONFIG="+local.Kubeconfig)
	command.Stdout, command.Stderr = &stdout, &stderr
	err = command.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return stdout.String(), stderr.String(), exit.ExitCode(), nil
	}
	if err != nil {
		err = fmt.Errorf("kubectl penstock: %w", err)
	}
	return stdout.String(), stderr.String(), 0, err
}

// readHome lets Penstock read the cluster that it runs in, as docs/clusters.md says.
func readHome(ctx context.Context, local *env.Environment) error {
	if _, err := local.Kubectl(ctx, "apply", "-k", "config/target"); err != nil {
		return err
	}
	account := "--serviceaccount=" + env.ControllerNamespace + ":penstock"
	_, err := local.Kubectl(ctx, "create", "clusterrolebinding", "penstock-reads-home", "--clusterrole=penstock-target", account, account+"-server")
	return err
}

// addClusters adds Penstock's own, one that is up and one that is down, as people do.
func (s *stage) addClusters(ctx context.Context, local *env.Environment) error {
	fmt.Printf("Adding the clusters %s, which Penstock runs in, %s, which is up, and %s, which is down\n", clusterHome, clusterUp, clusterDown)
	home := &v1alpha1.TargetCluster{ObjectMeta: metav1.ObjectMeta{Name: clusterHome}, Spec: v1alpha1.TargetClusterSpec{InCluster: true}}
	if err := s.cluster.Create(ctx, home); err != nil {
		return fmt.Errorf("create TargetCluster: %w", err)
	}
	if _, err := local.Kubectl(ctx, "create", "deployment", website, "-n", namespace, "--image=registry.example.com/web:1"); err != nil {
		return err
	}
	away, err := awayKubeconfig(local)
	if err != nil {
		return err
	}
	for _, args := range [][]string{
		{clusterUp, "--context", "local", "--least-rights"},
		{clusterDown, "--kubeconfig", away, "--penstock-kubeconfig", local.Kubeconfig},
	} {
		_, errOut, code, err := penstock(ctx, local, append([]string{"clusters", "add", "--labels", "region=eu"}, args...)...)
		if err != nil {
			return err
		}
		if code != 0 {
			return fmt.Errorf("kubectl penstock clusters add: %s", errOut)
		}
	}
	return nil
}

// awayKubeconfig is one of a cluster that refuses connections.
func awayKubeconfig(local *env.Environment) (string, error) {
	path := filepath.Join(local.Dir, clusterDown+".kubeconfig")
	err := clientcmd.WriteToFile(clientcmdapi.Config{
		Clusters:       map[string]*clientcmdapi.Cluster{clusterDown: {Server: "https://127.0.0.1:1"}},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{clusterDown: {Token: "nobody"}},
		Contexts:       map[string]*clientcmdapi.Context{clusterDown: {Cluster: clusterDown, AuthInfo: clusterDown}},
		CurrentContext: clusterDown,
	}, path)
	if err != nil {
		return "", fmt.Errorf("write the kubeconfig of %s: %w", clusterDown, err)
	}
	return path, nil
}

// show asks penstock server as people do, and prints what they see.
func (s *stage) show(ctx context.Context, local *env.Environment) (seen, error) {
	var saw seen
	if err := s.awaitClusters(ctx, local, &saw); err != nil {
		return saw, err
	}
	for _, args := range [][]string{{"status", cart, "-n", namespace}, {"clusters"}} {
		printed, code, err := prompt(ctx, local, args...)
		if err != nil || code != 0 {
			return saw, errors.Join(err, fmt.Errorf("kubectl penstock %s: exit code %d", args[0], code))
		}
		for _, pipeline := range []string{cartStaging, cartProduction} {
			if rows := strings.Count(printed, " "+pipeline+" "); rows > 0 {
				saw.pipelines, saw.waiting = saw.pipelines+1, saw.waiting+rows-1
			}
		}
	}
	all, code, err := prompt(ctx, local, "get", "pods,deploy", "-A", "--clusters", "all")
	if err != nil {
		return saw, err
	}
	saw.complete, saw.websites = code, strings.Count(all, "deployment.apps/"+website+" ")
	lines := strings.Split(strings.TrimSpace(all), "\n")
	saw.missing, _, _ = strings.Cut(strings.TrimSpace(lines[len(lines)-1]), ": Unreachable since")
	return saw, nil
}

// awaitClusters returns when the server tells of the last phases.
func (s *stage) awaitClusters(ctx context.Context, local *env.Environment, saw *seen) error {
	return s.await(ctx, "the clusters to be probed", func(ctx context.Context) (bool, error) {
		out, errOut, code, err := penstock(ctx, local, "clusters", "list", "-o", "json")
		if err != nil || code != 0 {
			saw.clusters = strings.TrimSpace(errOut) // the server may not have read them yet
			return false, err
		}
		var list rest.ClusterList
		if err := json.Unmarshal([]byte(out), &list); err != nil {
			return false, fmt.Errorf("read what kubectl penstock clusters prints: %w", err)
		}
		told := make([]string, len(list.Items))
		known := len(list.Items) > 0
		for i, cluster := range list.Items {
			told[i] = cluster.Name + " " + cluster.Phase
			known = known && cluster.Phase != string(v1alpha1.ClusterUnknown)
		}
		saw.clusters = strings.Join(told, ", ")
		return known, nil
	})
}

// prompt shows a command and what it prints.
func prompt(ctx context.Context, local *env.Environment, args ...string) (printed string, code int, err error) {
	out, errOut, code, err := penstock(ctx, local, args...)
	printed = out + errOut
	fmt.Printf("\n$ kubectl penstock %s\n%s", strings.Join(args, " "), printed)
	return printed, code, err
}

func (s seen) lines() []line {
	return []line{
		same("pipelines in the trigger view", 2, s.pipelines),
		same("runs there that wait beside the newest", 1, s.waiting),
		same("clusters", clusterUp+" Healthy, "+clusterDown+" Unreachable, "+clusterHome+" Healthy", s.clusters),
		same("rows of one Deployment in the clusters that are up", 2, s.websites),
		same("exit code where a cluster is missing, and which", "3, "+clusterDown+": Unreachable", fmt.Sprintf("%d, %s", s.complete, s.missing)),
	}
}
