package hooks

import (
	"bytes"
	"context"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/lru"

	"github.com/penstock-cd/penstock/api/v1alpha1"
)

// secrets reads Secrets and keeps them for a moment.
type secrets struct {
	get     func(ctx context.Context, namespace, name string) (*corev1.Secret, error)
	known   *lru.Cache
	reading singleflight.Group

	mu     sync.Mutex
	reread *lru.Cache // when each was last read before its time
}

// kept is what a Secret holds, or why it can't be read.
type kept struct {
	values [][]byte
	err    error
	read   time.Time
}

func newSecrets(get func(ctx context.Context, namespace, name string) (*corev1.Secret, error)) *secrets {
	return &secrets{get: get, known: lru.New(maxSecrets), reread: lru.New(maxSecrets)}
}

// of returns the values of a Secret that are valid, which are none where there is no such key.
func (s *secrets) of(ctx context.Context, namespace, name string) ([][]byte, error) {
	key := namespace + "/" + name
	if known, found := s.known.Get(key); found && time.Since(known.(kept).read) < secretAge {
		return known.(kept).values, known.(kept).err
	}
	return s.readAgain(ctx, namespace, name)
}

// again reads a Secret although it is known, where that was not done a moment ago.
func (s *secrets) again(ctx context.Context, namespace, name string) (values [][]byte, wasRead bool, err error) {
	if !s.mayReread(namespace + "/" + name) {
		return nil, false, nil
	}
	values, err = s.readAgain(ctx, namespace, name)
	return values, true, err
}

func (s *secrets) mayReread(key string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if last, found := s.reread.Get(key); found && time.Since(last.(time.Time)) < rereadInterval {
		return false
	}
	s.reread.Add(key, time.Now())
	return true
}

func (s *secrets) readAgain(ctx context.Context, namespace, name string) ([][]byte, error) {
	key := namespace + "/" + name
	result, _, _ := s.reading.Do(key, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), secretTimeout)
		defer cancel()
		began := time.Now()
		secret, err := s.get(ctx, namespace, name)
		read := kept{err: err, read: began}
		if err == nil {
			read.values = valuesOf(secret)
		}
		s.known.Add(key, read)
		return read, nil
	})
	return result.(kept).values, result.(kept).err
}

// valuesOf are the token and the one before, of a Secret of type Opaque: others are not made for
// this. A line feed at the end, which editors and echo leave there, is not part of them.
func valuesOf(secret *corev1.Secret) [][]byte {
	var values [][]byte
	if secret.Type != corev1.SecretTypeOpaque {
		return nil
	}
	for _, key := range []string{v1alpha1.SecretToken, v1alpha1.SecretPreviousToken} {
		if value := bytes.TrimRight(secret.Data[key], "\r\n"); len(value) > 0 {
			values = append(values, value)
		}
	}
	return values
}
