package loadgen

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"golang.org/x/sys/unix"

	"github.com/sailplan-io/sailplan/loadgen/dial"
	"github.com/sailplan-io/sailplan/loadgen/exchange"
	"github.com/sailplan-io/sailplan/loadgen/grpc"
	"github.com/sailplan-io/sailplan/loadgen/h1"
	"github.com/sailplan-io/sailplan/loadgen/h2"
	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

// connector opens connections that are ready for requests. It is not changed
// after it was made, so that any goroutine can use it.
type connector struct {
	builder   *builder
	endpoints []*endpoint
	timeout   time.Duration
	gate      *gate // nil: connections are opened as fast as they go
}

// endpoint is one of the targets that share the connections.
type endpoint struct {
	at      scenarios.Endpoint
	options dial.Options
	http2   h2.Config
	http1   h1.Config
}

// opened is a connection that is ready for requests.
type opened struct {
	link *dial.Link
	conn exchange.Conn
}

// defaultConnectTimeout holds where the plan says nothing.
const defaultConnectTimeout = 5 * time.Second

// newConnector prepares connections whose requests carry a credential, unless its
// field has no name.
func newConnector(ctx context.Context, plan scenarios.Plan, credential exchange.Field) (*connector, error) {
	c := &connector{timeout: cmp.Or(max(0, plan.Connections.ConnectTimeout), defaultConnectTimeout)}
	if rps := plan.Connections.OpenRate.RPS(); rps > 0 {
		c.gate = &gate{gap: time.Duration(float64(time.Second) / rps)}
	}
	resolver := &dial.Resolver{Every: plan.Connections.LookUpEvery}
	for _, at := range append([]scenarios.Endpoint{plan.Endpoint}, plan.Endpoint.Also...) {
		e := &endpoint{at: at, options: dial.Options{Address: at.Address, Resolver: resolver}}
		var err error
		if e.options.TLS, err = newTLS(at); err != nil {
			return nil, fmt.Errorf("plan %s: %w", plan.Name, err)
		}
		c.endpoints = append(c.endpoints, e)
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout+plan.Timeout) // for asking the server
	defer cancel()
	var err error
	if c.builder, err = newBuilder(ctx, plan, c.endpoints[0].options.TLS, credential); err != nil {
		return nil, fmt.Errorf("plan %s: %w", plan.Name, err)
	}
	for _, e := range c.endpoints {
		kinds, err := c.builder.requests(e.at, credential)
		if err != nil {
			return nil, fmt.Errorf("plan %s: %w", plan.Name, err)
		}
		e.http2 = h2.Config{Requests: kinds, MaxStreams: plan.Connections.StreamsPerConnection, BackendHeader: backendHeader}
		e.http1 = h1.Config{Requests: kinds, BackendHeader: backendHeader}
	}
	return c, nil
}

// kinds returns the requests of the mix as they were when the session began.
func (c *connector) kinds() []exchange.Request { return c.endpoints[0].http2.Requests }

// newTLS returns how to secure connections to an endpoint, nil for cleartext.
func newTLS(at scenarios.Endpoint) (*dial.TLS, error) {
	asked, secure := dial.ProtocolHTTP2, at.Scheme == "https"
	switch at.Protocol {
	case scenarios.ProtocolHTTP1:
		asked = dial.ProtocolHTTP1
	case scenarios.ProtocolH2:
		secure = true
	case scenarios.ProtocolH2C:
		secure = false
	}
	if !secure {
		return nil, nil
	}
	t := at.TLS
	return dial.NewTLS(dial.TLSOptions{
		Protocol: asked,
		CAFile:   t.CAFile, CertFile: t.CertFile, KeyFile: t.KeyFile, ServerName: t.ServerName,
		Authority: at.Authority, Insecure: t.Insecure, MinVersion: t.MinVersion, MaxVersion: t.MaxVersion,
		CipherSuites: t.CipherSuites, Curves: t.Curves, Resume: t.Resume, SPIFFEID: t.SPIFFEID,
	})
}

// share says which endpoint each of several connections goes to: in proportion to
// their weights, and as evenly mixed as that goes (each goes to the endpoint that
// is the furthest behind its share).
func (c *connector) share(connections int) []int {
	sum := 0.0
	for _, e := range c.endpoints {
		sum += cmp.Or(e.at.Weight, 1)
	}
	given := make([]float64, len(c.endpoints))
	places := make([]int, connections)
	for i := range places {
		best, most := 0, math.Inf(-1)
		for k, e := range c.endpoints {
			if behind := cmp.Or(e.at.Weight, 1)/sum*float64(i+1) - given[k]; behind > most+1e-9 {
				best, most = k, behind
			}
		}
		given[best]++
		places[i] = best
	}
	return places
}

// open connects to an endpoint, shakes hands and waits for the peer's settings.
func (c *connector) open(ctx context.Context, to int) (opened, error) {
	if err := c.gate.pass(ctx); err != nil {
		return opened{}, err
	}
	e := c.endpoints[to]
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	link, err := dial.Open(ctx, e.options)
	if err != nil {
		return opened{}, err
	}
	o := opened{link: link}
	protocol := "HTTP/2"
	switch e.at.Protocol {
	case scenarios.ProtocolHTTP1:
		o.conn, protocol = h1.New(&e.http1), "HTTP/1.1"
	case scenarios.ProtocolGRPC:
		o.conn = grpc.New(&e.http2)
	default:
		o.conn = h2.New(&e.http2)
	}
	if err := o.greet(ctx, protocol); err != nil {
		_ = link.Close()
		return opened{}, fmt.Errorf("open an %s connection to %s: %w", protocol, e.options.Address, dial.Late(e.options.Address, err))
	}
	return o, nil
}

