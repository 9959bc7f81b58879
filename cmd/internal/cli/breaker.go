package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sailplan-io/sailplan/analysis/breaker"
	"github.com/sailplan-io/sailplan/cmd/internal/experiment"
	"github.com/sailplan-io/sailplan/cmd/internal/live"
	"github.com/sailplan-io/sailplan/reports"
	"github.com/sailplan-io/sailplan/scenarios"
	"github.com/sailplan-io/sailplan/scenarios/audit"
	"github.com/sailplan-io/sailplan/scenarios/mesh"
)

// breakerOptions are the flags of breaker.
type breakerOptions struct {
	outputOptions
	files          []string
	host, subset   string
	port           uint32
	endpoints      int
	workers        int
	protocol       string
	peak           string
	answerTime     time.Duration
	clients        int
	capacity       string
	target, admin  string
	faultURL       string
	prometheus     string
	labels         string
	cluster        string
	maxRate        string
	duration       time.Duration
	tls            scenarios.TLS
	only           []string
	printEffective bool
	fast           bool
	out            string
	envoy          string
	quiet          bool
}

func (a *app) breakerCommand() *cobra.Command {
	var o breakerOptions
	c := &cobra.Command{
		Use:   "breaker -f FILE…",
		Short: "Try the limits of a DestinationRule on a real Envoy",
		Long: `breaker computes the policy that a DestinationRule comes to for a destination, with
Istio's defaults where a field is absent, and puts it on real Envoys on this machine,
in front of as many endpoints as the service has. For every limit that is set it makes
a trial: below the limit nothing may be shed; above it the excess has to be, at once,
while the rest is answered as ever. For outlier detection it lets endpoints go bad, and
looks whether they are ejected, for how long, and what callers see meanwhile.

The files may hold more than the rule: a Service says what its port speaks, a
Deployment how many endpoints there are, a Sidecar or the mesh's configuration what
holds beside the rule, a VirtualService what is retried.

Times are those of the policy, so a trial of an ejection takes minutes; --fast shortens
them, and the report says so. It leaves a folder with report.html, report.md and
breaker.json.

With --target the same policy is held against a running system: its limits, as Envoy's
admin endpoint has them, are compared with the files, and load within --max-rate shows
whether anything is shed below them, by the counters of --admin, or of all replicas of a
gateway by --prometheus. No fault is made there.

With --peak the settings are judged too: whether they trip in normal operation, how many
errors a bad endpoint costs until it is out, whether the others then carry the load, and
how much of an overload comes through.

Exit code: 0 all hold, 3 a trial or a judgement failed, 4 something could not be measured, 2 files that
cannot be used.`,
		Example: `  sailplan breaker -f destination-rule.yaml --endpoints 3 --fast
  sailplan breaker -f deploy/production --host reviews --subset v2 --port 9080
  sailplan breaker -f destination-rule.yaml --print-effective
  sailplan breaker -f destination-rule.yaml --peak 500/s --answer-time 80ms --clients 2
  sailplan breaker -f destination-rule.yaml --target http://127.0.0.1:8080/ --admin http://127.0.0.1:15000 --max-rate 200/s
  sailplan breaker -f destination-rule.yaml --target https://shop.example/ --prometheus http://127.0.0.1:9090 --prometheus-labels 'namespace="istio-system",pod=~"gateway-.*"' --max-rate 200/s
  sailplan breaker -f destination-rule.yaml --only outlier --endpoints 5
  sailplan breaker -f destination-rule.yaml --fast --json - --junit breaker.xml`,
		Args: args(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error { return a.breaker(c.Context(), o) },
	}
	o.flags(c)
	f := c.Flags()
	f.StringArrayVarP(&o.files, "file", "f", nil, "`FILE` or folder with the DestinationRule and what belongs to it, any number of times; - is standard input")
	f.StringVar(&o.host, "host", "", "host of the destination (default: that of the only rule)")
	f.StringVar(&o.subset, "subset", "", "subset of the rule")
	f.Uint32Var(&o.port, "port", 0, "port of the service, for portLevelSettings")
	f.IntVar(&o.endpoints, "endpoints", 0, "how many endpoints the service has (default: what the files say, else 3)")
	f.IntVar(&o.workers, "concurrency", 2, "worker threads of each Envoy")
	f.StringVar(&o.protocol, "protocol", "", "http1 or http2: what the port speaks (default: what the files say, else http2)")
	f.StringVar(&o.peak, "peak", "", "also judge the settings against this load: `RATE`, for instance 500/s, or a run directory that measured one")
	f.DurationVar(&o.answerTime, "answer-time", 0, "how long an answer takes at the peak (default: that of the run, else 100ms)")
	f.IntVar(&o.clients, "clients", 0, "Envoys that share the peak: replicas of the gateway, or pods that call (default: the gateways of the run, else 1)")
	f.StringVar(&o.capacity, "endpoint-capacity", "", "`RATE` that one endpoint carries (default: what the run says of it, if anything)")
	f.StringVar(&o.target, "target", "", "make the trials that need no fault on a running system at this `URL`, and compare its limits with the files")
	f.StringVar(&o.admin, "admin", "", "`URL` of the admin endpoint of the Envoy through which --target is reached")
	f.StringVar(&o.prometheus, "prometheus", "", "`URL` of a Prometheus that scrapes the Envoys through which --target is reached: their counters are read there")
	f.StringVar(&o.labels, "prometheus-labels", "", "`LABELS` that pick these Envoys, all replicas, for instance 'namespace=\"istio-system\",pod=~\"gateway-.*\"' (default: the only one that has the destination's cluster)")
	f.StringVar(&o.cluster, "cluster", "", "name of the destination's cluster in that Envoy (default: the one that Istio names by host, subset and port)")
	f.StringVar(&o.maxRate, "max-rate", "", "never send faster to --target")
	f.StringVar(&o.faultURL, "fault-url", "", "a `URL` of --target that its service answers with 5xx: outlier detection is tried with it, which ejects endpoints for a while")
	f.DurationVar(&o.duration, "duration", 20*time.Second, "how long --target gets load for each trial")
	f.StringVar(&o.tls.CAFile, "ca", "", "PEM `FILE` of authorities to trust for --target")
	f.BoolVar(&o.tls.Insecure, "insecure", false, "accept any certificate of --target")
	f.StringArrayVar(&o.only, "only", nil, "make only the trials whose name or field contains `TEXT`, any number of times")
	f.BoolVar(&o.printEffective, "print-effective", false, "only print the effective policy, each value with the line that it comes from")
	f.BoolVar(&o.fast, "fast", false, "shorten the policy's times")
	f.StringVar(&o.out, "out", "", "folder for the report (default: "+runsDir+"/breaker-TIME)")
	f.StringVar(&o.envoy, "envoy", "", "path of the Envoy binary (default: $SAILPLAN_ENVOY, the cache folder, PATH)")
	f.BoolVar(&o.quiet, "quiet", false, "no progress")
	return c
}

// destination is what the files come to for one destination.
type destination struct {
	files  []audit.File
	setup  breaker.Setup
	report breaker.Report
}

func (a *app) breaker(ctx context.Context, o breakerOptions) error {
	if len(o.files) == 0 {
		return usage(errors.New("which rule? give its file with -f\nsee `sailplan breaker --help`"))
	}
	d, err := a.destination(o)
	if err != nil {
		return usage(err)
	}
	s := a.streams(o.outputOptions)
	if o.printEffective {
		return a.tellDocument(reports.Effective(d.report), d.report, o.outputOptions, "", s, false)
	}
	if o.faultURL != "" && o.target == "" {
		return usage(errors.New("--fault-url is of a running system: --target names it"))
	}
	system := running{plan: breaker.Plan}
	if o.target != "" {
		if system, err = a.liveTarget(ctx, o, &d); err != nil {
			return err
		}
		defer system.close()
	}
	trials, err := breaker.Select(system.plan(d.setup), o.only)
	if err != nil {
		return usage(fmt.Errorf("--only: %w", err))
	}
	tty, width := terminalOf(s.progress)
	view := live.New(s.progress, live.Options{Terminal: tty, Width: width, Quiet: o.quiet, Now: time.Now})
	defer view.Close()
	runErr := a.try(ctx, o, &d.report, trials, system.target, view)
	view.Close()
	if runErr != nil && len(d.report.Trials) == 0 {
		return runErr
	}
	if runErr != nil {
		d.report.Incomplete = fmt.Sprintf("%d of %d trials were made: %v", len(d.report.Trials), len(trials), runErr)
	}
	return errors.Join(a.tellBreaker(d.report, o, s), runErr)
}

// try makes the trials on the lab's Envoys.
func (a *app) try(ctx context.Context, o breakerOptions, report *breaker.Report, trials []breaker.Trial, target *experiment.BreakerTarget, view *live.View) error {
	var proxy experiment.Proxy
	if target == nil {
		var err error
		if proxy, err = a.chooseProxy(ctx, scenarios.ProxyEnvoy, o.envoy, view.Note); err != nil {
			return err
		}
	}
	options := experiment.BreakerOptions{
		Trials: trials, EnvoyPath: proxy.EnvoyPath, Seed: 1, Target: target,
		Note: func(text string) {
			if !o.quiet {
				view.Note(text)
			}
		},
	}
	options.Done = func(r breaker.Result) {
		text := "  " + string(r.Verdict)
		if r.Reason != "" {
			text += ": " + r.Reason
		}
		options.Note(text)
	}
	var err error
	if options.StateDir, err = a.stateDir(); err != nil {
		return err
	}
	if options.Self, err = a.self(); err != nil {
		return err
	}
	facts, err := experiment.Breaker(ctx, options)
	report.Trials = append(report.Trials, facts.Results...)
	report.Envoy = facts.Envoy
	report.Demonstrate()
	return err
}

// tellBreaker writes the report and turns it into an exit code.
func (a *app) tellBreaker(report breaker.Report, o breakerOptions, s streams) error {
	dir := o.out
	if dir == "" {
		dir = filepath.Join(runsDir, "breaker-"+timestamp(time.Now()))
	}
	document := reports.Breaker(report)
	f, err := formsOf(document, report)
	if err != nil {
		return err
	}
	for name, content := range map[string][]byte{"breaker.json": f.json, "report.html": f.html, "report.md": f.markdown} {
		if err := writeFile(filepath.Join(dir, name), content); err != nil {
			return err
		}
	}
	if err := a.deliverForms(f, o.outputOptions, "", s); err != nil {
		return err
	}
	if err := show(document, s, false); err != nil {
		return err
	}
	fmt.Fprintf(s.table, "\nIn %s: report.html, report.md, breaker.json\n", dir)
	switch report.Outcome() {
	case breaker.Fail:
		return exitError{code: exitNo}
	case breaker.NotMeasurable:
		return exitError{code: exitInvalid}
	case breaker.Pass:
	}
	return nil
}

// destination reads the files and works out what holds for the destination.
func (a *app) destination(o breakerOptions) (destination, error) {
	var d destination
	files, passed, err := a.meshFiles(o.files)
	if err != nil {
		return d, err
	}
	for _, folder := range passed {
		fmt.Fprintf(a.Stderr, "%s holds templates of Helm, which are left out: render them with `helm template`\n", folder)
	}
	d.files = files
	var objects []mesh.Object
	for _, file := range files {
		found, err := mesh.Read(file.Name, file.Data)
		if err != nil {
			return d, err
		}
		objects = append(objects, found...)
	}
	if err := faultsOf(objects); err != nil {
		return d, err
	}
	policy, err := mesh.EffectiveFor(objects, o.host, o.subset, o.port)
	if err != nil {
		return d, err
	}
	known := audit.DestinationOf(files, policy.Host, o.subset, o.port)
	d.setup = breaker.Setup{Client: policy, Server: mesh.InboundFor(objects, policy), Workers: o.workers, Fast: o.fast}
	d.report = breaker.Report{Host: policy.Host, Subset: o.subset, Port: o.port, Workers: o.workers, Fast: o.fast, Notes: d.setup.Server.Notes}
	d.route(objects, policy.Host, o.subset)
	run, err := openPeak(o.peak)
	if err != nil {
		return d, err
	}
	if err := d.endpoints(o, known, run); err != nil {
		return d, err
	}
	if err := d.port(o, known); err != nil {
		return d, err
	}
	if err := d.protocol(o, known); err != nil {
		return d, err
	}
	d.report.Settings = breaker.Settings(d.setup.Client, d.setup.Server)
	d.report.Effective = breaker.EffectiveOf(d.report.Settings)
	if err := d.peak(o, run); err != nil {
		return d, err
	}
	judged := int64(d.setup.Endpoints)
	if o.endpoints == 0 {
		judged = max(judged, known.Endpoints) // also where not as many can be tried
	}
	d.report.Findings = d.setup.SafeFindings(findingsOf(files, policy.Host, judged))
	d.report.Judgements = d.setup.Judge()
	return d, nil
}

// route takes over what a VirtualService says of retries.
func (d *destination) route(objects []mesh.Object, host, subset string) {
	route, found := mesh.RouteTo(objects, host, subset)
	if !found {
		return
	}
	d.setup.Retries = &breaker.Retries{Attempts: route.Attempts.Value, On: route.On.Value, PerTry: route.PerTry.Value, Timeout: route.Timeout.Value}
	d.report.Notes = append(d.report.Notes, fmt.Sprintf("the route retries %d times (%s) on %s (%s)", route.Attempts.Value, route.Attempts.Source, route.On.Value, route.On.Source))
}

// faultsOf refuses a DestinationRule that Istio would not take as it is written.
func faultsOf(objects []mesh.Object) error {
	var problems scenarios.Errors
	for _, object := range objects {
		if object.Kind != mesh.KindDestinationRule {
			continue
		}
		for _, fault := range object.Faults {
			problems = append(problems, fault.Problem)
		}
	}
	if len(problems) > 0 {
		return problems
	}
	return nil
}

const (
	usualEndpoints = 3
	mostEndpoints  = 50
)

func (d *destination) endpoints(o breakerOptions, known audit.Destination, run *peakRun) error {
	n := o.endpoints
	seen := run.endpoints(d.report.Host)
	switch {
	case n < 0 || n > mostEndpoints:
		return fmt.Errorf("--endpoints %d: from 1 to %d", n, mostEndpoints)
	case o.workers < 1 || o.workers > 64:
		return fmt.Errorf("--concurrency %d: from 1 to 64", o.workers)
	case n > 0:
	case known.Endpoints > 0:
		n = int(min(known.Endpoints, mostEndpoints))
		note := fmt.Sprintf("%d endpoints: %s", n, known.EndpointsHow)
		if known.Endpoints > mostEndpoints {
			note = fmt.Sprintf("%d endpoints are tried, the most that a machine does, of %d: %s", n, known.Endpoints, known.EndpointsHow)
		}
		d.report.Notes = append(d.report.Notes, note)
	case seen > 0:
		n = min(seen, mostEndpoints)
		d.report.Notes = append(d.report.Notes, fmt.Sprintf("%d endpoints: as many as %s had", n, o.peak))
	default:
		n = usualEndpoints
		d.report.Notes = append(d.report.Notes, fmt.Sprintf("%d endpoints are assumed, because the files do not say how many there are: --endpoints says it", n))
	}
	d.setup.Endpoints, d.report.Endpoints = n, n
	return nil
}

// port looks whether the Service has the port, and says where none was chosen.
func (d *destination) port(o breakerOptions, known audit.Destination) error {
	ports := strings.Join(known.Ports, ", ")
	switch {
	case len(known.Ports) == 0:
	case o.port != 0 && !slices.Contains(known.Ports, strconv.FormatUint(uint64(o.port), 10)):
		return fmt.Errorf("--port %d: the Service of %s has the ports %s", o.port, d.report.Host, ports)
	case o.port == 0 && len(known.Ports) > 1:
		d.report.Notes = append(d.report.Notes, fmt.Sprintf("the Service has the ports %s, and none was chosen: --port tries one as it is set and named", ports))
	}
	return nil
}

// protocol decides what the clients' Envoys speak to the endpoints, as Istio does
// where the files say it.
func (d *destination) protocol(o breakerOptions, known audit.Destination) error {
	http := d.setup.Client.ConnectionPool.HTTP
	protocol, why := breaker.HTTP2, "HTTP/2 is assumed, because no Service in the files names the port: --protocol http1 tries the rule on a port that is not named http2 or grpc"
	switch {
	case o.protocol == string(breaker.HTTP1), o.protocol == string(breaker.HTTP2):
		protocol, why = breaker.Protocol(o.protocol), ""
	case o.protocol != "":
		return fmt.Errorf("--protocol %q: http1 or http2", o.protocol)
	case http.H2UpgradePolicy.Value == mesh.H2DoUpgrade:
		why = "HTTP/2, because of h2UpgradePolicy (" + http.H2UpgradePolicy.Source.String() + ")"
	case slices.Contains([]string{"http2", "grpc", "grpc-web"}, known.Protocol):
		why = "HTTP/2, because the port of the Service is named " + known.Protocol
	case known.Protocol == "http" || known.Protocol == "" && strings.Contains(known.EndpointsHow, "Service"):
		protocol, why = breaker.HTTP1, "HTTP/1.1, because the port of the Service is named "+cmp.Or(known.Protocol, "nothing that says otherwise")
	case known.Protocol != "":
		return fmt.Errorf("the port of %s speaks %s: limits on requests hold for HTTP only", d.report.Host, known.Protocol)
	}
	d.setup.Protocol, d.report.Protocol = protocol, protocol
	if why != "" {
		d.report.Notes = append(d.report.Notes, why)
	}
	return nil
}

// findingsOf are what an audit says of DestinationRules, given the number of
// endpoints of the one host.
func findingsOf(files []audit.File, host string, endpoints int64) []audit.Finding {
	found := audit.Audit(files, audit.Measured{Host: host, Endpoints: endpoints}).Findings
	return slices.DeleteFunc(found, func(f audit.Finding) bool {
		return !strings.HasPrefix(f.Object, mesh.KindDestinationRule)
	})
}
