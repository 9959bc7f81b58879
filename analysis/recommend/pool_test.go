package recommend

import (
	"strings"
	"testing"
)

func TestPoolFor(t *testing.T) {
	in := PoolInput{
		Host: "checkout", PlannedRPS: 8000, Clients: 4, Pods: 10, MostPods: 15, ClientWorkers: 2, Tolerated: 0.05,
		InFlight: 40, InFlightAtRPS: 2000, Connections: 4, PodsMeasured: 2, ConnectSeconds: 0.003,
	}
	p, why := PoolFor(in)
	if p == nil {
		t.Fatal(why)
	}
	// 2 000/s per client × 50 ms = 100, + 4·√100 = 140. 15 pods × 2 threads = 30, as
	// measured (4 to 2 pods); twice that is 60, and so 100. 2 000/s over 30
	// connections = 67/s, a minute long: 4 000.
	if p.HTTP.HTTP2MaxRequests != 140 || p.HTTP.HTTP1MaxPendingRequests != 140 || p.TCP.MaxConnections != 100 || p.HTTP.MaxRequestsPerConnection != 4000 || p.TCP.ConnectTimeout != "2s" {
		t.Errorf("pool %+v", *p)
	}
	for _, field := range []string{"http.http2MaxRequests", "http.http1MaxPendingRequests", "http.maxRequestsPerConnection", "tcp.maxConnections", "tcp.connectTimeout"} {
		if p.Reasons[field] == "" {
			t.Errorf("%s has no reason", field)
		}
	}
	if reason := p.Reasons["http.http2MaxRequests"]; !strings.Contains(reason, "trips") || !strings.Contains(reason, "70\u00a0ms") {
		t.Errorf("reason %q, want it to say that it trips at 140 ÷ 2 000/s = 70 ms", reason)
	}
	for _, test := range []struct {
		name   string
		change func(in *PoolInput)
		check  func(p *ConnectionPool) bool
	}{
		{"fewer pods than clients: inbound counts", func(in *PoolInput) { in.Pods = 2 }, func(p *ConnectionPool) bool { return p.HTTP.HTTP2MaxRequests == 260 }}, // 200 + 4·√200 = 256.6
		{"more in flight than the objective explains", func(in *PoolInput) { in.InFlight = 400 }, func(p *ConnectionPool) bool { return p.HTTP.HTTP2MaxRequests == 600 }},
		{"slow connects", func(in *PoolInput) { in.ConnectSeconds = 0.4 }, func(p *ConnectionPool) bool {
			return p.TCP.ConnectTimeout == "4s" && p.HTTP.HTTP1MaxPendingRequests == 920 // 800 + 4·√800 = 913
		}},
		{"HTTP/1.1 upstream", func(in *PoolInput) { in.Connections = 38 }, func(p *ConnectionPool) bool { return p.TCP.MaxConnections >= 280 }},
		{"nothing measured", func(in *PoolInput) {
			in.InFlight, in.Connections, in.ConnectSeconds, in.Clients, in.Pods, in.ClientWorkers = 0, 0, 0, 0, 0, 0
		}, func(p *ConnectionPool) bool { return p.HTTP.HTTP2MaxRequests == 480 && p.TCP.ConnectTimeout == "2s" }},
	} {
		t.Run(test.name, func(t *testing.T) {
			changed := in
			test.change(&changed)
			if p, why := PoolFor(changed); p == nil || !test.check(p) {
				t.Errorf("pool %+v %s", p, why)
			}
		})
	}
	if p, why := PoolFor(PoolInput{}); p != nil || why == "" {
		t.Errorf("without a rate: %+v, %q", p, why)
	}
}
