package lab

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sailplan-io/sailplan/scenarios"
	"github.com/sailplan-io/sailplan/scenarios/mesh"
)

// standInConfig is what a stand-in proxy is told.
type standInConfig struct {
	AddressFile string // host:port of the admin endpoint is written here
	Proxy       proxyConfig
}

// startStandIn starts a child of this program in an Envoy's place.
func (l *Lab) startStandIn(ctx context.Context, verb string, config proxyConfig, limits scenarios.Limits) (proxy, error) {
	addressFile := filepath.Join(l.owner.Folder(), config.Name+".admin")
	p, err := l.startSelf(ctx, config.Name, verb, standInConfig{AddressFile: addressFile, Proxy: config}, limits)
	if err != nil {
		return proxy{}, err
	}
	return l.awaitProxy(ctx, p, addressFile)
}

// Envoy's words for what it refuses itself.
const (
	overflowText   = "upstream connect error or disconnect/reset before headers. reset reason: overflow"
	connectionText = "upstream connect error or disconnect/reset before headers. reset reason: connection failure"
)

// standInProxy forwards requests as the lab's Envoys do, as far as the model
// of a proxy needs it: least request over the upstreams, mutual TLS, and the
// limit on active requests.
type standInProxy struct {
	stats       standInStats
	maxRequests int64
	upstreams   []*upstream
	pick        func(n int) int // uniform in [0, n)
}

// upstream is one endpoint with connections of its own.
type upstream struct {
	active  atomic.Int64
	forward *httputil.ReverseProxy
}

// standIn runs a gateway or a sidecar until ctx ends.
func standIn(ctx context.Context, verb string, config standInConfig, stderr io.Writer) error {
	logger := log.New(stderr, "", 0)
	p := &standInProxy{
		maxRequests: int64(config.Proxy.Policy.ConnectionPool.HTTP.MaxRequests.Value),
		pick:        rand.IntN,
	}
	p.stats.concurrency = config.Proxy.Concurrency
	var upstreamTLS, serverTLS *tls.Config
	var err error
	if verb == verbGateway {
		p.stats.prefix, p.stats.cluster = gatewayPrefix, outboundCluster
		upstreamTLS, err = meshClientTLS(config.Proxy.CAFile, config.Proxy.Identity, spiffeID(serviceAccount))
		if public := config.Proxy.Public; err == nil && public != nil {
			var certificate tls.Certificate
			certificate, err = tls.LoadX509KeyPair(public.CertFile, public.KeyFile)
			serverTLS = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
		}
	} else {
		p.stats.prefix, p.stats.cluster = sidecarPrefix, inboundCluster
		serverTLS, err = meshServerTLS(config.Proxy.CAFile, config.Proxy.Identity)
	}
	if err != nil {
		return fmt.Errorf("stand-in %s: %w", verb, err)
	}
	for _, port := range config.Proxy.Upstreams {
		u, closeIdle := p.newUpstream(port, upstreamTLS, config.Proxy.Policy.ConnectionPool, logger)
		defer closeIdle()
		p.upstreams = append(p.upstreams, u)
	}
	return p.serve(ctx, verb, config.AddressFile, serverTLS, logger)
}

