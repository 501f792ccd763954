package batchget

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/pkg/fleet"
	"github.com/penstock-cd/penstock/test/target"
	"github.com/penstock-cd/penstock/test/target/clients"
)

var pods = fleet.Kind{Resource: "pods"}

const shop = "/api/v1/namespaces/shop/pods"

// scene is a getter before clusters in miniature.
type scene struct {
	*Getter
	t       *testing.T
	clients *clients.Set
}

func newScene(t *testing.T, changes ...func(*Config)) *scene {
	t.Helper()
	s := &scene{t: t, clients: clients.New(t)}
	config := Config{Clients: s.clients}
	for _, change := range changes {
		change(&config)
	}
	s.Getter = New(config)
	t.Cleanup(s.Close)
	return s
}

// add adds a cluster with so many pods in the namespace shop.
func (s *scene) add(name string, podCount int) (*target.Server, fleet.Target) {
	s.t.Helper()
	server := target.New(s.t)
	server.List(shop, target.List{Kind: "Pod", Objects: target.Objects("shop", podCount)})
	return server, s.clients.AddServer(s.t, name, server)
}

// pod is a reference to the pod of that number.
func pod(cluster fleet.Target, number int) Reference {
	return Reference{Target: cluster, Kind: pods, Namespace: "shop", Name: fmt.Sprintf("object-%04d", number)}
}

func podsOf(cluster fleet.Target, numbers ...int) (references []Reference) {
	for _, number := range numbers {
		references = append(references, pod(cluster, number))
	}
	return references
}

func upTo(n int) []int {
	numbers := make([]int, n)
	for i := range numbers {
		numbers[i] = i
	}
	return numbers
}

func never(c *Config) { c.CoalesceFrom = -1 }

// get tells each answer as the object's name, or the error's reason.
func (s *scene) get(references ...Reference) []string {
	s.t.Helper()
	answers, err := s.Get(s.t.Context(), references)
	require.NoError(s.t, err)
	require.Len(s.t, answers, len(references))
	told := make([]string, len(answers))
	for i, answer := range answers {
		if answer.Err != nil {
			told[i] = answer.Err.Reason
			require.Contains(s.t, answer.Err.Message, ": ", "it says what to do")
			require.NotContains(s.t, answer.Err.Message, target.Token)
			continue
		}
		var object struct {
			APIVersion, Kind string
			Metadata         struct {
				Name          string
				ManagedFields []any
			}
		}
		require.NoError(s.t, json.Unmarshal(answer.Object, &object))
		require.Equal(s.t, "v1 Pod", object.APIVersion+" "+object.Kind)
		require.Empty(s.t, object.Metadata.ManagedFields)
		told[i] = strings.TrimPrefix(object.Metadata.Name, "object-")
	}
	return told
}

func TestAnswersAreInTheOrderOfTheReferencesEachWithItsOwnError(t *testing.T) {
	t.Parallel()
	for _, sentence := range []string{"one by one", "as lists"} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, func(c *Config) {
				c.Timeout = 2 * time.Second
				c.CoalesceFrom = map[string]int{"one by one": -1, "as lists": 1}[sentence]
			})
			_, good := s.add("good", 9)
			hanging, slow := s.add("hanging", 9)
			hanging.Instead(hanging.Hang)
			refusing, refused := s.add("refusing", 9)
			refusing.Accept("another")
			cut, broken := s.add("cut", 9)
			cut.Instead(target.Cut)
			dead := fleet.Target{Name: "dead", UID: "dead", Unavailable: &fleet.Unavailable{Reason: fleet.DNS, Message: "Unreachable since yesterday"}}
			bad := s.clients.Fail("bad", &fleet.Failure{Class: fleet.BadKubeconfig, Message: "the kubeconfig is not used: it is empty"})
			evil, nameless, absent := pod(good, 1), pod(good, 1), pod(good, 1)
			evil.Name, nameless.Name, absent.Kind = "../../secrets", "", fleet.Kind{Group: "example.com", Resource: "things"}
			nowhere := pod(good, 1)
			nowhere.Namespace = ""
			require.Equal(t, []string{
				"0003", "NotFound", "0001", "Timeout", "Unauthorized", "Refused", "DNS", "BadKubeconfig", "NotFound", "Invalid", "Invalid", "NotServed", "Invalid", "0003",
			}, s.get(
				pod(good, 3), pod(good, 77), pod(good, 1), pod(slow, 1), pod(refused, 1), pod(broken, 1), pod(dead, 1), pod(bad, 1),
				pod(fleet.Target{Name: "gone", UID: "gone"}, 1), evil, nameless, absent, nowhere, pod(good, 3),
			))
		})
	}
}

