package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sailplan-io/sailplan/scenarios"
)

// balancerConfig is what the balancer before several gateways is told.
type balancerConfig struct {
	AddressFile string   // host:port of the admin endpoint is written here
	Gateways    []uint32 // ports on loopback
	Placement   scenarios.Placement
	Seed        uint64 // of a random placement
}

// balancer is one on layer 4, as stands before the gateways of a cluster: it
// chooses a gateway once a connection and carries bytes from then on.
type balancer struct {
	config balancerConfig
	dialer net.Dialer

	mu     sync.Mutex // guards what follows
	random *rand.Rand
	turn   int
	use    []int                      // gateways that new connections go to, rising
	open   []map[*connection]struct{} // by gateway
	opened []int64                    // by gateway, since the start
}

// connection is one that is carried.
type connection struct{ client, gateway *net.TCPConn }

func (c *connection) close() {
	_ = c.client.Close()
	_ = c.gateway.Close()
}

func newBalancer(config balancerConfig) *balancer {
	b := &balancer{
		config: config,
		random: rand.New(rand.NewPCG(config.Seed, uint64(len(config.Gateways)))),
		open:   make([]map[*connection]struct{}, len(config.Gateways)),
		opened: make([]int64, len(config.Gateways)),
	}
	for i := range config.Gateways {
		b.use = append(b.use, i)
		b.open[i] = make(map[*connection]struct{})
	}
	return b
}

// balance runs a balancer until ctx ends.
func balance(ctx context.Context, config balancerConfig, stderr io.Writer) error {
	listen := func() (net.Listener, error) { return (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0") }
	listener, err := listen()
	if err != nil {
		return fmt.Errorf("balancer: %w", err)
	}
	adminListener, err := listen()
	if err != nil {
		return fmt.Errorf("balancer: %w", errors.Join(err, listener.Close()))
	}
	port, err := portOf(listener.Addr().String())
	if err != nil {
		return fmt.Errorf("balancer: %w", err)
	}
	b := newBalancer(config)
	adminServer := &http.Server{Handler: b.handler(port), ErrorLog: log.New(stderr, "", 0), ReadHeaderTimeout: 10 * time.Second}
	running, cancel := context.WithCancel(ctx)
	defer cancel()
	var serving sync.WaitGroup
	ended := make(chan error, 2)
	serving.Go(func() { ended <- b.accept(running, listener) })
	serving.Go(func() { ended <- adminServer.Serve(adminListener) })
	err = writeAddress(config.AddressFile, adminListener.Addr().String())
	if err == nil {
		select {
		case <-ctx.Done():
		case err = <-ended:
		}
	}
	cancel()
	_ = listener.Close()
	_ = adminServer.Close()
	serving.Wait()
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("balancer: %w", err)
	}
	return nil
}

// accept takes connections until the listener is closed, and waits for them.
func (b *balancer) accept(ctx context.Context, listener net.Listener) error {
	var carrying sync.WaitGroup
	defer carrying.Wait()
	stop := context.AfterFunc(ctx, func() { _ = listener.Close() })
	defer stop()
	for {
		client, err := listener.Accept()
		if err != nil {
			return fmt.Errorf("accept: %w", err)
		}
		// Chosen here and not in the goroutine: the order of connections decides.
		gateway := b.place()
		carrying.Go(func() { b.carry(ctx, client, gateway) })
	}
}

// place chooses the gateway of a new connection.
func (b *balancer) place() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.config.Placement == scenarios.PlacementRandom {
		return b.use[b.random.IntN(len(b.use))]
	}
	b.turn++
	return b.use[(b.turn-1)%len(b.use)]
}

// carry copies between a client and its gateway until both have ended.
func (b *balancer) carry(ctx context.Context, client net.Conn, gateway int) {
	address := net.JoinHostPort("127.0.0.1", strconv.FormatUint(uint64(b.config.Gateways[gateway]), 10))
	upstream, err := b.dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		_ = client.Close() // which is what a balancer without a health check does
		return
	}
	c := &connection{client.(*net.TCPConn), upstream.(*net.TCPConn)}
	defer c.close()
	b.keep(gateway, c)
	defer b.forget(gateway, c)
	stop := context.AfterFunc(ctx, c.close)
	defer stop()
	var back sync.WaitGroup
	back.Go(func() { c.copy(c.client, c.gateway) })
	c.copy(c.gateway, c.client)
	back.Wait()
}

// copy carries one direction; between two TCP connections the kernel does it. The
// end is passed on; what breaks, breaks both.
func (c *connection) copy(to, from *net.TCPConn) {
	if _, err := io.Copy(to, from); err != nil || to.CloseWrite() != nil {
		c.close()
	}
}

func (b *balancer) keep(gateway int, c *connection) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.open[gateway][c] = struct{}{}
	b.opened[gateway]++
}

func (b *balancer) forget(gateway int, c *connection) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.open[gateway], c)
}

// PlacedConnections are the connections of a lab's balancer by gateway.
type PlacedConnections struct {
	Open   []int   `json:"open"`
	Opened []int64 `json:"opened"` // since the start
}

// handler serves what Envoy's admin endpoint says of being ready and listening,
// and the balancer's own state.
func (b *balancer) handler(port uint32) http.Handler {
	var none standInStats
	mux := http.NewServeMux()
	mux.Handle("/", none.handler("balancer", port))
	mux.HandleFunc("GET /connections", func(w http.ResponseWriter, _ *http.Request) {
		b.mu.Lock()
		placed := PlacedConnections{Opened: slices.Clone(b.opened)}
		for _, open := range b.open {
			placed.Open = append(placed.Open, len(open))
		}
		b.mu.Unlock()
		writeJSON(w, placed)
	})
	mux.HandleFunc("POST /use", func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		if err := b.choose(query.Get("gateways"), query.Get("drop") == "true"); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
		}
	})
	return mux
}

// choose sets which gateways new connections go to, as numbers with commas. With
// drop, connections of the others end.
func (b *balancer) choose(list string, drop bool) error {
	var use []int
	for text := range strings.SplitSeq(list, ",") {
		i, err := strconv.Atoi(text)
		if err != nil || i < 0 || i >= len(b.config.Gateways) {
			return fmt.Errorf("%q is no gateway: they are 0 to %d", text, len(b.config.Gateways)-1)
		}
		use = append(use, i)
	}
	slices.Sort(use)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.use = slices.Compact(use)
	if !drop {
		return nil
	}
	for i, open := range b.open {
		if slices.Contains(b.use, i) {
			continue
		}
		for c := range open {
			c.close()
		}
	}
	return nil
}
