package recommend

import (
	"math"
	"strings"
	"testing"
)

func poolInput() PoolInput {
	return PoolInput{
		Host: "checkout", PlannedRPS: 8000, PeakRPS: 5000, Clients: 4, LeastClients: 5, MostClients: 12, Pods: 10, MostPods: 15, ClientWorkers: 2, Tolerated: 0.05,
		InFlight: 20, InFlightMean: 10, Dispersion: 1.44, InFlightAtRPS: 2000, Connections: 4, PodsMeasured: 2, ConnectSeconds: 0.003,
	}
}

// poolFields are the fields that a pool has.
func poolFields() []string {
	return []string{
		"tcp.maxConnections", "tcp.connectTimeout", "http.http1MaxPendingRequests", "http.http2MaxRequests",
		"http.maxRequestsPerConnection", "http.maxRetries", "http.idleTimeout",
	}
}

// Quantiles of the Poisson distribution at p99.9, from tables: mean 10: 21; 20: 35;
// 40: 61; 100: 132; 200: 245; 400: 463; 800: 889.
func TestPoolFor(t *testing.T) {
	p, why := PoolFor(poolInput())
	if p == nil {
		t.Fatal(why)
	}
	// 2 000/s per client × 50 ms = 100: 132 at p99.9. 15 pods × 2 threads = 30, as
	// measured (4 to 2 pods); twice that is 60, and so 100. 2 000/s over 30 connections
	// = 67/s, a minute long: 4 000. To one of ten pods 200/s × 50 ms = 10: 21, below a
	// fifth of 140. Pauses of 6.91 ÷ (20/s ÷ 30) = 10 s: a minute.
	if want := (PoolHTTP{HTTP1MaxPendingRequests: 140, HTTP2MaxRequests: 140, MaxRequestsPerConnection: 4000, MaxRetries: 21, IdleTimeout: "60s"}); p.HTTP != want {
		t.Errorf("http %+v, want %+v", p.HTTP, want)
	}
	if want := (PoolTCP{MaxConnections: 100, ConnectTimeout: "2s"}); p.TCP != want {
		t.Errorf("tcp %+v, want %+v", p.TCP, want)
	}
	// It trips at 140 ÷ 2 000/s. Measured: 10 on average, 10 + 11 × 1.2 = 23.2 at p99.9, 6 times below.
	if math.Abs(p.TripSeconds-0.07) > 1e-12 {
		t.Errorf("trips at %v s, want 0.07", p.TripSeconds)
	}
	reason := p.Reasons["http.http2MaxRequests"]
	for _, words := range []string{"at the planned peak it trips (503, UO) when mean latency exceeds 70\u00a0ms", "23 at p99.9, of which the limit is 6.03 times", "from 5 to 12 client proxies admit 700 to 1680 at once", "each of 5 has 73 in flight at p99.9 at today's peak"} {
		if !strings.Contains(reason, words) {
			t.Errorf("reason %q does not say %q", reason, words)
		}
	}
}

