package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sailplan-io/sailplan/cmd/internal/experiment"
	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

// runOptions are the flags of run that say what to send. Those that were given
// count before the scenario.
type runOptions struct {
	drive driveOptions

	rate, maxRate        string
	duration, warmUp     time.Duration
	arrivals, pacing     string
	connections, streams int
	protocol, connectTo  string
	method, data         string
	headers, objectives  []string
	timeout              time.Duration
	tls                  scenarios.TLS
	allowMutations       bool
	findMax              bool
}

func (o *runOptions) flags(c *cobra.Command) {
	o.drive.flags(c)
	f := c.Flags()
	f.StringVar(&o.rate, "rate", "", "requests a second, for instance 5000/s, or max: as fast as answers come (default 100/s for a URL)")
	f.DurationVar(&o.duration, "duration", 0, "for how long to send; with --find-max, of one probe (default 10s for a URL)")
	f.DurationVar(&o.warmUp, "warm-up", 0, "sent before what counts, at the same rate")
	f.StringVar(&o.arrivals, "arrivals", "", "poisson, constant, or closed, which is --rate max (default poisson)")
	f.StringVar(&o.pacing, "pacing", "", "economical, or precise: below 100 µs of send lag for the price of a processor (default economical)")
	f.IntVar(&o.connections, "connections", 0, "connections (default 8)")
	f.IntVar(&o.streams, "streams", 0, "requests in flight on a connection at most (default 100; 1 in HTTP/1.1)")
	f.StringVar(&o.protocol, "protocol", "", "h2, h2c, http/1.1 or grpc (default: h2 for https, h2c for http)")
	f.StringVar(&o.connectTo, "connect-to", "", "`HOST:PORT` dialled instead of the URL's")
	f.StringVar(&o.method, "method", "", "method (default GET, or POST with --data)")
	f.StringArrayVarP(&o.headers, "header", "H", nil, "`'Name: value'`, any number of times")
	f.StringVar(&o.data, "data", "", "body, or @FILE")
	f.DurationVar(&o.timeout, "timeout", 0, "of a request, from the instant at which it was due (default 10s)")
	f.StringArrayVar(&o.objectives, "objective", nil, "`CONDITION` such as 'p99<50ms' or 'errors<0.1%', any number of times; missing one is exit code 3")
	f.StringVar(&o.maxRate, "max-rate", "", "never send faster; needed for a target beyond this machine with --find-max")
	f.BoolVar(&o.allowMutations, "allow-mutations", false, "allow methods other than GET, HEAD and OPTIONS beyond this machine")
	f.StringVar(&o.tls.CAFile, "ca", "", "PEM `FILE` of authorities to trust")
	f.StringVar(&o.tls.CertFile, "cert", "", "PEM `FILE` of the client's certificate, with --key")
	f.StringVar(&o.tls.KeyFile, "key", "", "PEM `FILE` of the client's key")
	f.StringVar(&o.tls.ServerName, "server-name", "", "name to send and to verify instead of the URL's host")
	f.BoolVar(&o.tls.Insecure, "insecure", false, "accept any certificate")
	f.BoolVar(&o.findMax, "find-max", false, "look for the highest rate that holds the objectives")
}

func (a *app) runCommand() *cobra.Command {
	var o runOptions
	c := &cobra.Command{
		Use:   "run URL|SCENARIO",
		Short: "Send load and report what came back",
		Long: `run sends load to a URL, or the load that a scenario names, and holds what came
back against the objectives. Latency counts from the instant at which a request
was due, so that no stall hides. It recommends nothing.

With --find-max it looks for the highest rate that holds the objectives instead:
it climbs until one breaks, probes around that place with repeats, and answers
with an interval.

What flags can't say stands in a scenario: a mix of requests, feeds, credentials,
checks, shapes of the rate, gRPC. 'sailplan scenario init' writes one that explains
every key.

Flags count before the scenario. It leaves a run directory with report.html,
report.md and result.json.

Exit codes: 0 objectives hold; 1 could not be done; 2 wrong use; 3 an objective
was missed; 4 measurement not valid; 5 a guard stopped the load; 130 and 143
interrupted and terminated.`,
		Example: `  sailplan run http://127.0.0.1:8080/products --rate 5000/s --duration 30s
  sailplan run https://127.0.0.1:8443/ --rate max --connections 8 --streams 32
  sailplan run https://127.0.0.1:8443/ --find-max --objective 'p99<20ms'
  sailplan run checkout.yaml --rate 800/s --json - --quiet
  sailplan run checkout.yaml --listen 127.0.0.1:9464`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, given []string) error { return a.run(c, o, given[0]) },
	}
	o.flags(c)
	return c
}

