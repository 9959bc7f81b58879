package cli

import (
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"time"

	"github.com/sailplan-io/sailplan/analysis"
	"github.com/sailplan-io/sailplan/analysis/breaker"
	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

// peakRun is a run that says what the peak is.
type peakRun struct {
	rec    *record.Record
	result analysis.Result
}

// openPeak opens the run that --peak names; nil where it names none.
func openPeak(name string) (*peakRun, error) {
	if info, err := os.Stat(name); err != nil || !info.IsDir() {
		return nil, nil
	}
	rec, err := record.Open(name)
	if err != nil {
		return nil, fmt.Errorf("--peak: %w", err)
	}
	result, err := resultIn(name, rec)
	if err != nil {
		return nil, fmt.Errorf("--peak %s: reading its result: %w", name, err)
	}
	return &peakRun{rec, result}, nil
}

// endpoints is how many endpoints a system of the user's had in a run; 0: not known.
// How many a lab had says nothing of that.
func (r *peakRun) endpoints(host string) int {
	if r == nil || !r.ofTheUser() {
		return 0
	}
	service, _ := breaker.EndpointsOf(r.rec, host)
	return service.Replicas
}

// ofTheUser reports whether the run is about a system of the user's.
func (r *peakRun) ofTheUser() bool {
	return r.rec.Evidence == record.EvidenceTarget || r.rec.Evidence == record.EvidenceObserved
}

// peak returns what the run says of the peak: by its record, and for a rate that it
// sized for, the gateways that it recommends; of the endpoints what a replica carries,
// where the run found what bounds it.
func (r *peakRun) peak(host string) (breaker.Peak, error) {
	p, err := breaker.PeakOf(r.rec, host)
	if err != nil {
		return p, err
	}
	gateways := 0
	for _, c := range r.result.Components {
		if c.Role == string(scenarios.RoleGateway) && c.Replicas != nil {
			gateways += c.Replicas.Value
		}
	}
	if gateways > 0 && !r.rec.Scenario.Demand.PeakRate.IsZero() {
		p.Clients, p.From.Clients = gateways, "as many gateways as the run recommends for that rate"
	}
	service, ok := breaker.EndpointsOf(r.rec, host)
	if !ok {
		return p, nil
	}
	i := slices.IndexFunc(r.result.Components, func(c analysis.Component) bool { return c.Name == service.Name })
	if i < 0 {
		return p, nil
	}
	carries := r.result.Components[i].CapacityPerReplicaRps
	safe := carries.Safe()
	switch lowerBound := math.IsInf(carries.High, 1); {
	case !(safe > 0):
	case lowerBound:
		p.SeenRPS, p.From.Capacity = safe, fmt.Sprintf("what a replica of %s carried, where nothing was seen to bind it (%s)", service.Name, carries.BoundBy)
	default:
		p.CapacityRPS, p.From.Capacity = safe, fmt.Sprintf("the capacity of a replica of %s (%s)", service.Name, carries.BoundBy)
	}
	if p.From.Capacity != "" && !r.ofTheUser() {
		p.From.Capacity += ", in a lab"
	}
	return p, nil
}

// usualAnswer is how long an answer takes where nobody says it.
const usualAnswer = 100 * time.Millisecond

// peak works out the load that the settings are judged against: what the run says, but
// for what flags say.
func (d *destination) peak(o breakerOptions, run *peakRun) error {
	if o.clients < 0 {
		return fmt.Errorf("--clients %d: at least one", o.clients)
	}
	if o.peak == "" {
		return nil
	}
	p, err := peakGiven(o, run, d.report.Host)
	if err != nil {
		return err
	}
	if o.answerTime > 0 {
		p.AnswerSeconds, p.From.Answer = o.answerTime.Seconds(), "--answer-time"
	}
	if o.clients > 0 {
		p.Clients, p.From.Clients = o.clients, "--clients"
	}
	if o.capacity != "" {
		rate, err := scenarios.ParseRate(o.capacity)
		if err != nil || rate.IsZero() {
			return fmt.Errorf("--endpoint-capacity %q: a rate above zero, for instance 300/s", o.capacity)
		}
		p.CapacityRPS, p.From.Capacity = rate.RPS(), "--endpoint-capacity"
	}
	if o.answerTime < 0 || p.RPS <= 0 {
		return errors.New("--peak and --answer-time have to be above zero")
	}
	d.setup.Peak, d.report.Peak = &p, p.Given()
	if run != nil {
		d.report.PeakRun = run.rec.Dir
	}
	return nil
}

// peakGiven is the peak of a run, or the rate of --peak with what is usual.
func peakGiven(o breakerOptions, run *peakRun, host string) (breaker.Peak, error) {
	if run != nil {
		p, err := run.peak(host)
		if err != nil {
			return p, fmt.Errorf("--peak: %w", err)
		}
		return p, nil
	}
	rate, err := scenarios.ParseRate(o.peak)
	if err != nil {
		return breaker.Peak{}, fmt.Errorf("--peak: %w; or give a run directory", err)
	}
	return breaker.Peak{
		RPS: rate.RPS(), AnswerSeconds: usualAnswer.Seconds(), Clients: 1,
		From: breaker.PeakSources{Rate: "--peak", Answer: "assumed: --answer-time says it", Clients: "assumed: --clients says it"},
	}, nil
}
