package tune

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

// byRate is rate ÷ calls per trigger, which is triggers a second, × seconds for one create.
func (in Inputs) byRate() Bound {
	bound := Bound{Limit: "API rate"}
	if in.Rate <= 0 {
		bound.Reasoning = "the rate is not known (--qps)"
		return bound
	}
	bound.Known, bound.Allows = true, in.useful(in.tokens())
	bound.Reasoning = fmt.Sprintf("%s requests/s ÷ %s a trigger = %s triggers/s; × %s for one create = %s in flight (Little's law); × %d for slow ones. More makes nothing faster.",
		figure(in.Rate), figure(in.CallsPerTrigger), figure(in.tokens()), in.Latency, figure(in.tokens()*in.Latency.Seconds()), headroom)
	return bound
}

// byLease is how many can wait for tokens and yet be answered within half of the lease.
func (in Inputs) byLease() Bound {
	bound := Bound{Limit: "trigger lease"}
	if in.Rate <= 0 || in.Lease <= 0 {
		bound.Reasoning = "the rate or TRIGGER_LEASE is not known (--qps, --lease)"
		return bound
	}
	half := in.Lease / 2
	left := max(half-in.Latency, 0)
	bound.Known, bound.Allows = true, sized(math.Floor(in.tokens()*left.Seconds()))
	bound.Reasoning = fmt.Sprintf("a trigger has %s, half of TRIGGER_LEASE, and slots wait for tokens: %s triggers/s × (%s − %s for the create).", half, figure(in.tokens()), half, in.Latency)
	return bound
}

// byConnections says why connections ÷ 2 is not the answer here.
func (in Inputs) byConnections() Bound {
	bound := Bound{Limit: "database connections"}
	if in.FreeConnections < 0 {
		bound.Reasoning = "free connections are not known (--connections)"
		return bound
	}
	bound.Known = true
	if in.FreeConnections >= DispatchConnections {
		bound.Reasoning = fmt.Sprintf("any: dispatch holds at most %d of the %d free ones whatever the batch size, since it claims and completes in groups. "+
			"Where each trigger held 2, as without groups, it would be %d ÷ 2 = %d.", DispatchConnections, in.FreeConnections, in.FreeConnections, in.FreeConnections/2)
		return bound
	}
	bound.Allows = 1
	bound.Reasoning = fmt.Sprintf("%d free, and dispatch needs %d: claims and completions wait for each other. Raise DATABASE_MAX_CONNS.", in.FreeConnections, DispatchConnections)
	return bound
}

func (in Inputs) byMemory() Bound {
	bound := Bound{Limit: "memory"}
	if in.FreeMemory <= 0 {
		bound.Reasoning = "free memory is not known (--memory)"
		return bound
	}
	bound.Known, bound.Allows = true, sized(math.Floor(float64(in.FreeMemory)/float64(in.MemoryPerTrigger)))
	bound.Reasoning = fmt.Sprintf("%s free ÷ %s for a trigger.", bytesOf(in.FreeMemory), bytesOf(in.MemoryPerTrigger))
	return bound
}

// byCores counts where the rate asks for more than the cores make.
func (in Inputs) byCores() Bound {
	bound := Bound{Limit: "cores"}
	if in.Cores <= 0 {
		bound.Reasoning = "cores are not known (--cores)"
		return bound
	}
	bound.Known = true
	makes := in.Cores * PerCore
	if makes >= in.tokens() {
		bound.Reasoning = fmt.Sprintf("any: %s × %d triggers/s a core = %s, and the API rate allows %s.", figure(in.Cores), PerCore, figure(makes), figure(in.tokens()))
		return bound
	}
	bound.Allows = in.useful(makes)
	bound.Reasoning = fmt.Sprintf("%s × %d triggers/s a core = %s; × %s for one create × %d for slow ones.", figure(in.Cores), PerCore, figure(makes), in.Latency, headroom)
	return bound
}

// figure is a number with at most two digits behind the point.
func figure(value float64) string {
	return strconv.FormatFloat(math.Round(value*100)/100, 'f', -1, 64)
}

func bytesOf(bytes int64) string {
	const mebibyte = 1 << 20
	if bytes < mebibyte {
		return figure(float64(bytes)/1024) + " KiB"
	}
	return figure(float64(bytes)/mebibyte) + " MiB"
}

func rounded(d time.Duration) time.Duration {
	switch {
	case d > time.Second:
		return d.Round(10 * time.Millisecond)
	case d > time.Millisecond:
		return d.Round(100 * time.Microsecond)
	}
	return d.Round(time.Microsecond)
}