// serve runs the proxy's listener and its admin endpoint.
func (p *standInProxy) serve(ctx context.Context, name, addressFile string, serverTLS *tls.Config, logger *log.Logger) error {
	listen := func() (net.Listener, error) { return (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0") }
	listener, err := listen()
	if err != nil {
		return fmt.Errorf("stand-in %s: %w", name, err)
	}
	adminListener, err := listen()
	if err != nil {
		return fmt.Errorf("stand-in %s: %w", name, errors.Join(err, listener.Close()))
	}
	port, err := portOf(listener.Addr().String())
	if err != nil {
		return fmt.Errorf("stand-in %s: %w", name, err)
	}
	server := &http.Server{
		Handler:   p,
		TLSConfig: serverTLS,
		Protocols: new(http.Protocols),
		HTTP2:     &http.HTTP2Config{MaxConcurrentStreams: maxStreams},
		ConnState: p.stats.connState,
		ErrorLog:  logger,
	}
	server.Protocols.SetHTTP2(serverTLS != nil)
	server.Protocols.SetUnencryptedHTTP2(serverTLS == nil)
	adminServer := &http.Server{Handler: p.stats.handler(name, port), ErrorLog: logger, ReadHeaderTimeout: 10 * time.Second}

	var serving sync.WaitGroup
	ended := make(chan error, 2)
	serving.Go(func() {
		if serverTLS != nil {
			ended <- server.ServeTLS(listener, "", "")
			return
		}
		ended <- server.Serve(listener)
	})
	serving.Go(func() { ended <- adminServer.Serve(adminListener) })
	err = writeAddress(addressFile, adminListener.Addr().String())
	if err == nil {
		select {
		case <-ctx.Done():
		case err = <-ended:
		}
	}
	draining, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancel()
	if server.Shutdown(draining) != nil {
		_ = server.Close()
	}
	_ = adminServer.Close()
	serving.Wait()
	if err != nil {
		return fmt.Errorf("stand-in %s: %w", name, err)
	}
	return nil
}

func (p *standInProxy) newUpstream(port uint32, tlsConfig *tls.Config, pool mesh.ConnectionPool, logger *log.Logger) (u *upstream, closeIdle func()) {
	transport := &http.Transport{
		Protocols:          new(http.Protocols),
		TLSClientConfig:    tlsConfig,
		DialContext:        p.dialer(pool.TCP.ConnectTimeout.Value),
		IdleConnTimeout:    pool.HTTP.IdleTimeout.Value,
		DisableCompression: true,
	}
	target := &url.URL{Scheme: "http", Host: net.JoinHostPort("127.0.0.1", strconv.FormatUint(uint64(port), 10))}
	if tlsConfig != nil {
		target.Scheme = "https"
		transport.Protocols.SetHTTP2(true)
	} else {
		transport.Protocols.SetUnencryptedHTTP2(true)
	}
	return &upstream{forward: &httputil.ReverseProxy{
		Transport:  transport,
		BufferPool: &bufferPool{},
		ErrorLog:   logger,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = target.Scheme, target.Host
			r.Out.Host = r.In.Host
		},
		ModifyResponse: func(r *http.Response) error {
			p.stats.upstreamClass(r.StatusCode)
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, _ error) {
			if r.Context().Err() == nil {
				p.refuse(w, connectionText)
			}
		},
	}}, transport.CloseIdleConnections
}

// dialer opens counted connections.
func (p *standInProxy) dialer(timeout time.Duration) func(ctx context.Context, network, address string) (net.Conn, error) {
	dialer := &net.Dialer{Timeout: timeout}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		nc, err := dialer.DialContext(ctx, network, address)
		if err != nil {
			p.stats.upstreamConnectFail.Add(1)
			return nil, err //nolint:wrapcheck // the transport words it
		}
		p.stats.upstreamConnections.Add(1)
		p.stats.upstreamConnectionsTotal.Add(1)
		return &countedConn{Conn: nc, closed: func() { p.stats.upstreamConnections.Add(-1) }}, nil
	}
}

type countedConn struct {
	net.Conn
	once   sync.Once
	closed func()
}

func (c *countedConn) Close() error {
	c.once.Do(c.closed)
	return c.Conn.Close()
}

// ServeHTTP forwards one request.
func (p *standInProxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.stats.downstreamActive.Add(1)
	p.stats.downstreamTotal.Add(1)
	defer p.stats.downstreamActive.Add(-1)
	if p.stats.upstreamActive.Add(1) > p.maxRequests {
		p.stats.upstreamActive.Add(-1)
		p.stats.upstreamOverflow.Add(1)
		w.Header().Set("x-envoy-overloaded", "true")
		p.refuse(w, overflowText)
		return
	}
	defer p.stats.upstreamActive.Add(-1)
	p.stats.upstreamTotal.Add(1)
	u := p.choose()
	u.active.Add(1)
	defer u.active.Add(-1)
	u.forward.ServeHTTP(&classWriter{ResponseWriter: w, stats: &p.stats}, r)
}

// choose takes the less busy of two upstreams picked at random, as Envoy's
// least request does where weights are equal.
func (p *standInProxy) choose() *upstream {
	if len(p.upstreams) == 1 {
		return p.upstreams[0]
	}
	a, b := p.upstreams[p.pick(len(p.upstreams))], p.upstreams[p.pick(len(p.upstreams))]
	if b.active.Load() < a.active.Load() {
		return b
	}
	return a
}

// refuse answers in the upstream's place.
func (p *standInProxy) refuse(w http.ResponseWriter, text string) {
	header := w.Header()
	header.Set("Content-Type", "text/plain")
	header.Set("Content-Length", strconv.Itoa(len(text)))
	header.Set("Server", "istio-envoy")
	if _, counted := w.(*classWriter); !counted {
		p.stats.downstreamClass(http.StatusServiceUnavailable)
	}
	w.WriteHeader(http.StatusServiceUnavailable)
	_, _ = io.WriteString(w, text) // the caller may have gone
}

// classWriter counts the status that goes downstream.
type classWriter struct {
	http.ResponseWriter
	stats *standInStats
}

func (w *classWriter) WriteHeader(status int) {
	if status >= 200 {
		w.stats.downstreamClass(status)
	}
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController reach what it needs.
func (w *classWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// bufferPool saves an allocation per answer.
type bufferPool struct{ pool sync.Pool }

const copyBytes = 16 << 10

func (b *bufferPool) Get() []byte {
	if buffer, ok := b.pool.Get().(*[copyBytes]byte); ok {
		return buffer[:]
	}
	return make([]byte, copyBytes)
}

func (b *bufferPool) Put(buffer []byte) {
	if len(buffer) == copyBytes {
		b.pool.Put((*[copyBytes]byte)(buffer))
	}
}