func (a *app) run(c *cobra.Command, o runOptions, what string) error {
	if _, asked := a.LookupEnv("GOGC"); !asked {
		defer debug.SetGCPercent(debug.SetGCPercent(garbageShare))
	}
	scenario, err := a.scenarioOf(what)
	if err != nil {
		return usage(err)
	}
	if err := o.apply(&scenario, c.Flags().Changed, isURL(what)); err != nil {
		return usage(err)
	}
	if isURL(what) && o.protocol == string(scenarios.ProtocolGRPC) {
		return usage(errors.New("--protocol grpc: a URL does not say which method to call; give a scenario with requests: [{name: …, grpc: {method: package.Service/Method}}], see `sailplan scenario init --example grpc`"))
	}
	scenario = scenarios.Defaults(scenario)
	if o.findMax {
		probe := o.duration
		return a.driveScenario(c.Context(), o.drive, scenario, needsEdge, func(ctx context.Context, options experiment.Options) (record.Ending, error) {
			return experiment.FindMax(ctx, options, probe)
		})
	}
	return a.driveScenario(c.Context(), o.drive, scenario, needsLoad, experiment.Load)
}

// garbageShare is how much garbage, in percent of what is in use, may gather before it is
// collected, unless GOGC says otherwise. Sending makes hardly any, and what is in use
// has few pointers, so that a collection costs less than the memory does.
const garbageShare = 25

// needsLoad refuses a scenario that `run` can't send.
func needsLoad(s scenarios.Scenario) error {
	if limit := s.Guards.MaxRate; s.Load.Arrivals == scenarios.Closed && !limit.IsZero() {
		return fmt.Errorf("scenario %s: --rate max (load.arrivals: closed) sends as fast as answers come, and --max-rate (guards.maxRate) %s can't bound that: give --rate %s instead, or leave out the limit",
			s.Metadata.Name, limit, limit)
	}
	if s.Load.Rate.IsZero() && s.Load.Arrivals != scenarios.Closed && s.Load.Shape == nil {
		return fmt.Errorf("scenario %s: run needs load.rate, for instance `load: {rate: 100/s, duration: 30s}`, or --rate", s.Metadata.Name)
	}
	return nil
}

// needsEdge refuses a scenario in which no rate can be the highest.
func needsEdge(s scenarios.Scenario) error {
	if len(s.Objectives) == 0 {
		return errors.New("--find-max needs an objective to hold, for instance --objective 'p99<50ms'")
	}
	if s.Load.Arrivals == scenarios.Closed {
		return errors.New("--find-max needs open arrivals, poisson or constant: leave out --rate max")
	}
	return nil
}

func isURL(what string) bool { return strings.Contains(what, "://") }

// scenarioOf reads a scenario file, or makes the scenario of a URL, without
// defaults.
func (a *app) scenarioOf(what string) (scenarios.Scenario, error) {
	if isURL(what) {
		return scenarioOfURL(what)
	}
	data, err := a.readFile(what)
	if errors.Is(err, fs.ErrNotExist) {
		return scenarios.Scenario{}, fmt.Errorf("scenario: %w\na URL needs its scheme, for instance http://%s", err, what)
	}
	if err != nil {
		return scenarios.Scenario{}, fmt.Errorf("scenario: %w", err)
	}
	s, err := scenarios.Decode(what, data)
	if err != nil {
		return scenarios.Scenario{}, err
	}
	return *s, nil
}

