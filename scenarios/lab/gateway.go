package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/sailplan-io/sailplan/scenarios"
)

const balancerName = "balancer"

// startGateways starts all gateways and, before several, the balancer.
func (l *Lab) startGateways(ctx context.Context, ca *authority, sidecars []uint32) error {
	spec := l.config.Lab.Gateway
	config := proxyConfig{Upstreams: sidecars, Policy: l.config.Policy, CAFile: ca.caFile, Concurrency: spec.Concurrency, Direct: l.config.Bench.Direct, HTTP1: l.config.Bench.HTTP1, Retries: l.config.Bench.Retries}
	var err error
	if config.Identity, err = ca.workload(gatewayAccount); err != nil {
		return err
	}
	if spec.TLS {
		public, err := ca.localhost("public")
		if err != nil {
			return err
		}
		config.Public = &public
	}
	replicas := max(1, spec.Replicas)
	l.progress(fmt.Sprintf("starting %d × gateway", replicas))
	ports, members := make([]uint32, replicas), make([]Member, replicas)
	err = inParallel(replicas, func(i int) error {
		own := config
		own.Name = ComponentGateway + "-" + strconv.Itoa(i)
		started, err := l.startProxy(ctx, verbGateway, own, spec.Limits)
		if err != nil {
			return err
		}
		m := member(ComponentGateway, scenarios.RoleGateway, i, started.process, spec.Limits)
		m.AdminURL, m.Concurrency, m.StatPrefix, m.Cluster = started.adminURL, spec.Concurrency, gatewayPrefix, outboundCluster
		ports[i], members[i] = started.port, m
		return nil
	})
	l.members = append(members, l.members...)
	if err != nil {
		return err
	}
	for _, port := range ports {
		if err := l.awaitReplicas(ctx, l.endpointAt(port, ca)); err != nil {
			return err
		}
	}
	if replicas == 1 {
		l.endpoint = l.endpointAt(ports[0], ca)
		return nil
	}
	return l.startBalancer(ctx, ca, ports)
}

// endpointAt is what the load would be sent to if a port were where it goes.
func (l *Lab) endpointAt(port uint32, ca *authority) scenarios.Endpoint {
	digits := strconv.FormatUint(uint64(port), 10)
	address := net.JoinHostPort("127.0.0.1", digits)
	if !l.config.Lab.Gateway.TLS {
		return scenarios.Endpoint{Scheme: "http", Authority: address, Address: address, Protocol: scenarios.ProtocolH2C}
	}
	return scenarios.Endpoint{
		Scheme: "https", Authority: net.JoinHostPort("localhost", digits), Address: address, Protocol: scenarios.ProtocolH2,
		TLS: scenarios.TLS{CAFile: ca.caFile, ServerName: "localhost"},
	}
}

// startBalancer puts a balancer of connections before the gateways. It has no
// limits and is none of the members: it stands for what is outside of the mesh.
func (l *Lab) startBalancer(ctx context.Context, ca *authority, gateways []uint32) error {
	l.progress("starting the balancer")
	addressFile := filepath.Join(l.owner.Folder(), balancerName+".admin")
	p, err := l.startSelf(ctx, balancerName, verbBalancer, balancerConfig{
		AddressFile: addressFile,
		Gateways:    gateways,
		Placement:   l.config.Lab.Gateway.Placement,
		Seed:        l.config.Seed,
	}, scenarios.Limits{})
	if err != nil {
		return err
	}
	started, err := l.awaitProxy(ctx, p, addressFile)
	if err != nil {
		return err
	}
	l.balancerURL, l.endpoint = started.adminURL, l.endpointAt(started.port, ca)
	client, done, err := chainClient(l.endpoint)
	if err != nil {
		return err
	}
	defer done()
	_, err = ask(ctx, client, l.endpoint, int64(l.config.Lab.Service.ResponseBytes))
	return err
}

// errOneGateway is the answer to questions about a balancer where there is none.
var errOneGateway = errors.New("the lab has one gateway, and no balancer before it")

// Placed returns how the balancer has placed connections on the gateways.
func (l *Lab) Placed(ctx context.Context) (PlacedConnections, error) {
	var placed PlacedConnections
	text, err := l.askBalancer(ctx, http.MethodGet, "/connections")
	if err != nil {
		return placed, err
	}
	if err := json.Unmarshal(text, &placed); err != nil {
		return placed, fmt.Errorf("read the balancer's connections: %w", err)
	}
	return placed, nil
}

// UseGateways lets the balancer place new connections on these gateways only:
// what happens when replicas come and go. Connections that are open stay where
// they are, unless drop is set: then those of the other gateways end, as with a
// replica that is lost.
func (l *Lab) UseGateways(ctx context.Context, replicas []int, drop bool) error {
	words := make([]string, len(replicas))
	for i, r := range replicas {
		words[i] = strconv.Itoa(r)
	}
	query := url.Values{"gateways": {strings.Join(words, ",")}, "drop": {strconv.FormatBool(drop)}}
	_, err := l.askBalancer(ctx, http.MethodPost, "/use?"+query.Encode())
	return err
}

func (l *Lab) askBalancer(ctx context.Context, method, path string) ([]byte, error) {
	if l.balancerURL == "" {
		return nil, errOneGateway
	}
	client, done := plainClient()
	defer done()
	request, err := http.NewRequestWithContext(ctx, method, l.balancerURL+path, nil)
	if err != nil {
		return nil, fmt.Errorf("ask the balancer: %w", err)
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("ask the balancer: %w", err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAdminBytes))
	if err != nil {
		return nil, fmt.Errorf("ask the balancer: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("ask the balancer: %s", slices.Collect(strings.Lines(string(text))))
	}
	return text, nil
}
