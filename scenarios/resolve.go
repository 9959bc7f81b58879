package scenarios

import (
	"fmt"
	"maps"
	"math"
	"net"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
)

// Resolve completes the scenario with Defaults, validates it, and returns what a
// load session needs.
//
// The Endpoint of a lab scenario stays empty: only the lab knows its address,
// and fills it in once it runs. Phases are those of `run`, a warm-up where
// there is one and the load; there are none when the scenario names neither a
// rate nor closed arrivals. RunID is left to the caller, because it is random.
func Resolve(s Scenario) (Plan, error) {
	s = Defaults(s)
	if err := Validate(s); err != nil {
		return Plan{}, err
	}
	plan := Plan{
		Name:        s.Metadata.Name,
		Connections: s.Connections,
		Requests:    requestsToSend(s.Requests),
		Pacing:      s.Load.Pacing,
		Timeout:     s.Load.Timeout,
		Guards:      s.Guards,
		Seed:        s.Seed,
		Phases:      runPhases(s),
	}
	plan.Guards.AbortWhen = slices.Clone(s.Guards.AbortWhen)
	if s.Target != nil {
		endpoint, err := s.Target.endpoint(s.Dir)
		if err != nil {
			return Plan{}, fmt.Errorf("resolving the target of scenario %s: %w", s.Metadata.Name, err)
		}
		plan.Endpoint = endpoint
	}
	return plan, nil
}

// requestsToSend copies the requests, header names in lower case as HTTP/2 wants
// them.
func requestsToSend(requests []Request) []Request {
	out := slices.Clone(requests)
	for i, r := range requests {
		if r.Headers == nil {
			continue
		}
		out[i].Headers = make(map[string]string, len(r.Headers))
		for name, value := range maps.All(r.Headers) {
			out[i].Headers[strings.ToLower(name)] = value
		}
	}
	return out
}

func runPhases(s Scenario) []Phase {
	if s.Load.Rate.IsZero() && s.Load.Arrivals != Closed {
		return nil
	}
	var phases []Phase
	add := func(name string, kind PhaseKind, phase Phase) {
		phase.Name, phase.Kind = name, kind
		phase.Process, phase.Rate = s.Load.Arrivals, s.Load.Rate
		phase.Seed = PhaseSeed(s.Seed, len(phases))
		phases = append(phases, phase)
	}
	if s.Load.WarmUp > 0 {
		add("warm-up", KindWarmUp, Phase{Duration: s.Load.WarmUp})
	}
	add("load", KindLoad, Phase{Duration: s.Load.Duration})
	return phases
}

// endpoint returns where the target is and how it is spoken to. File names are
// relative to dir.
func (t Target) endpoint(dir string) (Endpoint, error) {
	u, err := url.Parse(t.URL)
	if err != nil {
		return Endpoint{}, fmt.Errorf("url: %w", err)
	}
	address := t.ConnectTo
	if address == "" {
		address = net.JoinHostPort(u.Hostname(), portOf(u))
	}
	tls := t.TLS
	tls.CAFile, tls.CertFile, tls.KeyFile = within(dir, tls.CAFile), within(dir, tls.CertFile), within(dir, tls.KeyFile)
	if tls.ServerName == "" && u.Scheme == "https" {
		tls.ServerName = u.Hostname()
	}
	protocol := t.Protocol
	if protocol == "" {
		protocol = protocolOf(t.URL)
	}
	return Endpoint{
		Scheme:    u.Scheme,
		Authority: u.Host,
		Path:      strings.TrimRight(u.EscapedPath(), "/"),
		Address:   address,
		Protocol:  protocol,
		TLS:       tls,
	}, nil
}

// protocolOf returns what a URL's scheme implies; empty for an unknown scheme.
func protocolOf(rawURL string) Protocol {
	switch scheme, _, _ := strings.Cut(rawURL, "://"); strings.ToLower(scheme) {
	case "https":
		return ProtocolH2
	case "http":
		return ProtocolH2C
	}
	return ""
}

func portOf(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case u.Scheme == "https":
		return "443"
	}
	return "80"
}

// within returns a file name as seen from where dir is seen from.
func within(dir, file string) string {
	if file == "" || filepath.IsAbs(file) {
		return file
	}
	return filepath.Join(dir, file)
}

// PolicyFiles returns the names of the lab's DestinationRule files as seen from
// the working directory; none means the built-in policy.
func (s Scenario) PolicyFiles() []string {
	if s.Lab == nil {
		return nil
	}
	files := make([]string, 0, len(s.Lab.Policy))
	for _, file := range s.Lab.Policy {
		files = append(files, within(s.Dir, file))
	}
	return files
}

// PhaseSeed derives the seed of the phase with the given index (from 0) from the
// seed of a run, so that phases draw independent numbers and one phase can be
// repeated alone. It is the output of the splitmix64 generator at position
// index + 1. Source: Steele, Lea and Flood, "Fast splittable pseudorandom number
// generators", OOPSLA 2014, figure 17; constants as in Vigna's splitmix64.c.
func PhaseSeed(seed uint64, index int) uint64 {
	const (
		golden = 0x9e3779b97f4a7c15 // 2^64 divided by the golden ratio, odd
		mix1   = 0xbf58476d1ce4e5b9
		mix2   = 0x94d049bb133111eb
	)
	z := seed + golden*(uint64(index)+1)
	z = (z ^ z>>30) * mix1
	z = (z ^ z>>27) * mix2
	return z ^ z>>31
}

// PlannedRate returns the rate to plan for, in arrivals per second:
//
//	peak × (1 + headroom) × (1 + growth)^months
//
// with the peak in arrivals per second and headroom and growth per month as
// shares of one. It is 0 when no peak is given.
func (d Demand) PlannedRate() float64 {
	return d.PeakRate.RPS() * (1 + float64(d.Headroom)) * math.Pow(1+float64(d.GrowthPerMonth), float64(d.HorizonMonths))
}
