package lab_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/sailplan-io/sailplan/scenarios"
	"github.com/sailplan-io/sailplan/scenarios/lab"
)

// ofGateways returns a statistic of each gateway.
func ofGateways(t *testing.T, l *lab.Lab, name string) []int64 {
	t.Helper()
	var values []int64
	for _, m := range l.Members() {
		if m.Component == lab.ComponentGateway {
			values = append(values, stats(t, m)["http."+m.StatPrefix+"."+name])
		}
	}
	return values
}

// connect opens n connections, one after the other, with a request on each.
func connect(t *testing.T, l *lab.Lab, n int) []*http.Client {
	t.Helper()
	clients := make([]*http.Client, n)
	for i := range clients {
		clients[i] = client(t, l.Endpoint())
	}
	ask(t, l, clients)
	return clients
}

// ask sends one request on each connection.
func ask(t *testing.T, l *lab.Lab, clients []*http.Client) {
	t.Helper()
	for i, c := range clients {
		response, _, err := get(t.Context(), c, l.Endpoint().Scheme+"://"+l.Endpoint().Address+"/")
		if err != nil || response.StatusCode != http.StatusOK {
			t.Fatalf("connection %d: %v, %v", i, response, err)
		}
	}
}

// awaitOpen waits until the balancer holds so many connections to each gateway.
func awaitOpen(t *testing.T, l *lab.Lab, want []int) lab.PlacedConnections {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for {
		placed, err := l.Placed(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if slices.Equal(placed.Open, want) {
			return placed
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%v connections are open, want %v", placed.Open, want)
		case <-ticker.C:
		}
	}
}

func TestSeveralGateways(t *testing.T) {
	eachKind(t, func(t *testing.T, config lab.Config) {
		config.Lab.Gateway.Replicas, config.Lab.Gateway.TLS = 3, true
		config.Lab.Gateway.Placement = scenarios.PlacementRoundRobin
		config.Lab.Gateway.Limits = scenarios.Limits{Memory: 256 << 20}
		l := startLab(t, config)
		var names []string
		groups := make(map[string]bool)
		for _, m := range l.Members() {
			names = append(names, fmt.Sprintf("%s-%d", m.Component, m.Replica))
			if m.Component == lab.ComponentGateway {
				groups[m.Cgroup.Memory] = true
			}
		}
		if want := []string{"gateway-0", "gateway-1", "gateway-2", "sidecar-0", "sidecar-1", "service-0", "service-1"}; !slices.Equal(names, want) {
			t.Errorf("members %v, want %v", names, want)
		}
		if enforced, _ := l.LimitsEnforced(); enforced && len(groups) != 3 {
			t.Errorf("cgroups %v, want one for each gateway", groups)
		}
		awaitOpen(t, l, []int{0, 0, 0}) // the lab's own connection has gone
		before := ofGateways(t, l, "downstream_rq_total")
		connect(t, l, 6)
		awaitOpen(t, l, []int{2, 2, 2})
		for i, n := range ofGateways(t, l, "downstream_rq_total") {
			if n -= before[i]; n != 2 {
				t.Errorf("%d requests at gateway %d, want 2", n, i)
			}
		}
	})
}

// TestConnectionsStay: a gateway that comes takes nothing, and one that is lost
// hands its connections on.
func TestConnectionsStay(t *testing.T) {
	config := labConfig(t, "")
	config.Lab.Gateway.Replicas, config.Lab.Gateway.Placement = 2, scenarios.PlacementRoundRobin
	l := startLab(t, config)
	awaitOpen(t, l, []int{0, 0})
	if err := l.UseGateways(t.Context(), []int{0}, false); err != nil {
		t.Fatal(err)
	}
	clients := connect(t, l, 4)
	awaitOpen(t, l, []int{4, 0})
	if err := l.UseGateways(t.Context(), []int{1, 0}, false); err != nil {
		t.Fatal(err)
	}
	before := ofGateways(t, l, "downstream_rq_total")
	ask(t, l, clients)
	if after := ofGateways(t, l, "downstream_rq_total"); after[0]-before[0] != 4 || after[1] != before[1] {
		t.Errorf("requests went from %v to %v, want all at the first", before, after)
	}
	if err := l.UseGateways(t.Context(), []int{1}, true); err != nil {
		t.Fatal(err)
	}
	awaitOpen(t, l, []int{0, 0})
	ask(t, l, clients)
	awaitOpen(t, l, []int{0, 4})
	for _, wrong := range [][]int{{2}, {-1}, nil} {
		if err := l.UseGateways(t.Context(), wrong, false); err == nil {
			t.Errorf("gateways %v are accepted", wrong)
		}
	}
}

// TestRandomPlacement: a placement follows from the seed, and is not even.
func TestRandomPlacement(t *testing.T) {
	opened := func(seed uint64) []int64 {
		config := labConfig(t, "")
		config.Lab.Gateway.Replicas, config.Lab.Gateway.Placement = 4, scenarios.PlacementRandom
		config.Seed = seed
		l := startLab(t, config)
		connect(t, l, 24)
		placed, err := l.Placed(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return placed.Opened
	}
	first := opened(1)
	if again := opened(1); !slices.Equal(first, again) {
		t.Errorf("the same seed places %v and then %v", first, again)
	}
	if other := opened(2); slices.Equal(first, other) {
		t.Errorf("another seed places %v as well", other)
	}
	if slices.Max(first) == slices.Min(first) {
		t.Errorf("placed %v: this is even", first)
	}
}

func TestOneGatewayHasNoBalancer(t *testing.T) {
	l := startLab(t, labConfig(t, ""))
	if _, err := l.Placed(t.Context()); err == nil {
		t.Error("connections of a balancer that there is not")
	}
	if err := l.UseGateways(t.Context(), []int{0}, false); err == nil {
		t.Error("a balancer that there is not was told something")
	}
}
