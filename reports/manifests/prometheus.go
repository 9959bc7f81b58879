package manifests

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/sailplan-io/sailplan/analysis"
	"github.com/sailplan-io/sailplan/scenarios"
)

// Labels and windows of the rules.
const (
	scenarioLabel = "sailplan_scenario"
	window        = "5m"
)

// rules collects the rules of one group with the comments above them.
type rules struct {
	scenario string
	selector string // of Istio's standard metrics, in braces
	list     []monitoringv1.Rule
	comments []comment
}

// prometheusRule watches in production what the sizing was made for: each
// objective, and the rate that was planned for.
func prometheusRule(result analysis.Result, names []string) (object, bool) {
	scenario := kubernetesName(result.Scenario)
	selector, why := requestSelector(result, names)
	r := &rules{scenario: scenario, selector: selector}
	for _, o := range result.Objectives {
		switch {
		case o.LatencySeconds > 0 && o.Quantile > 0 && o.Quantile < 1:
			r.latency(o)
		case !(o.LatencySeconds > 0): // 0 is an objective as well: no error at all
			r.errors(o)
		}
	}
	if result.Demand.PlannedRps > 0 {
		r.rate(result.Demand)
	}
	if len(r.list) == 0 {
		return object{}, false
	}
	return object{
		name:  "prometheus-rule",
		usage: "Apply with: kubectl apply -n NAMESPACE -f FILE. Give it the labels that your Prometheus selects its rules by.",
		value: &monitoringv1.PrometheusRule{
			TypeMeta:   metav1.TypeMeta{APIVersion: monitoringv1.SchemeGroupVersion.String(), Kind: monitoringv1.PrometheusRuleKind},
			ObjectMeta: metav1.ObjectMeta{Name: "sailplan-" + scenario},
			Spec:       monitoringv1.PrometheusRuleSpec{Groups: []monitoringv1.RuleGroup{{Name: "sailplan-" + scenario, Rules: r.list}}},
		},
		comments: append([]comment{{"spec/groups", why}}, r.comments...),
	}, true
}

// requestSelector selects each request once. With a gateway and a sidecar both
// report it, so one reporter is chosen: the gateway where there is one, because
// what it sees is nearest to what was measured, else the sidecar of the server.
func requestSelector(result analysis.Result, names []string) (selector, why string) {
	matchers := []string{`reporter="destination"`}
	why = "Every proxy on the way reports a request: reporter=\"destination\" counts it once, at the sidecar of the server."
	gateway := slices.IndexFunc(result.Components, func(c analysis.Component) bool {
		return scenarios.Role(c.Role) == scenarios.RoleGateway
	})
	if gateway >= 0 {
		matchers = []string{`reporter="source"`, "source_workload=" + strconv.Quote(names[gateway])}
		why = "Every proxy on the way reports a request: reporter=\"source\" of the gateway counts it once, and sees what lies behind the gateway. " +
			"source_workload has the name of the component here; put the name of your Deployment in."
	}
	if result.ConnectionPool != nil && inMesh(result.ConnectionPool.Host) {
		matchers = append(matchers, "destination_service="+strconv.Quote(result.ConnectionPool.Host))
	} else {
		why += " Where these are not all the requests that the objectives are about, add destination_service with the full name of the service."
	}
	return "{" + strings.Join(matchers, ",") + "}", why
}

// add appends a recording rule and the alert on it, with the comment above the
// first.
func (r *rules) add(record, expression, comparison string, alert monitoringv1.Rule, why string) {
	r.comments = append(r.comments, comment{fmt.Sprintf("spec/groups/0/rules/%d", len(r.list)), why})
	recorded := slices.ContainsFunc(r.list, func(rule monitoringv1.Rule) bool { return rule.Record == record })
	labels := map[string]string{scenarioLabel: r.scenario}
	alert.Expr = intstr.FromString(fmt.Sprintf("%s{%s=%q} %s", record, scenarioLabel, r.scenario, comparison))
	if !recorded { // two objectives may be about one quantile
		r.list = append(r.list, monitoringv1.Rule{Record: record, Expr: intstr.FromString(expression), Labels: labels})
	}
	r.list = append(r.list, alert)
}

