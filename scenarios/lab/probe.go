package lab

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/sailplan-io/sailplan/scenarios"
)

// awaitReplicas sends requests through the whole chain behind an endpoint until
// every replica of the service has answered one: rounds of a few at once, since an answer may
// take as long as the service's latency says.
func (l *Lab) awaitReplicas(ctx context.Context, endpoint scenarios.Endpoint) error {
	l.progress("waiting for an answer through the whole chain")
	client, done, err := chainClient(endpoint)
	if err != nil {
		return err
	}
	defer done()
	service := l.config.Lab.Service
	missing := make(map[string]bool)
	for i := range service.Replicas {
		missing[strconv.Itoa(i)] = true
	}
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for {
		backends := make([]string, 2*service.Replicas)
		err := inParallel(len(backends), func(i int) (err error) {
			backends[i], err = ask(ctx, client, endpoint, int64(service.ResponseBytes))
			return err
		})
		for _, backend := range backends {
			delete(missing, backend)
		}
		if len(missing) == 0 {
			return nil
		}
		select {
		case failure := <-l.failed:
			return failure
		case <-ctx.Done():
			return fmt.Errorf("%d of %d service replicas did not answer through the gateway: %w",
				len(missing), service.Replicas, errors.Join(err, context.Cause(ctx)))
		case <-ticker.C:
		}
	}
}

// chainClient speaks HTTP/2 to the endpoint over one connection.
func chainClient(endpoint scenarios.Endpoint) (client *http.Client, done func(), err error) {
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(endpoint.Protocol == scenarios.ProtocolH2C)
	transport.Protocols.SetHTTP2(endpoint.Protocol == scenarios.ProtocolH2)
	if endpoint.TLS.CAFile != "" {
		pool, err := certPool(endpoint.TLS.CAFile)
		if err != nil {
			return nil, nil, err
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: pool, ServerName: endpoint.TLS.ServerName, MinVersion: tls.VersionTLS12}
	}
	return &http.Client{Transport: transport}, transport.CloseIdleConnections, nil
}

func certPool(caFile string) (*x509.CertPool, error) {
	text, err := os.ReadFile(caFile)
	if err != nil {
		return nil, fmt.Errorf("read the CA certificate: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("read the CA certificate %s: no certificate in it", caFile)
	}
	return pool, nil
}

// ask sends one request and returns which replica answered it well.
func ask(ctx context.Context, client *http.Client, endpoint scenarios.Endpoint, wantBytes int64) (backend string, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, endpoint.Scheme+"://"+endpoint.Address+"/", nil)
	if err != nil {
		return "", fmt.Errorf("ask through the gateway: %w", err)
	}
	request.Host = endpoint.Authority
	response, err := client.Do(request)
	if err != nil {
		return "", fmt.Errorf("ask through the gateway: %w", err)
	}
	defer response.Body.Close()
	got, err := io.Copy(io.Discard, response.Body)
	if err != nil {
		return "", fmt.Errorf("ask through the gateway: %w", err)
	}
	if response.StatusCode != http.StatusOK || got != wantBytes {
		return "", fmt.Errorf("ask through the gateway: status %d with %d bytes, want 200 with %d", response.StatusCode, got, wantBytes)
	}
	return response.Header.Get(BackendHeader), nil
}