// gate lets openings pass at a rate, whichever goroutine they are of.
type gate struct {
	gap  time.Duration
	mu   sync.Mutex // guards next
	next time.Time
}

// pass waits for its turn, or the end of ctx. A nil gate is open.
func (g *gate) pass(ctx context.Context) error {
	if g == nil {
		return nil
	}
	g.mu.Lock()
	now := time.Now()
	if g.next.Before(now) {
		g.next = now
	}
	wait := g.next.Sub(now)
	g.next = g.next.Add(g.gap)
	g.mu.Unlock()
	return pause(ctx, wait)
}

// greet exchanges settings, where the protocol has them.
func (o opened) greet(ctx context.Context, protocol string) error {
	err := o.pump(ctx, func() bool { return o.conn.Ready() })
	if _, sealed := o.link.State(); !sealed {
		protocol += " in cleartext, without TLS"
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("no SETTINGS from the server in time, does it speak %s? %w", protocol, err)
	}
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("the server closed without a word, does it speak %s? %w", protocol, err)
	}
	return err
}

// pump moves bytes both ways until done, blocking. It leaves nothing that has
// come in unread, nor anything unwritten.
func (o opened) pump(ctx context.Context, done func() bool) error {
	buffer := make([]byte, 16<<10)
	for {
		blocked, err := o.push()
		if err != nil {
			return err
		}
		if err := o.pull(buffer); err != nil {
			return err
		}
		if done() && !blocked && len(o.conn.Out()) == 0 {
			return nil
		}
		if len(o.conn.Out()) > 0 && !blocked {
			continue
		}
		if err := o.link.Wait(ctx, blocked); err != nil {
			return err
		}
	}
}

// push writes what waits; blocked says that some is left.
func (o opened) push() (blocked bool, err error) {
	if o.link.Pending() {
		if err := o.link.Flush(); err != nil {
			return err == dial.ErrWouldBlock, ignoreWouldBlock(err)
		}
	}
	for len(o.conn.Out()) > 0 {
		n, err := o.link.Write(o.conn.Out())
		o.conn.Wrote(n)
		if err != nil {
			return err == dial.ErrWouldBlock, ignoreWouldBlock(err)
		}
		o.conn.Pump()
	}
	return false, nil
}

// pull reads until there is nothing more.
func (o opened) pull(buffer []byte) error {
	for {
		n, err := o.link.Read(buffer)
		if n > 0 {
			if err := o.conn.Ingest(buffer[:n], 0); err != nil {
				_, _ = o.push() // the GOAWAY, if it can be
				return err
			}
		}
		if err == io.EOF {
			if o.conn.Ended(0); len(o.conn.Done()) > 0 {
				return nil // that is how the answer ends
			}
		}
		if err != nil {
			return ignoreWouldBlock(err)
		}
	}
}

func ignoreWouldBlock(err error) error {
	if err == dial.ErrWouldBlock {
		return nil
	}
	return err
}

// openings are the times that a worker's connections took to open, since the last
// phase ended.
type openings struct{ connects, handshakes *hdrhistogram.Histogram }

func newOpenings() openings {
	// Two significant digits, so that the histograms take little and their buckets
	// are few.
	return openings{hdrhistogram.New(1000, highest, 2), hdrhistogram.New(1000, highest, 2)}
}

// add notes the times of a connection; facts get those of the first ones.
func (o openings) add(times dial.Times, sealed bool, facts *record.Connections) {
	_ = o.connects.RecordValue(min(int64(times.Connect), highest))
	if len(facts.ConnectSeconds) < maxConnectTimes {
		facts.ConnectSeconds = append(facts.ConnectSeconds, times.Connect.Seconds())
	}
	if !sealed {
		return
	}
	_ = o.handshakes.RecordValue(min(int64(times.Handshake), highest))
	if len(facts.HandshakeSeconds) < maxConnectTimes {
		facts.HandshakeSeconds = append(facts.HandshakeSeconds, times.Handshake.Seconds())
	}
}

// take moves the times into the facts.
func (o openings) take(facts *record.Connections) {
	facts.ConnectTimes, facts.HandshakeTimes = timesOf(o.connects), timesOf(o.handshakes)
	o.connects.Reset()
	o.handshakes.Reset()
}

// countAgreed counts a TLS handshake in facts.
func countAgreed(facts *record.Connections, agreed dial.Agreement) {
	if agreed.Resumed {
		facts.ResumedHandshakes++
	}
	if agreed.Curve == "" {
		return
	}
	if facts.KeyExchanges == nil {
		facts.KeyExchanges = map[string]int64{}
	}
	facts.KeyExchanges[agreed.Curve]++
}

// timesOf lists what a histogram of nanoseconds holds; nil when it is empty.
func timesOf(h *hdrhistogram.Histogram) *record.Times {
	if h.TotalCount() == 0 {
		return nil
	}
	t := &record.Times{}
	for _, bar := range h.Distribution() {
		if bar.Count > 0 {
			t.Seconds, t.Counts = append(t.Seconds, float64(bar.To)/1e9), append(t.Counts, bar.Count)
		}
	}
	return t
}

// spareDescriptors is what the process needs besides connections.
const spareDescriptors = 64

// checkDescriptors makes sure that the connections fit into the limit of open
// files.
func checkDescriptors(connections int) error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("read the limit of file descriptors: %w", err)
	}
	need := uint64(connections) + spareDescriptors
	if need > limit.Cur {
		hard := fmt.Sprint(limit.Max)
		if limit.Max == math.MaxUint64 {
			hard = "unlimited"
		}
		return fmt.Errorf("%d connections need %d file descriptors, but RLIMIT_NOFILE is %d (hard limit %s): raise it with ulimit -n %d",
			connections, need, limit.Cur, hard, need)
	}
	return nil
}