// Whatever goes in, the arithmetic can be done again and ends at what is set.
func TestPoolArithmetic(t *testing.T) {
	for name, change := range poolChanges() {
		t.Run(name, func(t *testing.T) {
			in := poolInput()
			change(&in)
			p, why := PoolFor(in)
			if p == nil {
				t.Fatal(why)
			}
			worked := map[string]map[string]float64{}
			for _, field := range poolFields() {
				if p.Reasons[field] == "" {
					t.Errorf("%s has no reason", field)
				}
				worked[field] = redo(t, field, p.Details[field])
			}
			result := func(field, name string) float64 { return worked[field][name] }
			if got := result("http.http2MaxRequests", "http2MaxRequests"); got != float64(p.HTTP.HTTP2MaxRequests) {
				t.Errorf("arithmetic ends at %v, want %d", got, p.HTTP.HTTP2MaxRequests)
			}
			if got := result("tcp.maxConnections", "maxConnections"); got != float64(p.TCP.MaxConnections) {
				t.Errorf("arithmetic ends at %v, want %d", got, p.TCP.MaxConnections)
			}
			if got := result("http.maxRetries", "maxRetries"); got != float64(p.HTTP.MaxRetries) {
				t.Errorf("arithmetic ends at %v, want %d", got, p.HTTP.MaxRetries)
			}
			// Never below p99.9 of in flight at the objective's latency, at the busiest caller
			// and at a pod; and what a cold pool lets go at once is not shed.
			tolerated := in.Tolerated
			if tolerated == 0 {
				tolerated = 1
			}
			clients, pods := float64(max(in.Clients, 1)), float64(max(in.Pods, 1))
			for _, mean := range []float64{in.PlannedRPS * math.Max(1, in.Hottest) / clients * tolerated, in.PlannedRPS / pods * tolerated, in.PlannedRPS / clients * in.ConnectSeconds} {
				if mean > 0 && float64(p.HTTP.HTTP2MaxRequests) < poissonByHand(0.001, mean) {
					t.Errorf("http2MaxRequests %d is below p99.9 of a mean of %g", p.HTTP.HTTP2MaxRequests, mean)
				}
			}
			if p.HTTP.HTTP1MaxPendingRequests > p.HTTP.HTTP2MaxRequests {
				t.Errorf("%d may wait and only %d go: of no use", p.HTTP.HTTP1MaxPendingRequests, p.HTTP.HTTP2MaxRequests)
			}
		})
	}
}

// poolChanges are inputs that differ from poolInput in what the name says.
func poolChanges() map[string]func(in *PoolInput) {
	return map[string]func(in *PoolInput){
		"as it is":                      func(*PoolInput) {},
		"fewer pods than clients":       func(in *PoolInput) { in.Pods = 2 },
		"more in flight than explained": func(in *PoolInput) { in.InFlight, in.InFlightMean = 400, 0 },
		"bursts":                        func(in *PoolInput) { in.InFlight, in.InFlightMean, in.Dispersion = 120, 40, 25 },
		"slow connects":                 func(in *PoolInput) { in.ConnectSeconds = 0.4 },
		"very slow connects":            func(in *PoolInput) { in.ConnectSeconds = 3 },
		"HTTP/1.1 upstream":             func(in *PoolInput) { in.InFlight, in.Connections = 40, 38 },
		"unevenly loaded":               func(in *PoolInput) { in.Hottest = 2 },
		"a dear handshake":              func(in *PoolInput) { in.Handshake, in.CPUPerRequest, in.MadePerRequest = 0.004, 50e-6, 0.01 },
		"a connection was lost":         func(in *PoolInput) { in.LostIdleSeconds = 50 },
		"quiet":                         func(in *PoolInput) { in.PlannedRPS, in.PeakRPS = 100, 80 },
		"large":                         func(in *PoolInput) { in.PlannedRPS, in.Tolerated = 4.4e6, 1 },
		"no objective, nothing measured": func(in *PoolInput) {
			*in = PoolInput{Host: "checkout", PlannedRPS: 8000}
		},
	}
}

