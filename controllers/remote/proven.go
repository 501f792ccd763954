package remote

import (
	"context"
	"errors"

	"k8s.io/client-go/rest"

	"github.com/penstock-cd/penstock/pkg/fleet"
)

// errAnother ends a request that would go to another cluster than the lane's.
var errAnother = errors.New("another cluster answers: nothing is sent to it")

// provenWay is how the loops reach the cluster with this UID. Where the address leads to another
// cluster from one connection to the next, nothing is sent there and nothing is believed that it
// says, and the lane is shut at once.
func (k *keeper) provenWay(reached *fleet.Client, uid string) *rest.Config {
	way := reached.Config()
	way.Transport = reached.Proven(func(ctx context.Context) error {
		seen, err := uidOf(ctx, reached)
		if err != nil || seen == uid {
			return err
		}
		k.again.Notify()
		return errAnother
	})
	return way
}
