// Package callers is users that ask `penstock server` over HTTPS. It creates service accounts
// and what binds them to a role.
package callers

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/penstock-cd/penstock/test/env"
)

// Callers are users that ask a server, one after the other.
type Callers struct {
	url    string
	tokens []string
	client *http.Client
}

// New makes service accounts that have a ClusterRole everywhere.
func New(ctx context.Context, parts *env.Environment, server *env.Server, role string, count int) (*Callers, error) {
	kube, err := kubernetes.NewForConfig(parts.Config)
	if err != nil {
		return nil, err
	}
	all := &Callers{url: server.URL, client: &http.Client{Timeout: time.Minute, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: server.Roots()}, MaxIdleConnsPerHost: 4,
	}}}
	_, err = kube.RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "callers-" + role}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
		Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "Group", Name: "system:serviceaccounts:default"}},
	}, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return nil, err
	}
	for i := range count {
		token, err := caller(ctx, kube, fmt.Sprintf("caller-%d", i))
		if err != nil {
			return nil, err
		}
		all.tokens = append(all.tokens, token)
	}
	return all, nil
}

func caller(ctx context.Context, kube kubernetes.Interface, name string) (string, error) {
	accounts := kube.CoreV1().ServiceAccounts("default")
	_, err := accounts.Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return "", err
	}
	got, err := accounts.CreateToken(ctx, name, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		return "", err
	}
	return got.Status.Token, nil
}

// Tokens are those of the users, for clients that ask in another way.
func (c *Callers) Tokens() []string { return c.tokens }

// Close closes the idle connections.
func (c *Callers) Close() { c.client.CloseIdleConnections() }

// Request asks for a path. The caller closes the body, whose status is 200.
func (c *Callers) Request(ctx context.Context, user int, path string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url+path, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+c.tokens[user%len(c.tokens)])
	response, err := c.client.Do(request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(response.Body, 1<<10))
		_ = response.Body.Close()
		return nil, fmt.Errorf("%s: %s: %s", path, response.Status, text)
	}
	return response, nil
}

// Timed asks for so many paths, one after the other, after each user has been seen once,
// and returns how long each took.
func (c *Callers) Timed(ctx context.Context, count int, path func(int) string) ([]time.Duration, error) {
	took := make([]time.Duration, 0, count)
	for i := -len(c.tokens); i < count; i++ {
		one, err := c.One(ctx, i+len(c.tokens), path(max(i, 0)))
		if err != nil {
			return nil, err
		}
		if i >= 0 {
			took = append(took, one)
		}
	}
	return took, nil
}

// One asks for a path, and returns how long it took until the whole answer was there.
func (c *Callers) One(ctx context.Context, user int, path string) (time.Duration, error) {
	began := time.Now()
	response, err := c.Request(ctx, user, path)
	if err != nil {
		return 0, err
	}
	_, err = io.Copy(io.Discard, response.Body)
	return time.Since(began), errors.Join(err, response.Body.Close())
}
