package experiment

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/loadgen/sampler"
	"github.com/sailplan-io/sailplan/scenarios"
	"github.com/sailplan-io/sailplan/scenarios/lab"
	"github.com/sailplan-io/sailplan/scenarios/mesh"
)

// Proxy is the kind of proxy that a lab runs on, decided before the start.
type Proxy struct {
	Kind      string // scenarios.ProxyEnvoy or scenarios.ProxyEmbedded
	EnvoyPath string
}

// system is the system under test: a lab that the run owns, or a target that it
// only talks to.
type system struct {
	endpoint   scenarios.Endpoint
	evidence   record.Evidence
	lab        *record.Lab
	components []record.Component
	targets    []sampler.Target
	notes      []string
	failed     <-chan error // nil for a target
	// enforceCPU lifts the CPU limits or puts them in force again, and says of how many
	// processes; nil for a target.
	enforceCPU func(on bool) (changed int, err error)
	stop       func() error
}

func openSystem(ctx context.Context, options Options) (*system, error) {
	if options.Scenario.Lab != nil {
		return openLab(ctx, options)
	}
	plan, err := scenarios.Resolve(options.Scenario)
	if err != nil {
		return nil, err
	}
	s := &system{endpoint: plan.Endpoint, evidence: record.EvidenceTarget, stop: func() error { return nil }}
	for _, c := range options.Scenario.Observe.Components {
		s.components = append(s.components, record.Component{
			Name: c.Name, Role: c.Role, Replicas: c.Replicas, Concurrency: c.Concurrency,
			CPULimitCores: c.Limits.CPU.Cores(), MemoryLimitBytes: c.Limits.Memory, Requests: c.Requests,
		})
		s.targets = append(s.targets, sampler.Target{
			Component: c.Name, Role: c.Role, PID: c.PID, AdminURL: c.Admin, Queries: c.Prometheus,
		})
	}
	return s, nil
}

// stopTimeout bounds the teardown of a lab, which must also succeed when the
// run's own context has ended.
const stopTimeout = 15 * time.Second

func openLab(ctx context.Context, options Options) (*system, error) {
	policy, described, err := labPolicy(options.Scenario)
	if err != nil {
		return nil, err
	}
	spec := *options.Scenario.Lab
	spec.Proxy = options.Proxy.Kind
	l, err := lab.Start(ctx, lab.Config{
		Lab:       spec,
		Policy:    policy,
		EnvoyPath: options.Proxy.EnvoyPath,
		StateDir:  options.StateDir,
		Self:      options.Self,
		Seed:      options.Scenario.Seed,
		Progress:  options.Observer.Note,
	})
	if err != nil {
		return nil, err
	}
	enforced, whyNot := l.LimitsEnforced()
	s := &system{
		endpoint: l.Endpoint(),
		evidence: record.EvidenceLab,
		lab: &record.Lab{
			Kind: string(l.Kind()), EnvoyVersion: l.EnvoyVersion(), LimitsEnforced: enforced, LimitsWhyNot: strings.Join(whyNot, "; "), Policy: described,
		},
		failed:     l.Failed(),
		enforceCPU: l.EnforceCPU,
		stop: func() error {
			ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
			defer cancel()
			return l.Stop(ctx)
		},
	}
	if l.Kind() == lab.KindEmbedded {
		s.evidence = record.EvidenceEmbedded
	}
	s.describe(l.Members())
	return s, nil
}

// describe lists the lab's members as components and as what the sampler reads.
func (s *system) describe(members []lab.Member) {
	byName := map[string]int{}
	for _, m := range members {
		at, known := byName[m.Component]
		if !known {
			at = len(s.components)
			byName[m.Component] = at
			c := record.Component{Name: m.Component, Role: m.Role, Concurrency: m.Concurrency}
			if m.LimitsBind {
				c.CPULimitCores, c.MemoryLimitBytes = m.Limits.CPU.Cores(), m.Limits.Memory
			}
			s.components = append(s.components, c)
		}
		s.components[at].Replicas++
		s.targets = append(s.targets, sampler.Target{
			Component: m.Component, Role: m.Role, Replica: strconv.Itoa(m.Replica), PID: m.PID,
			Cgroup: sampler.Cgroup(m.Cgroup), AdminURL: m.AdminURL,
			StatPrefix: m.StatPrefix, Cluster: m.Cluster,
		})
	}
}

// labPolicy reads the DestinationRules of the scenario, or the built-in one.
func labPolicy(s scenarios.Scenario) (mesh.Policy, []record.Policy, error) {
	var objects []mesh.Object
	for _, name := range s.PolicyFiles() {
		data, err := os.ReadFile(name)
		if err != nil {
			return mesh.Policy{}, nil, fmt.Errorf("lab.policy: %w", err)
		}
		more, err := mesh.Parse(name, data)
		if err != nil {
			return mesh.Policy{}, nil, fmt.Errorf("lab.policy: %w", err)
		}
		objects = append(objects, more...)
	}
	if len(s.Lab.Policy) == 0 {
		var err error
		if objects, err = mesh.Parse("built-in DestinationRule", mesh.DefaultPolicy()); err != nil {
			return mesh.Policy{}, nil, fmt.Errorf("built-in policy: %w", err)
		}
	}
	// The rule may be about any host; it is put on the lab's service.
	policy, err := mesh.EffectiveFor(objects, "", "", lab.ServicePort)
	if err != nil {
		return mesh.Policy{}, nil, fmt.Errorf("lab.policy: %w", err)
	}
	return policy, describePolicy(policy), nil
}

// ErrDirExists says that the run directory is in use.
var ErrDirExists = errors.New("exists and is not empty: name another with --out, or remove it")

func checkDir(dir string) error {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("run directory: %w", err)
	case len(entries) > 0:
		return fmt.Errorf("run directory %s %w", dir, ErrDirExists)
	}
	return nil
}

// ShowLab starts a lab, writes where its members listen, and keeps it up until
// ctx ends, which is no error, or a component dies.
func ShowLab(ctx context.Context, options Options, w io.Writer) error {
	s, err := openLab(ctx, options)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "load goes to  %s://%s (%s)\n", s.endpoint.Scheme, s.endpoint.Address, s.endpoint.Protocol)
	for _, t := range s.targets {
		fmt.Fprintf(w, "%-8s %-2s  pid %-7d %s\n", t.Component, t.Replica, t.PID, t.AdminURL)
	}
	if !s.lab.LimitsEnforced {
		fmt.Fprintln(w, "limits do not bind:", s.lab.LimitsWhyNot)
	}
	fmt.Fprintln(w, "Ctrl-C ends it")
	select {
	case <-ctx.Done():
	case err = <-s.failed:
	}
	return errors.Join(err, s.stop())
}
