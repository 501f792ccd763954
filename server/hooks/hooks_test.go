package hooks_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr/testr"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/webhook"
	"github.com/penstock-cd/penstock/server/hooks"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	path = "a-path-that-nobody-guesses"
	body = `{"ref":"refs/heads/main","after":"6113728f27ae82c7b1a177c8d03f9e96e0adf246","repository":{"clone_url":"https://github.com/team/shop.git"}}`
)

// scene is a handler, and what it reads and writes.
type scene struct {
	*hooks.Handler
	mu         sync.Mutex
	receivers  map[string]store.Receiver
	kept       []store.WebhookDelivery
	repeats    int64 // what AddDelivery says it repeats
	rowsErr    error
	secret     map[string][]byte
	secretErr  error
	secretType corev1.SecretType
	noted      []store.SecretProblem
	loads      int
	reads      int
	answers    []string
}

func (s *scene) ReceiversByPath(context.Context) (map[string]store.Receiver, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.loads++
	return s.receivers, s.rowsErr
}

func (s *scene) AddDelivery(_ context.Context, delivery store.WebhookDelivery) (int64, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rowsErr != nil {
		return 0, false, s.rowsErr
	}
	if s.repeats != 0 {
		return s.repeats, true, nil
	}
	s.kept = append(s.kept, delivery)
	return int64(len(s.kept)), false, nil
}

// NoteSecret is seen at once by who reads the Receivers.
func (s *scene) NoteSecret(_ context.Context, receiver types.UID, problem store.SecretProblem) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.noted = append(s.noted, problem)
	changed := map[string]store.Receiver{}
	for path, one := range s.receivers {
		if one.UID == receiver {
			one.Secret = problem
		}
		changed[path] = one
	}
	s.receivers = changed
	return s.rowsErr
}

func (s *scene) read(context.Context, string, string) (*corev1.Secret, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads++
	return &corev1.Secret{Type: s.secretType, Data: s.secret}, s.secretErr
}

func newScene(t *testing.T, changes ...func(*v1alpha1.ReceiverSpec)) *scene {
	t.Helper()
	s := &scene{secretType: corev1.SecretTypeOpaque, secret: map[string][]byte{"token": []byte("new\n"), "previousToken": []byte("old")}}
	s.Handler = hooks.New(hooks.Config{
		Rows: s, Secret: s.read, RetryAfter: 5 * time.Second, Log: testr.New(t),
		OnAnswer: func(kind string, status int, _ time.Duration) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.answers = append(s.answers, kind+" "+http.StatusText(status))
		},
	})
	receiver := store.Receiver{
		NamespacedName: types.NamespacedName{Namespace: "shop", Name: "github"}, UID: "uid", Generation: 1,
		Spec: v1alpha1.ReceiverSpec{Type: v1alpha1.ReceiverGitHub, SecretRef: &v1alpha1.LocalSecretReference{Name: "hooks"}},
	}
	for _, change := range changes {
		change(&receiver.Spec)
	}
	s.receivers = map[string]store.Receiver{path: receiver}
	return s
}

func sign(secret string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

func push(at, secret string) *http.Request {
	request := httptest.NewRequest(http.MethodPost, hooks.Prefix+at, strings.NewReader(body))
	request.Header.Set("X-Hub-Signature-256", sign(secret, []byte(body)))
	request.Header.Set("X-Github-Event", "push")
	request.Header.Set("X-Github-Delivery", "one")
	request.Header.Set("Authorization", "Bearer secret")
	return request
}

func (s *scene) answer(request *http.Request) *httptest.ResponseRecorder {
	recorder := httptest.NewRecorder()
	s.ServeHTTP(recorder, request)
	return recorder
}

func TestWhatIsSignedIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		answer := s.answer(push(path, "new"))
		require.Equal(t, http.StatusAccepted, answer.Code)
		require.JSONEq(t, `{"id":"1"}`, answer.Body.String())
		require.Equal(t, http.StatusAccepted, s.answer(push(path, "old")).Code, "the token before is valid as well")
		require.Equal(t, store.WebhookDelivery{
			Namespace: "shop", Receiver: "github", ReceiverUID: "uid", DeliveryID: "one", Type: v1alpha1.ReceiverGitHub, Event: "push",
			Header: http.Header{"X-Github-Event": {"push"}, "X-Github-Delivery": {"one"}}, Body: []byte(body), Repository: "github.com/team/shop",
		}, s.kept[0])
		s.repeats = 1
		require.JSONEq(t, `{"id":"1","duplicate":true}`, s.answer(push(path, "new")).Body.String())
		require.Equal(t, []string{"github Accepted", "github Accepted", "github Accepted"}, s.answers)
		require.Equal(t, 1, s.reads)
	})
}

