package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/sailplan-io/sailplan/scenarios"
	"github.com/sailplan-io/sailplan/scenarios/lab/process"
	"github.com/sailplan-io/sailplan/scenarios/mesh"
)

// startTime bounds how long a lab may take to be ready, besides what the
// service takes to answer.
const startTime = 60 * time.Second

// Kind says what the proxies of a lab are.
type Kind string

// The kinds of lab.
const (
	KindEnvoy    Kind = "envoy"
	KindEmbedded Kind = "embedded"
)

// Names of the lab's components.
const (
	ComponentGateway = "gateway"
	ComponentSidecar = "sidecar"
	ComponentService = "service"
)

// Config says which lab to start.
type Config struct {
	Lab    scenarios.Lab // resolved: no defaults are added here
	Policy mesh.Policy   // for the service, as the gateway's and the sidecars' Envoys apply it
	// EnvoyPath is the Envoy to use. Empty: the embedded stand-in, unless
	// Lab.Proxy asks for Envoy, which is an error then.
	EnvoyPath string
	// StateDir is where the lab registers itself and keeps its files; leftovers
	// of labs whose owner is gone are removed from there by Start.
	StateDir string
	// Self is the command line, to be completed by arguments, by which the
	// program reaches Child.
	Self []string
	Seed uint64 // of the service's delays
	// Bench alters the lab for trials of the policy; the zero Bench does not.
	Bench Bench
	// Progress, when not nil, is told in words what is being done.
	Progress func(text string) `json:"-"`
}

// Bench is what a trial of a policy needs to be different from a mesh, so that one
// mechanism shows at a time. All but Faults needs real Envoys.
type Bench struct {
	Faults  bool         // the services take faults, see Lab.SetFault
	Direct  bool         // no sidecars: the gateways speak to the services, in cleartext
	HTTP1   bool         // proxies speak HTTP/1.1 to what is behind them, instead of HTTP/2; needs Faults
	Inbound *mesh.Policy // of the sidecars; nil: Config.Policy, as in Istio
	Retries *Retries     // of the gateways' route; nil: Istio's default
}

// Retries are what a VirtualService says of them.
type Retries struct {
	Attempts uint32        // beside the first one; 0: none
	On       string        // conditions and statuses, as a VirtualService has them
	PerTry   time.Duration // of each attempt; 0: none
	Timeout  time.Duration // of all of them together; 0: none
}

// Member is one process of a running lab.
type Member struct {
	Component   string // gateway, sidecar or service
	Role        scenarios.Role
	Replica     int // from 0; a sidecar has the number of its service
	PID         int
	Cgroup      process.Cgroup // zero when it has none of its own
	Concurrency int            // proxy worker threads; 0 for a service
	Limits      scenarios.Limits
	LimitsBind  bool   // false: some of Limits could not be enforced on this member
	AdminURL    string // base URL, http; empty for a service
	StatPrefix  string // its HTTP statistics are http.<StatPrefix>.downstream_…; empty for a service
	Cluster     string // its upstream's statistics are cluster.<Cluster>.…; empty for a service
}

// Lab is a running lab.
type Lab struct {
	config       Config
	kind         Kind
	envoyVersion string
	owner        *process.Owner
	endpoint     scenarios.Endpoint
	balancerURL  string // its admin endpoint; empty: one gateway
	members      []Member
	controls     []string // by replica: host:port at which the service takes faults

	failed   chan error    // size 1: the first component that died
	stopping chan struct{} // closed by Stop
	watchers sync.WaitGroup
	stop     sync.Once
	stopErr  error
}

