package experiment

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/sailplan-io/sailplan/analysis/breaker"
	"github.com/sailplan-io/sailplan/loadgen/sampler"
	"github.com/sailplan-io/sailplan/scenarios/lab"
)

type histogram = hdrhistogram.Histogram

// lookEvery is how often the proxies of a bench are looked at.
const lookEvery = 40 * time.Millisecond

// values are counters and gauges by name.
type values map[string]float64

// since returns by how much each value is above an earlier one.
func (v values) since(before values) values {
	rose := make(values, len(v))
	for name, now := range v {
		rose[name] = now - before[name]
	}
	return rose
}

func (v values) add(more map[string]float64) {
	for name, n := range more {
		v[name] += n
	}
}

// readout is what the proxies of a bench said at one instant.
type readout struct {
	clients, servers values // all of a kind together
	cpu              values // seconds by component
	// client and server are what is in flight at the busiest of each kind.
	client, server float64
	at             time.Time
}

// readers read the proxies of a bench.
type readers struct {
	clients, servers []*sampler.Counters
	members          []lab.Member
	every            time.Duration // that they are looked at; 0: lookEvery
	// series are the clients of a running system as a Prometheus scrapes them, in place
	// of all others. A look then lasts until the next scrape.
	series *sampler.ClusterSeries
}

func newReaders(members []lab.Member) (readers, error) {
	r := readers{members: members}
	for _, m := range members {
		if m.AdminURL == "" {
			continue
		}
		counters, err := sampler.NewCounters(sampler.Target{AdminURL: m.AdminURL, Cluster: m.Cluster})
		if err != nil {
			r.close()
			return readers{}, fmt.Errorf("reading %s-%d: %w", m.Component, m.Replica, err)
		}
		if m.Component == lab.ComponentGateway {
			r.clients = append(r.clients, counters)
		} else {
			r.servers = append(r.servers, counters)
		}
	}
	return r, nil
}

func (r *readers) close() {
	for _, c := range append(r.clients, r.servers...) {
		c.Close()
	}
}

// read asks all proxies, and what their processes used.
func (r *readers) read(ctx context.Context) (readout, error) {
	out, err := r.look(ctx)
	if err != nil {
		return out, err
	}
	for _, m := range r.members {
		if m.PID == 0 {
			continue // of another machine
		}
		used, err := sampler.CPUSeconds(m.PID)
		if err != nil {
			return out, fmt.Errorf("reading %s-%d: %w", m.Component, m.Replica, err)
		}
		out.cpu[m.Component] += used
	}
	return out, nil
}

func (r *readers) look(ctx context.Context) (readout, error) {
	out := readout{clients: values{}, servers: values{}, cpu: values{}}
	client := func(found values) {
		out.clients.add(found)
		out.client = max(out.client, found["upstream_rq_active"])
	}
	if r.series != nil {
		all, at, err := r.series.Read(ctx)
		if err != nil {
			return out, err
		}
		out.at = at
		for _, found := range all {
			client(found)
		}
	}
	for _, c := range r.clients {
		found, at, err := c.Read(ctx)
		if err != nil {
			return out, err
		}
		out.at = at
		client(found)
	}
	for _, c := range r.servers {
		found, _, err := c.Read(ctx)
		if err != nil {
			return out, err
		}
		out.servers.add(found)
		out.server = max(out.server, found["upstream_rq_active"])
	}
	return out, nil
}

// watch looks until ctx ends and returns what it saw; found is told each point.
func (r *readers) watch(ctx context.Context, first readout, begin time.Time, found func(breaker.Point)) (points []breaker.Point, unread int) {
	ticker := time.NewTicker(cmp.Or(r.every, lookEvery))
	defer ticker.Stop()
	for {
		now, err := r.look(ctx)
		switch {
		case ctx.Err() != nil || errors.Is(err, context.Canceled):
			return points, unread
		case err != nil:
			unread++
		default:
			points = append(points, pointOf(now, first, now.at.Sub(begin)))
			found(points[len(points)-1])
		}
		select {
		case <-ctx.Done():
			return points, unread
		case <-ticker.C:
		}
	}
}

func pointOf(now, first readout, at time.Duration) breaker.Point {
	gauges := now.clients
	rose := now.clients.since(first.clients)
	served := now.servers.since(first.servers)
	return breaker.Point{
		Seconds:     at.Seconds(),
		InFlight:    gauges["upstream_rq_active"],
		Client:      now.client,
		Pending:     gauges["upstream_rq_pending_active"],
		Connections: gauges["upstream_cx_active"],
		Shed:        rose["upstream_rq_active_overflow"] + rose["upstream_rq_pending_overflow"],
		Errors:      rose["upstream_rq_5xx"],
		Retries:     rose["upstream_rq_retry"],
		Good:        rose["upstream_rq_2xx"],
		Ejected:     gauges["outlier_detection.ejections_active"],
		Ejections:   rose["outlier_detection.ejections_enforced_total"],
		Overflows:   rose["outlier_detection.ejections_overflow"],
		Server:      now.server,
		ServerShed:  served["upstream_rq_active_overflow"] + served["upstream_rq_pending_overflow"],
	}
}
