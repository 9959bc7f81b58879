package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	adminv3 "github.com/envoyproxy/go-control-plane/envoy/admin/v3"
	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/sailplan-io/sailplan/scenarios/lab/process"
)

// pollEvery is how often a starting child is looked at.
const pollEvery = 10 * time.Millisecond

// maxAdminBytes bounds what is read from an admin endpoint here.
const maxAdminBytes = 4 << 20

// proxyArgs are Envoy's. Without hot restart it leaves no shared memory behind
// and needs no base id; the admin address goes to a file because its port is
// the kernel's choice.
func envoyArgs(configFile, addressFile string, concurrency int) []string {
	return []string{
		"--config-path", configFile,
		"--concurrency", strconv.Itoa(concurrency),
		"--disable-hot-restart",
		"--admin-address-path", addressFile,
		"--log-level", "warning",
	}
}

// writeConfig puts a proxy's configuration into the lab's folder. It names the
// files of private keys, so it is as private as they are.
func writeConfig(path string, config *bootstrapv3.Bootstrap) error {
	text, err := marshalConfig(config)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return fmt.Errorf("write the configuration of %s: %w", config.GetNode().GetId(), err)
	}
	return nil
}

// died words the unexpected end of a child.
func died(p *process.Process) error {
	return fmt.Errorf("component died: %s", p.Describe())
}

// poll calls ready every few milliseconds until it reports true, the child
// dies, or ctx ends. ready's error is part of the final one when time runs out.
func poll(ctx context.Context, p *process.Process, what string, ready func() (bool, error)) error {
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for {
		done, err := ready()
		if done {
			return nil
		}
		select {
		case <-p.Exited():
			return died(p)
		case <-ctx.Done():
			text := fmt.Sprintf("wait until %s %s", p.Name(), what)
			if lines := p.Tail(); len(lines) > 0 {
				text += "; its last lines:\n  " + strings.Join(lines, "\n  ") + "\n"
			}
			return fmt.Errorf("%s: %w", text, errors.Join(err, context.Cause(ctx)))
		case <-ticker.C:
		}
	}
}

// awaitAddress waits for the file in which a child tells its host:port.
func awaitAddress(ctx context.Context, p *process.Process, file string) (string, error) {
	var address string
	err := poll(ctx, p, "listens", func() (bool, error) {
		text, err := os.ReadFile(file)
		if err != nil {
			return false, nil // not yet
		}
		address = strings.TrimSpace(string(text))
		return address != "", nil
	})
	return address, err
}

// admin asks the admin endpoint at base for a path.
func admin(ctx context.Context, client *http.Client, base, path string) (status int, body []byte, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, base+path, nil)
	if err != nil {
		return 0, nil, fmt.Errorf("ask %s%s: %w", base, path, err)
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, nil, fmt.Errorf("ask the admin endpoint: %w", err)
	}
	defer response.Body.Close()
	body, err = io.ReadAll(io.LimitReader(response.Body, maxAdminBytes))
	if err != nil {
		return 0, nil, fmt.Errorf("ask %s%s: %w", base, path, err)
	}
	return response.StatusCode, body, nil
}

// listenerPort reads the port of the first listener from the text of
// /listeners?format=json.
func listenerPort(text []byte) (uint32, error) {
	var listeners adminv3.Listeners
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(text, &listeners); err != nil {
		return 0, fmt.Errorf("read the list of listeners: %w", err)
	}
	for _, listener := range listeners.GetListenerStatuses() {
		if port := listener.GetLocalAddress().GetSocketAddress().GetPortValue(); port > 0 && port < 1<<16 {
			return port, nil
		}
	}
	return 0, errors.New("read the list of listeners: none has a port")
}

// proxy is a running gateway or sidecar.
type proxy struct {
	process  *process.Process
	adminURL string
	port     uint32 // of its listener on loopback
}

// startEnvoy starts an Envoy and returns once it serves.
func (l *Lab) startEnvoy(ctx context.Context, name string, config *bootstrapv3.Bootstrap, concurrency int, limits process.Limits) (proxy, error) {
	configFile := filepath.Join(l.owner.Folder(), name+".json")
	addressFile := filepath.Join(l.owner.Folder(), name+".admin")
	if err := writeConfig(configFile, config); err != nil {
		return proxy{}, err
	}
	p, err := l.start(ctx, process.Options{
		Name:   name,
		Path:   l.config.EnvoyPath,
		Args:   envoyArgs(configFile, addressFile, concurrency),
		Limits: limits,
	})
	if err != nil {
		return proxy{}, err
	}
	return l.awaitProxy(ctx, p, addressFile)
}

// awaitProxy waits until a proxy's admin endpoint says that it is ready and
// learns the port of its listener.
func (l *Lab) awaitProxy(ctx context.Context, p *process.Process, addressFile string) (proxy, error) {
	address, err := awaitAddress(ctx, p, addressFile)
	if err != nil {
		return proxy{}, err
	}
	started := proxy{process: p, adminURL: "http://" + address}
	client, done := plainClient()
	defer done()
	err = poll(ctx, p, "is ready", func() (bool, error) {
		status, body, err := admin(ctx, client, started.adminURL, "/ready")
		if err != nil || status == http.StatusOK {
			return err == nil, err
		}
		return false, fmt.Errorf("/ready says %d %s", status, strings.TrimSpace(string(body)))
	})
	if err != nil {
		return proxy{}, err
	}
	_, body, err := admin(ctx, client, started.adminURL, "/listeners?format=json")
	if err != nil {
		return proxy{}, fmt.Errorf("start %s: %w", p.Name(), err)
	}
	if started.port, err = listenerPort(body); err != nil {
		return proxy{}, fmt.Errorf("start %s: %w", p.Name(), err)
	}
	return started, nil
}

// plainClient is an HTTP/1.1 client without proxies and without idle
// connections left behind.
func plainClient() (client *http.Client, done func()) {
	transport := &http.Transport{DisableKeepAlives: true}
	return &http.Client{Transport: transport, Timeout: 5 * time.Second}, transport.CloseIdleConnections
}