// Start starts a lab and returns once a real request has been answered through
// the whole chain by every replica of the service. On an error nothing is left
// behind. Stop must be called.
func Start(ctx context.Context, config Config) (*Lab, error) {
	kind, err := chooseKind(config)
	if err != nil {
		return nil, err
	}
	if err := checkConfig(config); err != nil {
		return nil, err
	}
	if config.Bench != (Bench{Faults: config.Bench.Faults}) && kind != KindEnvoy {
		return nil, errors.New("start the lab: trials of a policy need real Envoys")
	}
	l := &Lab{config: config, kind: kind, failed: make(chan error, 1), stopping: make(chan struct{})}
	l.sweep(ctx)
	l.owner, err = process.NewOwner(process.Config{StateDir: config.StateDir, Self: config.Self})
	if err != nil {
		return nil, fmt.Errorf("start the lab: %w", err)
	}
	limit := startTime + 4*config.Lab.Service.Latency.P99
	starting, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("the lab was not ready within %s", limit))
	defer cancel()
	if err := l.build(starting); err != nil {
		// Its own time: the lab must be gone also when ctx has ended.
		return nil, errors.Join(fmt.Errorf("start the lab: %w", err), l.Stop(context.WithoutCancel(ctx)))
	}
	return l, nil
}

func chooseKind(config Config) (Kind, error) {
	switch config.Lab.Proxy {
	case scenarios.ProxyEmbedded:
		return KindEmbedded, nil
	case scenarios.ProxyEnvoy:
		if config.EnvoyPath == "" {
			return "", errors.New("start the lab: it asks for Envoy, and there is none")
		}
		return KindEnvoy, nil
	case scenarios.ProxyAuto, "":
		if config.EnvoyPath == "" {
			return KindEmbedded, nil
		}
		return KindEnvoy, nil
	}
	return "", fmt.Errorf("start the lab: unknown proxy %q", config.Lab.Proxy)
}

func checkConfig(config Config) error {
	switch {
	case len(config.Self) == 0:
		return errors.New("start the lab: no command line for its children")
	case config.StateDir == "":
		return errors.New("start the lab: no state folder")
	case config.Lab.Service.Replicas < 1:
		return fmt.Errorf("start the lab: %d service replicas", config.Lab.Service.Replicas)
	case config.Lab.Gateway.Concurrency < 1 || config.Lab.Sidecar.Concurrency < 1:
		return errors.New("start the lab: a proxy needs a concurrency of at least 1")
	case config.Bench.HTTP1 && !config.Bench.Faults:
		return errors.New("start the lab: only a service that takes faults speaks HTTP/1.1")
	}
	return nil
}

// Endpoint returns where the load goes. Its CA file lives as long as the lab.
func (l *Lab) Endpoint() scenarios.Endpoint { return l.endpoint }

// Kind returns what the proxies are.
func (l *Lab) Kind() Kind { return l.kind }

// EnvoyVersion returns the version of the Envoy in use; empty for the stand-in.
func (l *Lab) EnvoyVersion() string { return l.envoyVersion }

// LimitsEnforced reports whether every CPU and memory limit that was asked for
// binds, and if not, why.
func (l *Lab) LimitsEnforced() (enforced bool, whyNot []string) {
	whyNot = l.owner.WhyNoLimits()
	return len(whyNot) == 0, whyNot
}

// Members returns the lab's processes: gateways, then sidecars, then services,
// each by replica. The balancer before several gateways is not among them.
func (l *Lab) Members() []Member { return slices.Clone(l.members) }

// EnforceCPU puts the CPU limits of all members in force again, or lifts them. Memory
// limits stay. Members whose limits never bound are left alone; changed is how many
// were not.
func (l *Lab) EnforceCPU(on bool) (changed int, err error) {
	for _, m := range l.members {
		if m.Limits.CPU <= 0 || !m.LimitsBind {
			continue
		}
		milli := int64(0)
		if on {
			milli = int64(m.Limits.CPU)
		}
		if err := m.Cgroup.LimitCPU(milli); err != nil {
			return changed, fmt.Errorf("CPU limit of %s %d: %w", m.Component, m.Replica, err)
		}
		changed++
	}
	return changed, nil
}

// Failed receives an error when a component dies without having been told to:
// its name, how it ended, the last lines of its log. At most one is sent; the
// channel is never closed.
func (l *Lab) Failed() <-chan error { return l.failed }

