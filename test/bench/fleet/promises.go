package fleet

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"time"

	"k8s.io/client-go/rest"
)

// warm measures what 100 clusters with connections promise, and references.
func (s *scene) warm(ctx context.Context) (err error) {
	clusters := min(100, s.most)
	links := s.network.Links[:clusters]
	client, err := spawn(ctx, setup{Clusters: s.endpoints[:clusters]})
	if err != nil {
		return err
	}
	defer func() {
		dig(links, 0)
		err = errors.Join(err, client.stop())
	}()
	if _, err := client.do(order{Do: "connect"}); err != nil {
		return err
	}
	probed, err := client.do(order{Do: "health", Rounds: rounds})
	if err != nil {
		return err
	}
	s.result.Health = Health{Seconds: probed.Seconds, BareSeconds: probed.BareSeconds, Ratio: probed.Seconds / probed.BareSeconds}
	listed, err := client.do(order{Do: "kinds", Rounds: rounds})
	if err != nil {
		return err
	}
	s.result.ThreeKinds = ThreeKinds{Seconds: listed.Seconds, SlowestSeconds: listed.SlowestSeconds, Ratio: listed.Seconds / listed.SlowestSeconds}
	s.at.Say("health %.3f s, bare %.3f s; three kinds %.3f s, the slowest %.3f s", probed.Seconds, probed.BareSeconds, listed.Seconds, listed.SlowestSeconds)
	dig(links, 2)
	down, err := client.do(order{Do: "down", Want: clusters - 2})
	if err != nil {
		return err
	}
	s.result.TwoDown = TwoDown{
		Answered: down.Answered, GoodSeconds: down.GoodSeconds, Ratio: down.GoodSeconds / listed.SlowestSeconds, NamedErrors: down.Named,
		Seconds: down.Seconds, DeadlineSeconds: deadline.Seconds(),
	}
	s.at.Say("%d answered in %.3f s, the answer is there in %.3f s", down.Answered, down.GoodSeconds, down.Seconds)
	dig(links, 0)
	return s.references(ctx, client)
}

// references measures gets by reference of the first cluster.
func (s *scene) references(ctx context.Context, client *child) error {
	const n, inFlight = settingsEach, 5
	if err := s.nearer(client, inFlight); err != nil {
		return err
	}
	defer s.network.Links[0].SetAway(away)
	for _, coalesce := range []bool{false, true} {
		before, err := requestsFor(ctx, s.servers[0].Config)
		if err != nil {
			return err
		}
		seen, err := client.do(order{Do: "batch", Want: n, InFlight: inFlight, Coalesce: coalesce, Rounds: rounds})
		if err != nil {
			return err
		}
		after, err := requestsFor(ctx, s.servers[0].Config)
		if err != nil {
			return err
		}
		batch := BatchGet{
			N: n, InFlight: inFlight, Coalesced: coalesce, IdealSeconds: float64(n/inFlight) * batchAway.Seconds(), Seconds: seen.Seconds,
			SingleSeconds: seen.BareSeconds, Requests: int(after-before)/rounds - 1, // without the single one
		}
		s.result.BatchGet = append(s.result.BatchGet, batch)
		s.at.Say("%d by reference in %.3f s, %d requests", n, batch.Seconds, batch.Requests)
	}
	return nil
}

// nearer has the first cluster answer for each of several objects that are asked for at
// once in batchAway, its own time included.
func (s *scene) nearer(client *child, atOnce int) error {
	s.network.Links[0].SetAway(batchAway)
	if _, err := client.do(order{Do: "connect"}); err != nil {
		return err
	}
	alone, err := client.do(order{Do: "gets", Want: atOnce, Rounds: 4 * rounds})
	if err != nil {
		return err
	}
	own := time.Duration(alone.BareSeconds*float64(time.Second)) - batchAway
	s.network.Links[0].SetAway(batchAway - own)
	return nil
}

// requestsFor is how many requests for ConfigMaps of one namespace a server has answered.
func requestsFor(ctx context.Context, config *rest.Config) (float64, error) {
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return 0, err
	}
	defer client.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, config.Host+"/metrics", http.NoBody)
	if err != nil {
		return 0, err
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, fmt.Errorf("read metrics of the API server: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	total := 0.0
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if found := asked.FindStringSubmatch(lines.Text()); found != nil {
			count, err := strconv.ParseFloat(found[1], 64)
			if err != nil {
				return 0, err
			}
			total += count
		}
	}
	return total, lines.Err()
}

// asked is the API server's count of gets by name and of lists of a namespace.
var asked = regexp.MustCompile(`^apiserver_request_total\{.*resource="configmaps",scope="(?:resource|namespace)".*verb="(?:GET|LIST)".*\} (\S+)$`)
