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

// Resolve completes the scenario with Defaults, validates it with the files that
// it names, and returns what a load session needs.
//
// The Endpoint of a lab scenario stays empty: only the lab knows its address,
// and fills it in once it runs. Phases are those of `run`, a warm-up where
// there is one and the load; there are none when the scenario has no load
// (HasLoad), or when its curve is still to be asked for (NeedsQuery; see
// RunPhases). Bodies are read from their files, so that nothing but credentials
// and rows of the feed is read later. Without a feed, requests are as they are
// sent; with one they are templates. RunID is left to the caller, because it is
// random.
func Resolve(s Scenario) (Plan, error) {
	s = Defaults(s)
	if err := Validate(s); err != nil {
		return Plan{}, err
	}
	files, err := readFiles(s)
	if err != nil {
		return Plan{}, err
	}
	plan := Plan{
		Name:        s.Metadata.Name,
		Connections: s.Connections,
		Requests:    requestsToSend(s, files.bodies),
		Pacing:      s.Load.Pacing,
		Timeout:     s.Load.Timeout,
		Guards:      s.Guards,
		Auth:        s.Auth.within(s.Dir),
		TraceShare:  float64(s.Load.TraceShare),
		Seed:        s.Seed,
	}
	for _, o := range s.Objectives {
		// What batching adds has to stay small against what is judged.
		if slack := o.Latency / 20; o.IsLatency() && (plan.MaxSlack == 0 || slack < plan.MaxSlack) {
			plan.MaxSlack = slack
		}
	}
	plan.Guards.AbortWhen = slices.Clone(s.Guards.AbortWhen)
	if s.Feed != nil {
		plan.Feed = &Feed{File: absolute(s.Dir, s.Feed.File), Order: s.Feed.Order}
	}
	if s.Target != nil {
		if plan.Endpoint, err = s.Target.endpoint(s.Dir); err != nil {
			return Plan{}, fmt.Errorf("resolving the target of scenario %s: %w", s.Metadata.Name, err)
		}
		for i, other := range s.Target.Also {
			endpoint, err := s.Target.other(other).endpoint(s.Dir)
			if err != nil {
				return Plan{}, fmt.Errorf("resolving target.also[%d] of scenario %s: %w", i, s.Metadata.Name, err)
			}
			endpoint.Weight = other.Weight
			plan.Endpoint.Also = append(plan.Endpoint.Also, endpoint)
		}
	}
	if !s.NeedsQuery() {
		if plan.Phases, err = RunPhases(s, files.replay); err != nil {
			return Plan{}, fmt.Errorf("scenario %s: %w", s.Metadata.Name, err)
		}
	}
	return plan, nil
}

// requestsToSend copies the requests: header names in lower case as HTTP/2 wants
// them, the bodies that were read from files (by the index of their request), and
// method and path of gRPC calls.
func requestsToSend(s Scenario, bodies map[int]string) []Request {
	out := slices.Clone(s.Requests)
	text := literally
	if s.Feed != nil {
		text = func(template string) string { return template }
	}
	for i, r := range s.Requests {
		out[i].Path, out[i].Body = text(r.Path), text(r.Body)
		if body, fromFile := bodies[i]; fromFile {
			out[i].Body, out[i].BodyFile = body, ""
		}
		if r.GRPC != nil {
			out[i].Method, out[i].Path = "POST", "/"+r.GRPC.Method
			out[i].GRPC = &Call{Method: r.GRPC.Method, Message: text(r.GRPC.Message), DescriptorSet: absolute(s.Dir, r.GRPC.DescriptorSet)}
		}
		if r.Headers == nil {
			continue
		}
		out[i].Headers = make(map[string]string, len(r.Headers))
		for name, value := range maps.All(r.Headers) {
			out[i].Headers[strings.ToLower(name)] = text(value)
		}
	}
	return out
}

// within returns a copy whose file names, and whose command when it is one, are
// as seen from anywhere.
func (a *Auth) within(dir string) *Auth {
	if a = a.clone(); a == nil {
		return nil
	}
	a.TokenFile = absolute(dir, a.TokenFile)
	if len(a.Exec) > 0 && strings.Contains(a.Exec[0], "/") {
		a.Exec[0] = absolute(dir, a.Exec[0])
	}
	if a.OAuth2 != nil {
		a.OAuth2.ClientSecretFile = absolute(dir, a.OAuth2.ClientSecretFile)
	}
	return a
}

// other is a further target as if it were alone.
func (t Target) other(o OtherTarget) Target {
	t.URL, t.ConnectTo, t.Also = o.URL, o.ConnectTo, nil
	return t
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

// absolute returns a file name as seen from anywhere; empty stays empty.
func absolute(dir, file string) string {
	if file == "" {
		return ""
	}
	name := within(dir, file)
	if whole, err := filepath.Abs(name); err == nil {
		return whole
	}
	return name // the working directory is gone; the name is good as long as it is there
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
