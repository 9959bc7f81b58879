package loadgen

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sailplan-io/sailplan/loadgen/dial"
	"github.com/sailplan-io/sailplan/loadgen/exchange"
	"github.com/sailplan-io/sailplan/loadgen/grpc"
	"github.com/sailplan-io/sailplan/loadgen/h1"
	"github.com/sailplan-io/sailplan/loadgen/h2"
	"github.com/sailplan-io/sailplan/scenarios"
)

// connector opens connections that are ready for requests. It is not changed
// after it was made, so that any goroutine can use it.
type connector struct {
	options dial.Options
	config  *h2.Config
	http1   *h1.Config // instead of config for connections of HTTP/1.1; nil: HTTP/2
	calls   bool       // of gRPC, by config
	timeout time.Duration
}

// opened is a connection that is ready for requests.
type opened struct {
	link *dial.Link
	conn exchange.Conn
}

// defaultConnectTimeout holds where the plan says nothing.
const defaultConnectTimeout = 5 * time.Second

func newConnector(ctx context.Context, plan scenarios.Plan) (*connector, error) {
	kinds, err := requests(plan)
	if err != nil {
		return nil, fmt.Errorf("plan %s: %w", plan.Name, err)
	}
	c := &connector{
		options: dial.Options{Address: plan.Endpoint.Address},
		config: &h2.Config{
			Requests: kinds, MaxStreams: plan.Connections.StreamsPerConnection, BackendHeader: backendHeader,
		},
		timeout: plan.Connections.ConnectTimeout,
	}
	if c.timeout <= 0 {
		c.timeout = defaultConnectTimeout
	}
	asked, secure := dial.ProtocolHTTP2, plan.Endpoint.Protocol == scenarios.ProtocolH2
	if plan.Endpoint.Protocol == scenarios.ProtocolHTTP1 {
		asked, secure = dial.ProtocolHTTP1, plan.Endpoint.Scheme == "https"
		c.http1 = &h1.Config{Requests: kinds, BackendHeader: backendHeader}
		c.config.MaxStreams = 1 // one request in flight on each connection
	}
	if c.calls = plan.Endpoint.Protocol == scenarios.ProtocolGRPC; c.calls {
		secure = plan.Endpoint.Scheme == "https"
	}
	if secure {
		t := plan.Endpoint.TLS
		c.options.TLS, err = dial.NewTLS(dial.TLSOptions{
			Protocol: asked,
			CAFile:   t.CAFile, CertFile: t.CertFile, KeyFile: t.KeyFile, ServerName: t.ServerName,
			Authority: plan.Endpoint.Authority, Insecure: t.Insecure,
		})
		if err != nil {
			return nil, fmt.Errorf("plan %s: %w", plan.Name, err)
		}
	}
	if c.calls {
		ctx, cancel := context.WithTimeout(ctx, c.timeout+plan.Timeout)
		defer cancel()
		if c.config.Requests, err = calls(ctx, plan, c.options.TLS); err != nil {
			return nil, fmt.Errorf("plan %s: %w", plan.Name, err)
		}
	}
	return c, nil
}

// open connects, shakes hands and waits for the peer's settings.
func (c *connector) open(ctx context.Context) (opened, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	link, err := dial.Open(ctx, c.options)
	if err != nil {
		return opened{}, err
	}
	o := opened{link: link}
	protocol := "HTTP/2"
	switch {
	case c.http1 != nil:
		o.conn, protocol = h1.New(c.http1), "HTTP/1.1"
	case c.calls:
		o.conn = grpc.New(c.config)
	default:
		o.conn = h2.New(c.config)
	}
	if err := o.greet(ctx, protocol); err != nil {
		_ = link.Close()
		return opened{}, fmt.Errorf("open an %s connection to %s: %w", protocol, c.options.Address, dial.Late(c.options.Address, err))
	}
	return o, nil
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