// scenarioOfURL has no objective unless a flag brings one.
func scenarioOfURL(raw string) (scenarios.Scenario, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return scenarios.Scenario{}, fmt.Errorf("%q is not a URL", withoutSecrets(raw))
	}
	if u.User != nil {
		return scenarios.Scenario{}, fmt.Errorf("%s: a user in the URL is not sent; give --header 'Authorization: …'", withoutSecrets(raw))
	}
	s := scenarios.Scenario{
		Metadata: scenarios.Metadata{Name: "run"}, Target: &scenarios.Target{URL: u.Scheme + "://" + u.Host},
		Objectives: []scenarios.Objective{},
	}
	if name := unnameable().ReplaceAllString(u.Hostname(), "-"); name != "" {
		s.Metadata.Name = strings.ToLower(strings.Trim(name, "-"))
	}
	path := u.EscapedPath()
	if path == "" {
		path = "/"
	}
	if u.RawQuery != "" {
		path += "?" + u.RawQuery
	}
	s.Requests = []scenarios.Request{{Name: "request", Path: path}}
	return s, nil
}

func unnameable() *regexp.Regexp { return regexp.MustCompile(`[^a-zA-Z0-9]+`) }

// withoutSecrets hides what of a URL may be a password, a token or a key: its user
// and its query. It takes what is no URL, too.
func withoutSecrets(raw string) string {
	// The user first: what stands before the last @ may hold a question mark.
	if i := strings.LastIndexByte(raw, '@'); i >= 0 {
		scheme, _, _ := strings.Cut(raw, "://")
		raw = scheme + "://…" + raw[i:]
	}
	// And that @ may stand in the query, whose parameters then follow it.
	if i := strings.IndexAny(raw, "?#&="); i >= 0 {
		raw = raw[:i+1] + "…"
	}
	return raw
}

// apply lets the flags that were given count before the scenario.
func (o *runOptions) apply(s *scenarios.Scenario, given func(flag string) bool, fromURL bool) error {
	if fromURL {
		s.Load.Rate, s.Load.Duration = scenarios.PerSecond(100), 10*time.Second
	}
	if err := o.applyLoad(s, given); err != nil {
		return err
	}
	if err := o.applyTarget(s, given); err != nil {
		return err
	}
	if err := o.applyRequests(s); err != nil {
		return err
	}
	if len(o.objectives) > 0 {
		s.Objectives = nil
	}
	for _, text := range o.objectives {
		objective, err := parseObjective(text)
		if err != nil {
			return err
		}
		s.Objectives = append(s.Objectives, objective)
	}
	s.Guards.AllowMutations = s.Guards.AllowMutations || o.allowMutations
	switch {
	case o.maxRate != "":
		rate, err := scenarios.ParseRate(o.maxRate)
		if err != nil {
			return fmt.Errorf("--max-rate: %w", err)
		}
		s.Guards.MaxRate = rate
	case fromURL && !o.findMax && s.Load.Arrivals != scenarios.Closed:
		s.Guards.MaxRate = s.Load.Rate // what the user named, and not more
	}
	return nil
}

