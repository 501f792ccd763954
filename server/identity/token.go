package identity

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	"golang.org/x/sync/singleflight"
	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/cache"
	clientv1 "k8s.io/client-go/kubernetes/typed/authentication/v1"
)

// +kubebuilder:rbac:groups=authentication.k8s.io,resources=tokenreviews,verbs=create

// TokensConfig says how tokens are reviewed. Every field but Audiences is required.
type TokensConfig struct {
	// Client asks the API server.
	Client clientv1.TokenReviewInterface
	// Audiences are those of which a token must have one. Empty means the API server's own.
	Audiences []string
	// Size is how many answers are kept, TTL for how long.
	Size int
	TTL  time.Duration
	// Timeout bounds one review.
	Timeout time.Duration
}

// provenAge is for how long a token that was valid is told apart from one that somebody guesses.
const provenAge = time.Hour

// Tokens finds out whose a bearer token is. Equal tokens are reviewed once at a time, and
// the answer, good or bad, is kept for a while. Of the token itself only a hash is kept.
type Tokens struct {
	config  TokensConfig
	answers *cache.LRUExpireCache
	proven  *cache.LRUExpireCache // tokens that were valid, whose answers are kept no longer
	flights singleflight.Group
}

// NewTokens returns a reviewer with nothing in its cache.
func NewTokens(config TokensConfig) *Tokens {
	return &Tokens{config: config, answers: cache.NewLRUExpireCache(config.Size), proven: cache.NewLRUExpireCache(config.Size)}
}

// IsGuess tells whether the API server has to be asked about a token which was not valid within
// the last hour. A token that was valid is reviewed as well, but never more than once in the TTL.
func (t *Tokens) IsGuess(token string) bool {
	hash := sha256.Sum256([]byte(token))
	_, known := t.answers.Get(hash)
	_, proven := t.proven.Get(hash)
	return !known && !proven
}

// Review returns whose a token is. A *RefusedError means that it is not valid.
func (t *Tokens) Review(ctx context.Context, token string) (User, error) {
	hash := sha256.Sum256([]byte(token))
	if known, ok := t.answers.Get(hash); ok {
		return userOf(known.(authenticationv1.TokenReviewStatus))
	}
	flight := t.flights.DoChan(string(hash[:]), func() (any, error) {
		// The flight is that of every caller with this token: it does not end with one.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), t.config.Timeout)
		defer cancel()
		status, err := t.ask(ctx, token)
		if err == nil {
			t.answers.Add(hash, status, t.config.TTL)
			t.prove(hash, status.Authenticated)
		}
		return status, err
	})
	select {
	case <-ctx.Done():
		return User{}, ctx.Err()
	case result := <-flight:
		if result.Err != nil {
			return User{}, result.Err
		}
		return userOf(result.Val.(authenticationv1.TokenReviewStatus))
	}
}

func (t *Tokens) prove(hash [sha256.Size]byte, isValid bool) {
	if isValid {
		t.proven.Add(hash, struct{}{}, provenAge)
		return
	}
	t.proven.Remove(hash)
}

func (t *Tokens) ask(ctx context.Context, token string) (authenticationv1.TokenReviewStatus, error) {
	review := &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token, Audiences: t.config.Audiences}}
	answered, err := t.config.Client.Create(ctx, review, metav1.CreateOptions{})
	if err != nil {
		return authenticationv1.TokenReviewStatus{}, fmt.Errorf("review token: %w", err)
	}
	status := answered.Status
	if status.Authenticated && len(t.config.Audiences) > 0 && len(status.Audiences) == 0 {
		// An authenticator that knows no audiences has not checked them.
		status.Authenticated = false
	}
	return status, nil
}

func userOf(status authenticationv1.TokenReviewStatus) (User, error) {
	if !status.Authenticated || status.User.Username == "" {
		return User{}, unauthenticated("the bearer token is not valid for this server: it is wrong, has expired, or is for another audience; get a new one, for instance by `kubectl create token`")
	}
	user := User{Name: status.User.Username, UID: status.User.UID, Groups: status.User.Groups}
	if len(status.User.Extra) > 0 {
		user.Extra = map[string][]string{}
		for name, values := range status.User.Extra {
			user.Extra[name] = values
		}
	}
	return user, nil
}