// Stop ends all processes and removes the lab's cgroups and files. Safe to call
// more than once. When ctx ends first, what is left is killed without grace.
func (l *Lab) Stop(ctx context.Context) error {
	l.stop.Do(func() {
		close(l.stopping)
		if err := l.owner.Close(ctx); err != nil {
			l.stopErr = fmt.Errorf("stop the lab: %w", err)
		}
		l.watchers.Wait()
	})
	return l.stopErr
}

// sweep removes what labs before this one have left behind.
func (l *Lab) sweep(ctx context.Context) {
	swept, err := process.Sweep(ctx, l.config.StateDir)
	if err != nil {
		l.progress("leftovers of an earlier lab could not be removed: " + err.Error())
	}
	if swept.Owners > 0 {
		text := fmt.Sprintf("removed what %d earlier lab runs that did not end by themselves left, and %d of their processes", swept.Owners, swept.Processes)
		if swept.Damaged > 0 {
			text += fmt.Sprintf("; the record of %d of them was damaged", swept.Damaged)
		}
		l.progress(text)
	}
}

func (l *Lab) progress(text string) {
	if l.config.Progress != nil {
		l.config.Progress(text)
	}
}

// start starts a child and watches it.
func (l *Lab) start(ctx context.Context, options process.Options) (*process.Process, error) {
	p, err := l.owner.Start(ctx, options)
	if err != nil {
		return nil, err
	}
	l.watchers.Go(func() {
		select {
		case <-l.stopping:
			return
		case <-p.Exited():
		}
		select {
		case <-l.stopping:
		default:
			select {
			case l.failed <- died(p):
			default: // one is enough
			}
		}
	})
	return p, nil
}

// build starts everything from the service outwards, since each proxy must
// know the ports behind it.
func (l *Lab) build(ctx context.Context) error {
	if l.kind == KindEnvoy {
		var err error
		if l.envoyVersion, err = EnvoyVersion(ctx, l.config.EnvoyPath); err != nil {
			return err
		}
	}
	ca, err := newAuthority(l.owner.Folder(), time.Now())
	if err != nil {
		return err
	}
	services, err := l.startServices(ctx)
	if err != nil {
		return err
	}
	if l.config.Bench.Direct {
		return l.startGateways(ctx, ca, services)
	}
	sidecars, err := l.startSidecars(ctx, ca, services)
	if err != nil {
		return err
	}
	return l.startGateways(ctx, ca, sidecars)
}

// inParallel runs f for 0 … n-1 at once and joins the errors.
func inParallel(n int, f func(i int) error) error {
	errs := make([]error, n)
	var running sync.WaitGroup
	for i := range n {
		running.Go(func() { errs[i] = f(i) })
	}
	running.Wait()
	return errors.Join(errs...)
}

// childLimits converts a scenario's limits.
func childLimits(limits scenarios.Limits) process.Limits {
	return process.Limits{CPUMilli: int64(limits.CPU), MemoryBytes: int64(limits.Memory)}
}

// startSelf starts a child that is this program: verb and the file with its
// configuration as JSON.
func (l *Lab) startSelf(ctx context.Context, name, verb string, config any, limits scenarios.Limits) (*process.Process, error) {
	text, err := json.Marshal(config)
	if err != nil {
		return nil, fmt.Errorf("configure %s: %w", name, err)
	}
	file := filepath.Join(l.owner.Folder(), name+".json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return nil, fmt.Errorf("configure %s: %w", name, err)
	}
	self := l.config.Self
	return l.start(ctx, process.Options{
		Name:   name,
		Path:   self[0],
		Args:   append(slices.Clone(self[1:]), verb, file),
		Limits: childLimits(limits),
	})
}

