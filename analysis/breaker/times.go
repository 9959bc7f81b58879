package breaker

import (
	"fmt"
	"math"
	"time"
)

// What --fast makes of times.
const (
	fastConnect  = 500 * time.Millisecond
	fastIdle     = time.Second
	fastEjection = 2 * time.Second // of the longer of interval and baseEjectionTime
)

// perConnection is the trial of maxRequestsPerConnection: it costs no errors, but
// handshakes and CPU, for which the same load is sent without the limit.
func (s Setup) perConnection() []Trial {
	limit := s.Client.ConnectionPool.HTTP.MaxRequestsPerConnection
	if !isSet(limit) {
		return nil
	}
	n := float64(limit.Value)
	b := s.bench()
	b.Client.ConnectionPool.HTTP.MaxRequestsPerConnection = limit
	t := Trial{
		Name: "maxRequestsPerConnection", Field: fieldPerConnection, Side: Client, Limit: limit.Value,
		Expected: fmt.Sprintf("a connection is replaced after %s, without an error", plural(int(limit.Value), "request")),
	}
	// Three connections' worth for each thread and endpoint.
	const rate = 500.0
	long := seconds(math.Max(3, 3*n*s.poolSlack()/rate))
	if s.Fast {
		long = max(2*time.Second, long*2/3)
	}
	if long > time.Minute {
		t.Impossible = fmt.Sprintf("connections that end after %d requests do so after %s at the %.0f/s that are sent here", limit.Value, short(long.Round(time.Second)), rate)
	}
	steps := []Step{
		{Name: "before", Faults: all(b, Fault{}), Load: load(rate, 100, 5*time.Second), For: time.Second},
		{Name: "connections end", Load: load(rate, 100, 5*time.Second), For: long},
	}
	t.Parts = []Part{{b, steps}, {s.bench(), steps}}
	t.judge = func(facts []Facts) outcome {
		limited, free := facts[1], facts[3]
		ended, made := limited.Client["upstream_cx_max_requests"], limited.Client["upstream_cx_total"]
		observed := fmt.Sprintf("%d of %d answered, %.0f connections ended at the limit; %s", limited.Good, limited.Sent, ended, perConnectionCost(limited, free))
		switch {
		case limited.Good < limited.Sent:
			return failed(observed, "connections that end cost errors: %v", limited.Errors)
		case ended == 0:
			return unmeasured(observed, "no connection came to its end")
		case made > 2*float64(limited.Sent)/n+4*s.poolSlack():
			return failed(observed, "%.0f connections were made, where %d requests take %.0f", made, limited.Sent, float64(limited.Sent)/n)
		}
		return passed(observed)
	}
	return []Trial{t}
}

// perConnectionCost compares what requests cost with and without the limit.
func perConnectionCost(limited, free Facts) string {
	handshakes := func(f Facts) float64 { return 1000 * f.Client["ssl.handshake"] / math.Max(1, float64(f.Sent)) }
	text := fmt.Sprintf("%.1f TLS handshakes per 1 000 requests instead of %.1f", handshakes(limited), handshakes(free))
	cpu := func(f Facts) float64 {
		return 1e6 * (f.CPU["gateway"] + f.CPU["sidecar"]) / math.Max(1, float64(f.Sent))
	}
	if with, without := cpu(limited), cpu(free); with > 0 && without > 0 {
		text += fmt.Sprintf(", and %.0f µs of CPU per request in both proxies instead of %.0f", with, without)
	}
	return text
}

