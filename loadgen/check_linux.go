package loadgen

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sailplan-io/sailplan/loadgen/exchange"
	"github.com/sailplan-io/sailplan/loadgen/feed"
	"github.com/sailplan-io/sailplan/scenarios"
)

// Check opens one connection, sends one request of each kind and reports what
// it found. It fails when no connection can be opened as the plan asks, when a
// request gets no answer within the plan's timeout, and when all the plan's
// connections would not fit into the limit of file descriptors. An answer of
// any status is no failure.
func Check(ctx context.Context, plan scenarios.Plan, options Options) (Reachable, error) {
	if err := checkPlan(plan); err != nil {
		return Reachable{}, err
	}
	if err := checkDescriptors(plan.Connections.Count); err != nil {
		return Reachable{}, err
	}
	source, field, err := openCredential(ctx, plan, options)
	if err != nil {
		return Reachable{}, err
	}
	if source != nil {
		defer func() { _ = source.Close() }()
	}
	c, err := newConnector(ctx, plan, field)
	if err != nil {
		return Reachable{}, err
	}
	o, err := c.open(ctx, 0)
	if err != nil {
		return Reachable{}, err
	}
	found := Reachable{
		Protocol: string(plan.Endpoint.Protocol),
		Connect:  o.link.Times().Connect, Handshake: o.link.Times().Handshake,
	}
	if agreed, ok := o.link.Agreed(); ok {
		found.TLSVersion, found.CipherSuite = agreed.Version, agreed.Suite
	}
	if limit, ok := o.conn.PeerLimit(); ok {
		found.MaxStreams = int64(limit)
	}
	rows, err := c.builder.feed(ctx, 0, 1)
	if err != nil {
		_ = o.link.Close()
		return found, err
	}
	if rows != nil {
		defer rows.Close()
	}
	for kind, r := range c.kinds() {
		v, err := firstOf(ctx, rows, kind)
		if errors.Is(err, feed.ErrEnd) {
			break // fewer rows than kinds of request
		}
		if err != nil {
			_ = o.link.Close()
			return found, fmt.Errorf("request %q: %w", r.Name, err)
		}
		if o.conn.Leaving() { // an answer of HTTP/1.1 may be the last one of its connection
			_ = o.link.Close()
			if o, err = c.open(ctx, 0); err != nil {
				return found, err
			}
		}
		answer, err := o.ask(ctx, kind, v, plan.Timeout)
		if err != nil {
			_ = o.link.Close()
			return found, fmt.Errorf("request %q to %s: %w", r.Name, plan.Endpoint.Address, err)
		}
		answer.Request = r.Name
		found.Answers = append(found.Answers, answer)
	}
	o.conn.Shutdown()
	_, _ = o.push()
	if err := o.link.Close(); err != nil {
		return found, fmt.Errorf("close the connection to %s: %w", plan.Endpoint.Address, err)
	}
	return found, nil
}

// rowPause is how long Check waits for a row that has not been read yet.
const rowPause = 5 * time.Millisecond

// firstOf returns what a request of a kind takes from the next row of the feed, nil
// when that is nothing. It waits for the row.
func firstOf(ctx context.Context, rows *feed.Feed, kind int) (*exchange.Variation, error) {
	if rows == nil {
		return nil, nil
	}
	for {
		v, err := rows.Next(kind)
		if !errors.Is(err, feed.ErrNotReady) {
			return v, err
		}
		if err := pause(ctx, rowPause); err != nil {
			return nil, err
		}
	}
}

// ask sends one request and waits for its answer.
func (o opened) ask(ctx context.Context, kind int, v *exchange.Variation, timeout time.Duration) (Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	begin := time.Now()
	if err := o.pump(ctx, func() bool { return o.conn.Free() > 0 || o.conn.Leaving() }); err != nil {
		return Answer{}, fmt.Errorf("wait for a stream: %w", err)
	}
	if o.conn.Leaving() {
		return Answer{}, errors.New("the server sent GOAWAY")
	}
	o.conn.Start(kind, 0, v)
	if err := o.pump(ctx, func() bool { return len(o.conn.Done()) > 0 }); err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			return Answer{}, fmt.Errorf("no answer within %s: %w", timeout, err)
		}
		return Answer{}, err
	}
	d := o.conn.Done()[0]
	o.conn.Forget()
	if d.Outcome != exchange.Answered {
		return Answer{}, fmt.Errorf("no answer: %s", d.Class)
	}
	return Answer{
		Status: int(d.Status), Class: d.Class.String(), Backend: d.Backend, Bytes: d.Received, Time: time.Since(begin),
	}, nil
}
