package recommend

import (
	"math"
	"testing"
)

func TestConnectionsFor(t *testing.T) {
	s := subject()
	load := Load{PlannedRPS: 9000, Zones: 3, Connections: 400}
	capacity := CapacityOf(s)
	replicas, why := ReplicasFor(capacity, load)
	if replicas == nil {
		t.Fatal(why)
	}
	c, why := ConnectionsFor(s, replicas, nil, load, 0.002)
	if c == nil {
		t.Fatal(why)
	}
	known := redo(t, "lifetime", c.Basis)
	// 400 connections of 2 ms each, over the lifetime and over what the requests cost.
	cores := float64(replicas.CarriesPlannedRate)*0.05 + 9000*100e-6
	if want := 0.002 * 400 / c.MaxSeconds / cores; math.Abs(c.HandshakeShare-want) > 0.02*want || known["share"] != c.HandshakeShare {
		t.Errorf("handshakes take %v of the CPU, want %v", c.HandshakeShare, want)
	}
	if c.MaxSeconds < 60 || c.MaxSeconds > settleWithin || c.SettlesSeconds > settleWithin {
		t.Errorf("connections live %v s and a scale-up settles in %v s, want a minute at the least and %v at the most", c.MaxSeconds, c.SettlesSeconds, settleWithin)
	}
	if c.MaxRequests <= 0 || c.Reason == "" {
		t.Errorf("%+v", *c)
	}
	load.Connections = 0
	if c, why := ConnectionsFor(s, replicas, nil, load, 0.002); c != nil || why != "" {
		t.Errorf("of connections that are not known: %+v, %q", c, why)
	}
	load.Connections = 400
	if c, why := ConnectionsFor(s, replicas, nil, load, 0); c != nil || why == "" {
		t.Errorf("of handshakes that were not measured: %+v, %q", c, why)
	}
}