func (r *rules) latency(o analysis.Objective) {
	quantile, limit := plain(o.Quantile), o.LatencySeconds*1e3
	record := "sailplan:istio_request_duration_milliseconds:" + quantileName(o.Quantile) + "_rate" + window
	expression := fmt.Sprintf("histogram_quantile(%s, sum by (le) (rate(istio_request_duration_milliseconds_bucket%s[%s])))", quantile, r.selector, window)
	why := fmt.Sprintf("Objective %s. The proxy's time does not have the way to it, so it is below what a client sees.", o.Text)
	if below, above, ok := betweenBuckets(limit); ok {
		why += fmt.Sprintf(" %s ms is not a bound of Istio's default histogram: between %s and %s ms the quantile is interpolated.", plain(limit), plain(below), plain(above))
	}
	r.add(record, expression, "> "+plain(limit), monitoringv1.Rule{
		Alert:  "SailplanLatencyObjectiveMissed",
		For:    duration("5m"),
		Labels: map[string]string{"severity": "warning", "objective": untemplated(o.Text)},
		Annotations: map[string]string{
			"summary":     untemplated("Latency objective missed: " + o.Text),
			"description": "The quantile is {{ $value | humanize }} ms.",
		},
	}, why)
}

func (r *rules) errors(o analysis.Objective) {
	expression := fmt.Sprintf("sum(rate(istio_requests_total%s[%s])) / sum(rate(istio_requests_total%s[%s]))",
		strings.TrimSuffix(r.selector, "}")+`,response_code=~"5..|429"}`, window, r.selector, window)
	why := fmt.Sprintf("Objective %s. Errors are what they were in the measurement: status 5xx and 429.", o.Text)
	if o.ErrorRatio == 0 {
		why += " None is allowed, so a single one within the window of " + window + " is one too many; there is nothing to wait for."
		r.add("sailplan:istio_requests:error_ratio_rate"+window, expression, "> 0", monitoringv1.Rule{
			Alert:  "SailplanErrorObjectiveMissed",
			Labels: map[string]string{"severity": "warning", "objective": untemplated(o.Text)},
			Annotations: map[string]string{
				"summary":     untemplated("Error objective missed: " + o.Text),
				"description": "{{ $value | humanizePercentage }} of the requests are not answered well, and none may be.",
			},
		}, why)
		return
	}
	r.add("sailplan:istio_requests:error_ratio_rate"+window, expression, "> "+plain(o.ErrorRatio), monitoringv1.Rule{
		Alert:  "SailplanErrorObjectiveMissed",
		For:    duration("5m"),
		Labels: map[string]string{"severity": "warning", "objective": untemplated(o.Text)},
		Annotations: map[string]string{
			"summary":     untemplated("Error objective missed: " + o.Text),
			"description": "{{ $value | humanizePercentage }} of the requests are not answered well.",
		},
	}, why)
}

func (r *rules) rate(d analysis.Demand) {
	expression := fmt.Sprintf("sum(rate(istio_requests_total%s[%s]))", r.selector, window)
	r.add("sailplan:istio_requests:rate"+window, expression, "> "+plain(d.PlannedRps), monitoringv1.Rule{
		Alert:  "SailplanRateAbovePlan",
		For:    duration("10m"),
		Labels: map[string]string{"severity": "info"},
		Annotations: map[string]string{
			"summary":     "More requests than were planned for: size again",
			"description": "{{ $value | humanize }} requests per second.",
		},
	}, "The rate that the replicas were planned for: "+sentence(d.Reason))
}

// buckets are the finite bounds of Istio's default histogram that an objective
// may lie between, milliseconds.
func buckets() []float64 {
	return []float64{0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000, 300000}
}

// betweenBuckets returns the bounds around a limit that is not a bound itself.
func betweenBuckets(limit float64) (below, above float64, ok bool) {
	bounds := buckets()
	i, found := slices.BinarySearch(bounds, limit)
	if found || i == len(bounds) {
		return 0, 0, false
	}
	if i > 0 {
		below = bounds[i-1]
	}
	return below, bounds[i], true
}

// plain writes a number as PromQL reads it. Twelve digits are more than any
// objective has, and leave the rounding of a conversion out.
func plain(v float64) string {
	rounded, err := strconv.ParseFloat(strconv.FormatFloat(v, 'g', 12, 64), 64)
	if err != nil {
		rounded = v
	}
	return strconv.FormatFloat(rounded, 'f', -1, 64)
}

// quantileName is p99 for 0.99.
func quantileName(q float64) string {
	digits := strings.TrimPrefix(plain(q), "0.")
	if len(digits) == 1 {
		digits += "0"
	}
	return "p" + digits
}

// untemplated keeps Prometheus from reading a name as a template.
func untemplated(text string) string {
	return strings.Join(wrap(strings.NewReplacer("{", "(", "}", ")").Replace(text)), " ")
}

func duration(text string) *monitoringv1.Duration {
	d := monitoringv1.Duration(text)
	return &d
}