func (l *Lab) startServices(ctx context.Context) (ports []uint32, err error) {
	spec := l.config.Lab.Service
	l.progress(fmt.Sprintf("starting %d × test service", spec.Replicas))
	ports = make([]uint32, spec.Replicas)
	members := make([]Member, spec.Replicas)
	controls := make([]string, spec.Replicas)
	err = inParallel(spec.Replicas, func(i int) error {
		name := ComponentService + "-" + strconv.Itoa(i)
		addressFile, controlFile := filepath.Join(l.owner.Folder(), name+".address"), ""
		if l.config.Bench.Faults {
			controlFile = filepath.Join(l.owner.Folder(), name+".control")
		}
		p, err := l.startSelf(ctx, name, verbService, ServiceConfig{
			AddressFile:   addressFile,
			ControlFile:   controlFile,
			Replica:       i,
			Latency:       spec.Latency,
			ResponseBytes: spec.ResponseBytes,
			Seed:          l.config.Seed,
			Threads:       threads(spec.Limits.CPU),
		}, spec.Limits)
		if err != nil {
			return err
		}
		address, err := awaitAddress(ctx, p, addressFile)
		if err != nil {
			return err
		}
		if ports[i], err = portOf(address); err != nil {
			return fmt.Errorf("start %s: %w", name, err)
		}
		members[i] = member(ComponentService, scenarios.RoleService, i, p, spec.Limits)
		if controlFile != "" {
			controls[i], err = awaitAddress(ctx, p, controlFile)
		}
		return err
	})
	l.members = append(l.members, members...)
	if l.config.Bench.Faults {
		l.controls = controls
	}
	return ports, err
}

// threads is how many threads a service may keep busy: one is enough for far
// more than any lab offers, and costs least; a larger CPU limit means more.
func threads(limit scenarios.CPU) int { return max(1, int((limit+999)/1000)) }

func portOf(address string) (uint32, error) {
	_, text, err := net.SplitHostPort(address)
	if err != nil {
		return 0, fmt.Errorf("address %q: %w", address, err)
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return 0, fmt.Errorf("address %q: %w", address, err)
	}
	return uint32(port), nil
}

func member(component string, role scenarios.Role, replica int, p *process.Process, limits scenarios.Limits) Member {
	group, _ := p.Cgroup()
	return Member{
		Component: component, Role: role, Replica: replica, PID: p.PID(), Cgroup: group,
		Limits: limits, LimitsBind: p.LimitsBind(),
	}
}

// startSidecars starts one proxy per service replica, as each pod has its own.
func (l *Lab) startSidecars(ctx context.Context, ca *authority, services []uint32) (ports []uint32, err error) {
	spec := l.config.Lab.Sidecar
	inbound := l.config.Policy
	if l.config.Bench.Inbound != nil {
		inbound = *l.config.Bench.Inbound
	}
	identity, err := ca.workload(serviceAccount)
	if err != nil {
		return nil, err
	}
	l.progress(fmt.Sprintf("starting %d × sidecar", len(services)))
	ports = make([]uint32, len(services))
	members := make([]Member, len(services))
	err = inParallel(len(services), func(i int) error {
		started, err := l.startProxy(ctx, verbSidecar, proxyConfig{
			Name:        ComponentSidecar + "-" + strconv.Itoa(i),
			Upstreams:   services[i : i+1],
			Policy:      inbound,
			HTTP1:       l.config.Bench.HTTP1,
			CAFile:      ca.caFile,
			Identity:    identity,
			Concurrency: spec.Concurrency,
		}, spec.Limits)
		if err != nil {
			return err
		}
		ports[i] = started.port
		m := member(ComponentSidecar, scenarios.RoleSidecar, i, started.process, spec.Limits)
		m.AdminURL, m.Concurrency, m.StatPrefix, m.Cluster = started.adminURL, spec.Concurrency, sidecarPrefix, inboundCluster
		members[i] = m
		return nil
	})
	l.members = append(members, l.members...)
	return ports, err
}

// startProxy starts an Envoy or the stand-in for one.
func (l *Lab) startProxy(ctx context.Context, verb string, config proxyConfig, limits scenarios.Limits) (proxy, error) {
	if l.kind == KindEmbedded {
		return l.startStandIn(ctx, verb, config, limits)
	}
	build := sidecarBootstrap
	if verb == verbGateway {
		build = gatewayBootstrap
	}
	bootstrap, err := build(config)
	if err != nil {
		return proxy{}, err
	}
	return l.startEnvoy(ctx, config.Name, bootstrap, config.Concurrency, childLimits(limits))
}