func TestPoolBounds(t *testing.T) {
	for _, test := range []struct {
		change, field string
		boundBy, next string
		check         func(p *ConnectionPool) bool
	}{
		{"as it is", "http.http2MaxRequests", ByObjectiveAtClient, ByObjectiveAtPod, nil},
		{"fewer pods than clients", "http.http2MaxRequests", ByObjectiveAtPod, ByObjectiveAtClient, func(p *ConnectionPool) bool { return p.HTTP.HTTP2MaxRequests == 250 }},
		// A fifth of 250, where 50 ms × 1 000/s leave 73 with one of two pods.
		{"fewer pods than clients", "http.maxRetries", ByStorm, ByPodLoss, func(p *ConnectionPool) bool { return p.HTTP.MaxRetries == 50 }},
		{"more in flight than explained", "http.http2MaxRequests", ByMeasured, ByObjectiveAtClient, func(p *ConnectionPool) bool { return p.HTTP.HTTP2MaxRequests == 600 }},
		// Mean 40 at p99.9: 61; 40 + 21 × 5 = 145 > 120; half as much again: 217.5.
		{"bursts", "http.http2MaxRequests", ByMeasured, ByObjectiveAtClient, func(p *ConnectionPool) bool { return p.HTTP.HTTP2MaxRequests == 220 }},
		{"slow connects", "http.http1MaxPendingRequests", ByColdBurst, ByObjectiveAtClient, func(p *ConnectionPool) bool {
			return p.HTTP.HTTP1MaxPendingRequests == 890 && p.HTTP.HTTP2MaxRequests == 890 && p.TCP.ConnectTimeout == "4s"
		}},
		{"very slow connects", "tcp.connectTimeout", ByConnectTime, ByLostSYN, func(p *ConnectionPool) bool { return p.TCP.ConnectTimeout == "10s" }},
		{"HTTP/1.1 upstream", "tcp.maxConnections", ByMeasured, ByHTTP1, func(p *ConnectionPool) bool { return p.TCP.MaxConnections == 570 }}, // 38 ÷ 2 × 15 × 2
		{"unevenly loaded", "http.http2MaxRequests", ByObjectiveAtClient, ByObjectiveAtPod, func(p *ConnectionPool) bool { return p.HTTP.HTTP2MaxRequests == 250 }},
		// 4 ms ÷ (1 % of 50 µs) = 8 000.
		{"a dear handshake", "http.maxRequestsPerConnection", ByHandshake, ByLife, func(p *ConnectionPool) bool {
			return p.HTTP.MaxRequestsPerConnection == 8000 && strings.Contains(p.Reasons["http.maxRequestsPerConnection"], "every 100 requests, at up to 4\u00a0ms each: up to 80\u00a0%")
		}},
		{"a connection was lost", "http.idleTimeout", ByLostIdle, ByPauses, func(p *ConnectionPool) bool { return p.HTTP.IdleTimeout == "40s" }},
		// 25/s over 30 connections, a hundredth of it: pauses of minutes.
		{"quiet", "http.idleTimeout", ByPath, ByPauses, func(p *ConnectionPool) bool { return p.HTTP.IdleTimeout == "180s" }},
		{"quiet", "http.maxRetries", ByLeast, ByPodLoss, func(p *ConnectionPool) bool { return p.HTTP.MaxRetries == 3 }},
	} {
		t.Run(test.change+" "+test.field, func(t *testing.T) {
			in := poolInput()
			poolChanges()[test.change](&in)
			p, why := PoolFor(in)
			if p == nil {
				t.Fatal(why)
			}
			if b := p.Details[test.field]; b.BoundBy != test.boundBy || b.RunnerUp != test.next {
				t.Errorf("bound by %s, then %s, want %s, %s", b.BoundBy, b.RunnerUp, test.boundBy, test.next)
			}
			if test.check != nil && !test.check(p) {
				t.Errorf("tcp %+v http %+v", p.TCP, p.HTTP)
			}
		})
	}
	if p, why := PoolFor(PoolInput{}); p != nil || why == "" {
		t.Errorf("without a rate: %+v, %q", p, why)
	}
}

// What is taken for one because nobody counted it is said, in the fields that depend on it.
func TestPoolAssumptions(t *testing.T) {
	for _, test := range []struct {
		name          string
		change        func(*PoolInput)
		pods, threads bool // are said to be assumed
	}{
		{"all known", func(*PoolInput) {}, false, false},
		{"no service is observed", func(in *PoolInput) { in.Pods, in.MostPods = 0, 0 }, true, false},
		{"worker threads are not named", func(in *PoolInput) { in.ClientWorkers = 0 }, false, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := poolInput()
			test.change(&in)
			p, why := PoolFor(in)
			if p == nil {
				t.Fatal(why)
			}
			for field, of := range map[string][2]bool{"tcp.maxConnections": {true, true}, "http.http2MaxRequests": {true, false}, "http.maxRetries": {true, false}, "tcp.connectTimeout": {}} {
				reason := p.Reasons[field]
				if got, want := strings.Contains(reason, "how many pods the destination has is not known"), test.pods && of[0]; got != want {
					t.Errorf("%s says %q: pods are assumed %t, want %t", field, reason, got, want)
				}
				if got, want := strings.Contains(reason, "how many worker threads a client proxy has is not known"), test.threads && of[1]; got != want {
					t.Errorf("%s says %q: threads are assumed %t, want %t", field, reason, got, want)
				}
			}
		})
	}
}
