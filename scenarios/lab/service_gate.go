package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
)

// gate is the port of a test service whose network can be changed while it runs.
// The port is held throughout, so that no other process gets it while nothing
// listens there.
type gate struct {
	address string
	serve   func(context.Context, net.Conn)
	ctx     context.Context // of all that is served; the gate is the owner of its end
	cancel  context.CancelFunc
	release func() // of the port

	mu      sync.Mutex // guards what follows
	network Network
	current *listening // nil: nothing listens
	fillers []net.Conn // that keep the backlog full

	connsMu sync.Mutex // guards conns
	conns   map[net.Conn]struct{}
	open    sync.WaitGroup // connections that are served
}

// listening is a listener and the goroutine that accepts from it.
type listening struct {
	listener net.Listener
	done     sync.WaitGroup
}

// openGate opens a gate on a free port of loopback. serve serves one connection
// until it, or its context, ends.
func openGate(ctx context.Context, serve func(context.Context, net.Conn)) (*gate, error) {
	address, release, err := holdPort()
	if err != nil {
		return nil, err
	}
	g := &gate{address: address, serve: serve, release: release, conns: map[net.Conn]struct{}{}}
	g.ctx, g.cancel = context.WithCancel(ctx)
	if err := g.listen(NetworkFine); err != nil {
		g.close()
		return nil, err
	}
	return g, nil
}

// set changes the network, or only ends the connections that are open.
func (g *gate) set(network Network, drop bool) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if network == g.network {
		if drop {
			g.dropAll()
		}
		return nil
	}
	g.shut()
	g.dropAll()
	return g.listen(network)
}

// close ends all.
func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut()
	g.cancel()
	g.open.Wait()
	g.release()
}

// shut stops listening. The caller holds mu.
func (g *gate) shut() {
	if g.current != nil {
		_ = g.current.listener.Close()
		g.current.done.Wait()
		g.current = nil
	}
	for _, nc := range g.fillers {
		_ = nc.Close()
	}
	g.fillers = nil
}

// dropAll ends all connections.
func (g *gate) dropAll() {
	g.connsMu.Lock()
	defer g.connsMu.Unlock()
	for nc := range g.conns {
		_ = nc.Close()
	}
}

// listen begins to behave as the network says. The caller holds mu, or nobody
// else knows the gate yet.
func (g *gate) listen(network Network) error {
	g.network = network
	if network == NetworkRefuse {
		return nil
	}
	listener, err := (&net.ListenConfig{}).Listen(g.ctx, "tcp", g.address)
	if err != nil {
		return fmt.Errorf("listen at %s again: %w", g.address, err)
	}
	current := &listening{listener: listener}
	g.current = current
	if network == NetworkIgnore {
		g.fillers, err = fillBacklog(g.ctx, listener)
		return err
	}
	current.done.Go(func() {
		for {
			nc, err := listener.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil {
				continue
			}
			g.meet(nc, network)
		}
	})
	return nil
}

// meet does with a new connection what the network says.
func (g *gate) meet(nc net.Conn, network Network) {
	if network == NetworkClose || network == NetworkReset {
		if tcp, ok := nc.(*net.TCPConn); ok && network == NetworkReset {
			_ = tcp.SetLinger(0)
		}
		_ = nc.Close()
		return
	}
	g.connsMu.Lock()
	g.conns[nc] = struct{}{}
	g.connsMu.Unlock()
	g.open.Go(func() {
		defer func() {
			g.connsMu.Lock()
			delete(g.conns, nc)
			g.connsMu.Unlock()
			_ = nc.Close()
		}()
		if network == NetworkSilent {
			stay(g.ctx, nc)
			return
		}
		g.serve(g.ctx, nc)
	})
}

// stay keeps a connection open until its peer, or ctx, ends it, and says nothing.
func stay(ctx context.Context, nc net.Conn) {
	stop := context.AfterFunc(ctx, func() { _ = nc.Close() })
	defer stop()
	buffer := make([]byte, 1<<12)
	for {
		if _, err := nc.Read(buffer); err != nil {
			return
		}
	}
}