func TestWhoKnowsNoSecretLearnsNothing(t *testing.T) {
	notFound := apierrors.NewNotFound(schema.GroupResource{Resource: "secrets"}, "hooks")
	forbidden := apierrors.NewForbidden(schema.GroupResource{Resource: "secrets"}, "hooks", nil)
	var want string
	for name, test := range map[string]struct {
		request func() *http.Request
		change  func(*scene)
	}{
		"the path is unknown":         {func() *http.Request { return push("other", "new") }, nil},
		"the path is empty":           {func() *http.Request { return push("", "new") }, nil},
		"the path is that of nothing": {func() *http.Request { return httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body)) }, nil},
		"the signature is wrong":      {func() *http.Request { return push(path, "wrong") }, nil},
		"the signature is missing": {func() *http.Request {
			return httptest.NewRequest(http.MethodPost, hooks.Prefix+path, strings.NewReader(body))
		}, nil},
		"the Secret is missing":         {func() *http.Request { return push(path, "new") }, func(s *scene) { s.secretErr = notFound }},
		"the Secret may not be read":    {func() *http.Request { return push(path, "new") }, func(s *scene) { s.secretErr = forbidden }},
		"the Secret is not made for it": {func() *http.Request { return push(path, "new") }, func(s *scene) { s.secretType = corev1.SecretTypeServiceAccountToken }},
		"the Secret has no token":       {func() *http.Request { return push(path, "") }, func(s *scene) { s.secret = nil }},
		"the receiver is suspended too": {func() *http.Request { return push(path, "wrong") }, func(s *scene) {
			receiver := s.receivers[path]
			receiver.Spec.Suspend = true
			s.receivers[path] = receiver
		}},
		"the receiver has an unknown type": {func() *http.Request { return push(path, "new") }, func(s *scene) {
			receiver := s.receivers[path]
			receiver.Spec.Type = "fax"
			s.receivers[path] = receiver
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScene(t)
				if test.change != nil {
					test.change(s)
				}
				began := time.Now()
				answer := s.answer(test.request())
				require.Equal(t, http.StatusNotFound, answer.Code)
				require.Equal(t, 300*time.Millisecond, time.Since(began), "every refusal takes the same time")
				require.Equal(t, []string{"unknown Not Found"}, s.answers)
				require.Empty(t, s.kept)
				got := answer.Body.String() + answer.Header().Get("Retry-After")
				if want == "" {
					want = got
				}
				require.Equal(t, want, got)
			})
		})
	}
}

func TestAChangedSecretIsUsedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		require.Equal(t, http.StatusAccepted, s.answer(push(path, "new")).Code)
		s.secret = map[string][]byte{"token": []byte("newer")}
		require.Equal(t, http.StatusAccepted, s.answer(push(path, "newer")).Code)
		require.Equal(t, 2, s.reads)
		require.Equal(t, http.StatusNotFound, s.answer(push(path, "old")).Code, "the one before is gone")
		for range 2 {
			require.Equal(t, http.StatusNotFound, s.answer(push(path, "wrong")).Code)
		}
		require.Equal(t, 2, s.reads, "wrong signatures do not have it read each time")
		time.Sleep(6 * time.Second)
		s.secretErr = errors.New("the API server is away")
		answer := s.answer(push(path, "newer"))
		require.Equal(t, http.StatusServiceUnavailable, answer.Code, "what may have been taken away is not used for long")
		require.Equal(t, "5", answer.Header().Get("Retry-After"))
	})
}

func TestASenderIsToldToComeBackLater(t *testing.T) {
	for name, test := range map[string]struct {
		change     func(*scene)
		status     int
		retryAfter string
	}{
		"while the receiver is suspended": {func(s *scene) {
			receiver := s.receivers[path]
			receiver.Spec.Suspend = true
			s.receivers[path] = receiver
		}, http.StatusServiceUnavailable, "60"},
		"while Postgres is away":       {func(s *scene) { s.rowsErr = errors.New("away") }, http.StatusServiceUnavailable, "5"},
		"while the API server is away": {func(s *scene) { s.secretErr = errors.New("away") }, http.StatusServiceUnavailable, "5"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScene(t)
				test.change(s)
				answer := s.answer(push(path, "new"))
				require.Equal(t, test.status, answer.Code)
				require.Equal(t, test.retryAfter, answer.Header().Get("Retry-After"))
				require.Empty(t, s.kept)
			})
		})
	}
}