// connectTimeout is the trial of connectTimeout, on endpoints that drop attempts to
// connect without a word.
func (s Setup) connectTimeout() []Trial {
	timeout := s.Client.ConnectionPool.TCP.ConnectTimeout
	if timeout.Source.IsDefault() {
		return nil
	}
	tried := timeout
	if s.Fast {
		tried.Value = min(tried.Value, fastConnect)
	}
	b := s.direct()
	b.Client.ConnectionPool.TCP.ConnectTimeout = tried
	b.Retries = &Retries{}
	t := Trial{
		Name: "connectTimeout", Field: fieldConnectTimeout, Side: Client, Limit: short(timeout.Value),
		Expected: fmt.Sprintf("a request whose endpoint drops attempts to connect is given up after %s", short(tried.Value)),
	}
	if tried.Value > longestTrial/4 {
		t.Impossible = fmt.Sprintf("it takes %s; --fast shortens it", short(3*tried.Value))
	}
	t.Parts = []Part{{b, []Step{{
		Name: "no connection", Faults: all(b, Fault{Network: NetworkIgnore}),
		Load: load(10, 200, 3*tried.Value+5*time.Second), For: max(time.Second, tried.Value/4),
	}}}}
	t.judge = func(facts []Facts) outcome {
		f := facts[0]
		observed := fmt.Sprintf("%d of %d given up, the last after %s; Istio's 2 retries would make up to %s of it", f.Errors[classConnect], f.Sent, short(f.slowest().Round(time.Millisecond)), short(3*tried.Value))
		switch {
		case f.Client["upstream_cx_connect_timeout"] == 0:
			return failed(observed, "no attempt to connect timed out: %v", f.Errors)
		case f.Errors[classConnect] < f.Sent:
			return failed(observed, "not all were given up for want of a connection: %v", f.Errors)
		case f.slowest() < tried.Value*9/10 || f.slowest() > tried.Value*5/4+300*time.Millisecond:
			return failed(observed, "that is not %s", short(tried.Value))
		}
		return passed(observed)
	}
	return []Trial{t}
}

// idleTimeout is the trial of idleTimeout: a connection without requests is closed
// after it and not before.
func (s Setup) idleTimeout() []Trial {
	timeout := s.Client.ConnectionPool.HTTP.IdleTimeout
	if timeout.Source.IsDefault() || timeout.Value == 0 {
		return nil
	}
	tried := timeout
	if s.Fast {
		tried.Value = min(tried.Value, fastIdle)
	}
	b := s.direct()
	b.Client.ConnectionPool.HTTP.IdleTimeout = tried
	t := Trial{
		Name: "idleTimeout", Field: fieldIdle, Side: Client, Limit: short(timeout.Value),
		Expected: fmt.Sprintf("a connection without requests is closed after %s, not before, and the next request opens another", short(tried.Value)),
	}
	if 2*tried.Value > longestTrial {
		t.Impossible = fmt.Sprintf("it takes %s; --fast shortens it", short(2*tried.Value))
	}
	send := load(50, 50, 5*time.Second)
	t.Parts = []Part{{b, []Step{
		{Name: "busy", Faults: all(b, Fault{}), Load: send, For: 500 * time.Millisecond},
		{Name: "idle for a while", For: tried.Value / 2},
		{Name: "idle for long", For: tried.Value/2 + max(time.Second, tried.Value/4)},
		{Name: "busy again", Load: send, For: 500 * time.Millisecond},
	}}}
	t.judge = func(facts []Facts) outcome {
		const open = "upstream_cx_active"
		closed := facts[2].Client["upstream_cx_idle_timeout"]
		observed := fmt.Sprintf("%.0f connections after %s without requests, %.0f after %s", facts[1].Last[open], short(tried.Value/2), facts[2].Last[open], short(tried.Value+max(time.Second, tried.Value/4)))
		switch {
		case facts[0].Last[open] == 0:
			return unmeasured(observed, "no connection was open")
		case facts[1].Last[open] < facts[0].Last[open]:
			return failed(observed, "connections were closed too early")
		case facts[2].Last[open] > 0 || closed == 0:
			return failed(observed, "connections stayed open")
		case facts[3].Good < facts[3].Sent:
			return failed(observed, "after the silence requests went wrong: %v", facts[3].Errors)
		}
		return passed(observed)
	}
	return []Trial{t}
}