func TestOneThatIsLateCostsNoOther(t *testing.T) {
	t.Parallel()
	s := newScene(t, never, func(c *Config) { c.Deadline = 4 * time.Second })
	server, cluster := s.add("a", 40)
	server.Handle(shop+"/object-0007", server.Hang)
	began := time.Now()
	told := s.get(podsOf(cluster, upTo(40)...)...)
	require.Less(t, time.Since(began), 10*time.Second)
	for i, answer := range told {
		if i == 7 {
			require.Equal(t, "Timeout", answer)
			continue
		}
		require.Equal(t, fmt.Sprintf("%04d", i), answer)
	}
}

func TestNoMoreAreUnderWayToOneClusterThanAllowedOverAllCalls(t *testing.T) {
	t.Parallel()
	s := newScene(t, never)
	server, cluster := s.add("a", 60)
	for number := range 60 {
		path := shop + "/" + pod(cluster, number).Name
		server.Handle(path, func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(2 * time.Millisecond)
			target.JSON(map[string]any{"kind": "Pod", "apiVersion": "v1", "metadata": map[string]any{"name": path[len(shop)+1:]}})(w, r)
		})
	}
	var group sync.WaitGroup
	for call := range 3 {
		group.Go(func() {
			_, err := s.Get(context.Background(), podsOf(cluster, upTo(60)[call*20:call*20+20]...))
			if err != nil {
				panic(err)
			}
		})
	}
	group.Wait()
	require.LessOrEqual(t, server.Peak(), 5)
	require.Len(t, server.Requests(), 60)
}

func TestEqualReferencesAreReadOnce(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	server, cluster := s.add("a", 3)
	require.Equal(t, []string{"0001", "0001", "0001", "0002"}, s.get(podsOf(cluster, 1, 1, 1, 2)...))
	require.Len(t, server.Requests(), 2)
}

func TestManyInOneNamespaceAreReadAsOneList(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	server, cluster := s.add("a", 50)
	numbers := append(upTo(20), 98, 99)
	want := make([]string, len(numbers))
	for i, number := range numbers {
		want[i] = fmt.Sprintf("%04d", number)
	}
	want[20], want[21] = "NotFound", "NotFound"
	require.Equal(t, want, s.get(podsOf(cluster, numbers...)...))
	require.Equal(t, []string{shop + "?limit=88"}, server.Requests(), "what a whole list does not hold does not exist")
}

func TestWhatALongListDoesNotHoldIsReadByNameAndTheNextTimeAtOnce(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	server, cluster := s.add("a", 500)
	numbers := []int{0, 1, 2, 3, 4, 5, 6, 400}
	want := []string{"0000", "0001", "0002", "0003", "0004", "0005", "0006", "0400"}
	require.Equal(t, want, s.get(podsOf(cluster, numbers...)...))
	require.Equal(t, []string{shop + "?limit=32", shop + "/object-0400"}, server.Requests())
	server.Reset()
	require.Equal(t, want, s.get(podsOf(cluster, numbers...)...))
	require.Len(t, server.Requests(), 8, "it is known to be too long for a list of so few")
}

func TestAListThatIsForbiddenIsReadByName(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	server, cluster := s.add("a", 10)
	server.Handle(shop, target.Status(http.StatusForbidden))
	require.Equal(t, []string{"0000", "0001", "0002", "0003", "0004", "0005"}, s.get(podsOf(cluster, upTo(6)...)...))
	require.Len(t, server.Requests(), 7)
}

func TestAnAnswerIsBoundedInReferencesAndBytes(t *testing.T) {
	t.Parallel()
	s := newScene(t, func(c *Config) { c.MaxBytes = 1000 })
	_, cluster := s.add("a", 10)
	_, err := s.Get(t.Context(), make([]Reference, MaxReferences+1))
	require.ErrorIs(t, err, ErrTooMany)
	told := s.get(podsOf(cluster, upTo(10)...)...)
	require.Equal(t, "0000", told[0])
	require.Equal(t, "TooLarge", told[9])
	require.Empty(t, s.get())
}

func TestACallEndsWithItsContext(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	server, cluster := s.add("a", 10)
	server.Instead(server.Hang)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	answers, err := s.Get(ctx, podsOf(cluster, upTo(10)...))
	require.NoError(t, err)
	for _, answer := range answers {
		require.Equal(t, "Timeout", answer.Err.Reason)
	}
}

// Of many clusters some hang.
func TestManyClustersAreAskedAtOnce(t *testing.T) {
	t.Parallel()
	s := newScene(t, func(c *Config) { c.Timeout = 6 * time.Second })
	server := target.New(t)
	server.List(shop, target.List{Kind: "Pod", Objects: target.Objects("shop", 2)})
	hanging := target.New(t)
	hanging.Instead(hanging.Hang)
	var references []Reference
	for i := range 60 {
		of := server
		if i%20 == 0 {
			of = hanging
		}
		references = append(references, podsOf(s.clients.AddServer(t, fmt.Sprintf("c%d", i), of), 0, 1)...)
	}
	late := 0
	for _, told := range s.get(references...) {
		if told == "Timeout" {
			late++
		}
	}
	require.Equal(t, 6, late)
}