func TestPostgresThatGoesAwayAfterTheReceiversWereRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		require.Equal(t, http.StatusAccepted, s.answer(push(path, "new")).Code)
		s.rowsErr = errors.New("away")
		require.Equal(t, http.StatusServiceUnavailable, s.answer(push(path, "new")).Code)
	})
}

func TestAReceiverTakesNoMoreThanItsRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, func(spec *v1alpha1.ReceiverSpec) { spec.RateLimit = &v1alpha1.ReceiverRateLimit{PerMinute: 60} })
		for range 10 {
			require.Equal(t, http.StatusAccepted, s.answer(push(path, "new")).Code)
		}
		answer := s.answer(push(path, "new"))
		require.Equal(t, http.StatusTooManyRequests, answer.Code)
		require.Equal(t, "1", answer.Header().Get("Retry-After"))
		require.Equal(t, http.StatusNotFound, s.answer(push(path, "wrong")).Code, "who is not verified takes nothing away from those who are")
		time.Sleep(time.Second)
		require.Equal(t, http.StatusAccepted, s.answer(push(path, "new")).Code)
	})
}

func TestReceiversAreReadOnceASecondWhateverIsAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		var group sync.WaitGroup
		for range 100 {
			group.Go(func() { s.answer(push("unknown", "new")) })
		}
		group.Wait()
		require.Equal(t, 1, s.loads)
		s.receivers = map[string]store.Receiver{"moved": s.receivers[path]}
		require.Equal(t, http.StatusAccepted, s.answer(push("moved", "new")).Code, "a path that was just made is found")
		require.Equal(t, 2, s.loads)
		require.Equal(t, http.StatusNotFound, s.answer(push(path, "new")).Code)
	})
}

func TestOnlyPostWithABodyThatIsNotTooLargeIsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		get := s.answer(httptest.NewRequest(http.MethodGet, hooks.Prefix+path, nil))
		require.Equal(t, http.StatusMethodNotAllowed, get.Code)
		require.Equal(t, "POST", get.Header().Get("Allow"))
		require.Equal(t, http.StatusRequestURITooLong, s.answer(push(strings.Repeat("a", 3000), "new")).Code)

		large := bytes.Repeat([]byte(" "), webhook.MaxBody+1)
		for name, reader := range map[string]io.Reader{"announced": bytes.NewReader(large), "not announced": io.MultiReader(bytes.NewReader(large))} {
			request := httptest.NewRequest(http.MethodPost, hooks.Prefix+path, reader)
			request.Header.Set("X-Hub-Signature-256", sign("new", large))
			require.Equal(t, http.StatusRequestEntityTooLarge, s.answer(request).Code, name)
		}
		most := large[:webhook.MaxBody]
		request := httptest.NewRequest(http.MethodPost, hooks.Prefix+path, bytes.NewReader(most))
		request.Header.Set("X-Hub-Signature-256", sign("new", most))
		require.Equal(t, http.StatusAccepted, s.answer(request).Code)
	})
}

// stalled is a body that never comes.
type stalled struct{ released chan struct{} }

func (s stalled) Read([]byte) (int, error) {
	<-s.released
	return 0, io.ErrUnexpectedEOF
}

func TestBodiesInMemoryAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		body := stalled{make(chan struct{})}
		var group sync.WaitGroup
		for range 20 {
			group.Go(func() {
				s.answer(httptest.NewRequest(http.MethodPost, hooks.Prefix+path, body))
			})
		}
		synctest.Wait()
		began := time.Now()
		answer := s.answer(push(path, "new"))
		require.Equal(t, http.StatusServiceUnavailable, answer.Code)
		require.Equal(t, 5*time.Second, time.Since(began))
		close(body.released)
		group.Wait()
		require.Equal(t, http.StatusAccepted, s.answer(push(path, "new")).Code)
	})
}

func TestWhatCannotBeParsedIsKeptForPeopleToSee(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		request := httptest.NewRequest(http.MethodPost, hooks.Prefix+path, strings.NewReader("{"))
		request.Header.Set("X-Hub-Signature-256", sign("new", []byte("{")))
		request.Header.Set("X-Github-Event", "push")
		request.Header.Set("X-Github-Delivery", "two")
		require.Equal(t, http.StatusAccepted, s.answer(request).Code)
		require.Equal(t, "two", s.kept[0].DeliveryID)
	})
}