func (o *runOptions) applyLoad(s *scenarios.Scenario, given func(string) bool) error {
	closed := o.arrivals == string(scenarios.Closed)
	switch {
	case closed && o.rate != "" && o.rate != "max":
		return fmt.Errorf("--arrivals closed sends as fast as answers come: leave out --rate %s", o.rate)
	case o.rate == "max" && o.arrivals != "" && !closed:
		return fmt.Errorf("--rate max sends as fast as answers come: leave out --arrivals %s", o.arrivals)
	case o.rate == "max", closed:
		s.Load.Arrivals, s.Load.Rate, s.Load.Shape = scenarios.Closed, scenarios.Rate{}, nil
	case o.rate != "":
		rate, err := scenarios.ParseRate(o.rate)
		if err != nil {
			return fmt.Errorf("--rate: %w", err)
		}
		s.Load.Rate, s.Load.Shape = rate, nil
		if s.Load.Arrivals == scenarios.Closed {
			s.Load.Arrivals = ""
		}
	}
	if o.arrivals != "" {
		s.Load.Arrivals = scenarios.Process(o.arrivals)
	}
	if o.pacing != "" {
		s.Load.Pacing = scenarios.Pacing(o.pacing)
	}
	for _, d := range []struct {
		flag string
		from time.Duration
		to   *time.Duration
	}{{"duration", o.duration, &s.Load.Duration}, {"warm-up", o.warmUp, &s.Load.WarmUp}, {"timeout", o.timeout, &s.Load.Timeout}} {
		if !given(d.flag) {
			continue
		}
		if d.from <= 0 && d.flag != "warm-up" || d.from < 0 {
			return fmt.Errorf("--%s %s: has to be above zero", d.flag, d.from)
		}
		*d.to = d.from
	}
	for _, n := range []struct {
		flag string
		from int
		to   *int
	}{{"connections", o.connections, &s.Connections.Count}, {"streams", o.streams, &s.Connections.StreamsPerConnection}} {
		if !given(n.flag) {
			continue
		}
		if n.from < 1 {
			return fmt.Errorf("--%s %d: has to be at least 1", n.flag, n.from)
		}
		*n.to = n.from
	}
	return nil
}

func (o *runOptions) applyTarget(s *scenarios.Scenario, given func(string) bool) error {
	if s.Target == nil {
		for _, flag := range []string{"protocol", "connect-to", "ca", "cert", "key", "server-name", "insecure"} {
			if given(flag) {
				return fmt.Errorf("--%s is about a target, but the scenario describes a lab", flag)
			}
		}
		return nil
	}
	t := s.Target
	if o.protocol != "" {
		t.Protocol = scenarios.Protocol(o.protocol)
	}
	if o.connectTo != "" {
		t.ConnectTo = o.connectTo
	}
	for _, f := range []struct{ from, to *string }{{&o.tls.CAFile, &t.TLS.CAFile}, {&o.tls.CertFile, &t.TLS.CertFile}, {&o.tls.KeyFile, &t.TLS.KeyFile}} {
		if *f.from == "" {
			continue
		}
		// A flag is relative to where the user is, a scenario to where its file is.
		absolute, err := filepath.Abs(*f.from)
		if err != nil {
			return fmt.Errorf("%s: %w", *f.from, err)
		}
		*f.to = absolute
	}
	if o.tls.ServerName != "" {
		t.TLS.ServerName = o.tls.ServerName
	}
	t.TLS.Insecure = t.TLS.Insecure || o.tls.Insecure
	return nil
}

// applyRequests changes every request of the mix.
func (o *runOptions) applyRequests(s *scenarios.Scenario) error {
	headers := map[string]string{}
	for _, h := range o.headers {
		name, value, ok := strings.Cut(h, ":")
		if name = strings.TrimSpace(name); !ok || name == "" {
			// The value may be a credential, so it is not repeated.
			return errors.New("--header: not of the form 'Name: value'")
		}
		headers[name] = strings.TrimSpace(value)
	}
	body := []byte(o.data)
	if file, isFile := strings.CutPrefix(o.data, "@"); isFile {
		var err error
		if body, err = os.ReadFile(file); err != nil {
			return fmt.Errorf("--data: %w", err)
		}
	}
	if len(s.Requests) == 0 && (len(headers) > 0 || len(body) > 0 || o.method != "") {
		s.Requests = []scenarios.Request{{Name: "request", Path: "/"}}
	}
	for i := range s.Requests {
		r := &s.Requests[i]
		if len(headers) > 0 && r.Headers == nil {
			r.Headers = map[string]string{}
		}
		for name, value := range headers {
			r.Headers[name] = value
		}
		if o.data != "" {
			r.Body, r.BodyFile = string(body), ""
			if r.Method == "" || r.Method == "GET" {
				r.Method = "POST"
			}
		}
		if o.method != "" {
			r.Method = strings.ToUpper(o.method)
		}
	}
	return nil
}
